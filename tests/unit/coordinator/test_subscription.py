"""Reading the topics out of consumers' subscription blobs."""

import struct

import pytest
from group_harness import subscription

from odradek.broker.coordinator.group.subscription import subscribed_topics


def test_the_topics_of_all_members_are_joined():
    blobs = [subscription("a", "b", version=0), subscription("b", "c", version=3), subscription()]
    assert subscribed_topics(blobs) == {"a", "b", "c"}


def test_nobody_subscribes_to_nothing():
    assert subscribed_topics([]) == frozenset()


@pytest.mark.parametrize(
    "blob",
    [
        b"",
        b"\0\1",
        subscription("orders")[:8],
        struct.pack(">hi", 1, 2**31 - 1),
        struct.pack(">hih", 1, 1, -1),
        struct.pack(">hih", 1, 1, 2) + b"\xff\xfe",
    ],
)
def test_a_blob_that_cannot_be_read_makes_the_topics_unknown(blob):
    assert subscribed_topics([subscription("a"), blob]) is None
