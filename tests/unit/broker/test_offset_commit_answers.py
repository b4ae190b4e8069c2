"""OffsetCommit answers are encoded once for each layout: never one client's answer for another's request."""

import itertools
from datetime import timedelta

import pytest
from kio.serial import entity_reader

from odradek.broker.controller.topics import NewTopic
from odradek.broker.handlers import offset_commit
from odradek.errors import ErrorCode
from odradek.protocol.api_keys import ApiKey
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


async def test_what_a_client_makes_up_is_not_kept(world):
    async def take(_group, _who, commits, **_how):
        return dict.fromkeys(commits, ErrorCode.NONE)

    world.services.groups.commit_offsets = take
    await world.services.topics.create([NewTopic("orders")])

    async def kept_by(topics):
        """Return how many answers are kept after a commit of these topics' partitions."""
        offset_commit._encoded.cache_clear()

        def build(m):
            rows = tuple(
                m.OffsetCommitRequestTopic(
                    name=name,
                    partitions=tuple(
                        m.OffsetCommitRequestPartition(
                            partition_index=index, committed_offset=1, committed_leader_epoch=-1, committed_metadata=""
                        )
                        for index in indexes
                    ),
                )
                for name, indexes in topics
            )
            return m.OffsetCommitRequest(
                group_id="g",
                generation_id_or_member_epoch=-1,
                member_id="",
                group_instance_id=None,
                retention_time=timedelta(milliseconds=-1),
                topics=rows,
            )

        answer = await world.ask(ApiKey.OFFSET_COMMIT, 9, build)
        assert [(row.name, [part.partition_index for part in row.partitions]) for row in answer.topics] == topics
        return offset_commit._encoded.cache_info().currsize

    assert await kept_by([("orders", [0])]) == 1
    assert await kept_by([("x" * 30_000, [])]) == 0
    assert await kept_by([("orders", [])] * 1_000) == 0
    assert await kept_by([("orders", list(range(1_000)))]) == 0
