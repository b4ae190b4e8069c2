"""The blobs of a consumer group: round trips, older and newer versions, other people's readers and writers, lies."""

import contextlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odradek.client.consumer.assignors import ASSIGNORS
from odradek.client.consumer.blobs import (
    Subscription,
    decode_assignment,
    decode_subscription,
    encode_assignment,
    encode_subscription,
)
from odradek.errors import RemoteProtocolError
from odradek.types import TopicPartition

pytestmark = pytest.mark.brokers("odradek", "kafka")

OWNED = (TopicPartition("a", 0), TopicPartition("a", 2), TopicPartition("bé", 1))
FULL = Subscription(("a", "bé"), b"mine", OWNED, 7, "rack-1")
NEWEST = (
    b"\0\3"
    b"\0\0\0\2" + b"\0\1a" + b"\0\3b\xc3\xa9" + b"\0\0\0\4mine"
    b"\0\0\0\2" + b"\0\1a\0\0\0\2\0\0\0\0\0\0\0\2" + b"\0\3b\xc3\xa9\0\0\0\1\0\0\0\1" + b"\0\0\0\7" + b"\0\6rack-1"
)


def test_a_subscription_is_written_as_kafka_does():
    assert encode_subscription(FULL) == NEWEST
    assert decode_subscription(NEWEST) == FULL


def test_an_assignment_is_written_as_kafka_does():
    blob = encode_assignment(OWNED)
    assert blob == b"\0\3\0\0\0\2\0\1a\0\0\0\2\0\0\0\0\0\0\0\2\0\3b\xc3\xa9\0\0\0\1\0\0\0\1\xff\xff\xff\xff"
    assert decode_assignment(blob) == list(OWNED)


def test_no_assignment_at_all_is_no_partitions():
    assert decode_assignment(b"") == []


@pytest.mark.parametrize(
    ("version", "end", "expected"),
    [
        (0, 22, Subscription(("a", "bé"), b"mine")),
        (1, len(NEWEST) - 12, Subscription(("a", "bé"), b"mine", OWNED)),
        (2, len(NEWEST) - 8, Subscription(("a", "bé"), b"mine", OWNED, 7)),
    ],
)
def test_older_subscriptions_lack_their_ends(version, end, expected):
    assert decode_subscription(struct.pack(">h", version) + NEWEST[2:end]) == expected


def test_of_a_newer_version_the_known_part_is_read():
    assert decode_subscription(b"\0\x09" + NEWEST[2:] + b"more") == FULL
    assert decode_assignment(b"\0\x09" + encode_assignment(OWNED)[2:] + b"more") == list(OWNED)


@given(st.binary(max_size=60))
def test_anything_else_is_a_protocol_error(blob):
    for decode in (decode_subscription, decode_assignment):
        with contextlib.suppress(RemoteProtocolError):
            decode(blob)


@pytest.mark.parametrize("cut", range(len(NEWEST)))
def test_a_subscription_cut_short_is_a_protocol_error(cut):
    with pytest.raises(RemoteProtocolError, match="subscription"):
        decode_subscription(NEWEST[:cut])


def test_a_count_that_lies_costs_no_memory():
    with pytest.raises(RemoteProtocolError, match="claims 2147483647"):
        decode_subscription(b"\0\0\x7f\xff\xff\xff")


@pytest.mark.interop
def test_other_clients_read_our_blobs():
    from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment, ConsumerProtocolMemberMetadata

    theirs = ConsumerProtocolMemberMetadata.decode(NEWEST)
    assert list(theirs.subscription) == ["a", "bé"]
    assert theirs.user_data == b"mine"
    assigned = ConsumerProtocolMemberAssignment.decode(encode_assignment(OWNED))
    assert [(one.topic, one.partition) for one in assigned.partitions()] == list(OWNED)


@pytest.mark.interop
def test_we_read_other_clients_blobs():
    from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment, ConsumerProtocolMemberMetadata

    blob = ConsumerProtocolMemberMetadata(0, ["a", "bé"], b"mine").encode()
    assert decode_subscription(blob) == Subscription(("a", "bé"), b"mine")
    blob = ConsumerProtocolMemberAssignment(0, [("a", [0, 2]), ("bé", [1])], b"").encode()
    assert decode_assignment(blob) == list(OWNED)


@pytest.mark.interop
def test_aiokafkas_sticky_reads_what_ours_remembers():
    from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor

    blob = encode_subscription(Subscription(("a",), ASSIGNORS["sticky"]().user_data(OWNED[:2], 5)))
    from aiokafka.coordinator.protocol import ConsumerProtocolMemberMetadata

    data = StickyPartitionAssignor.parse_member_metadata(ConsumerProtocolMemberMetadata.decode(blob))
    assert [tuple(one) for one in data.partitions] == list(OWNED[:2])
    assert data.generation == 5
