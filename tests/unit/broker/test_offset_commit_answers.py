"""OffsetCommit answers are encoded once for each layout: never one client's answer for another's request."""

import itertools

import pytest
from kio.serial import entity_reader

from odradek.broker.handlers import offset_commit
from odradek.errors import ErrorCode
from odradek.protocol.codec import encode, response_class

CODES = (ErrorCode.NONE, ErrorCode.OFFSET_METADATA_TOO_LARGE)


@pytest.mark.parametrize("version", range(2, 10))
def test_an_answer_that_was_kept_says_what_a_fresh_one_would(version):
    read = entity_reader(response_class(offset_commit.API_KEY, version))
    layouts = [
        ((topic, tuple((index, code) for index in range(count))),)
        for topic, count, code in itertools.product(("a", "b"), (1, 2), CODES)
    ]
    for rows in layouts * 2:
        kept = offset_commit._encoded(version, rows)  # the memory itself: a handler's answer does not show it
        assert kept == encode(offset_commit._response(version, rows))
        topics = read(kept, 0)[0].topics
        told = tuple((t.name, tuple((p.partition_index, p.error_code) for p in t.partitions)) for t in topics)
        assert told == rows
