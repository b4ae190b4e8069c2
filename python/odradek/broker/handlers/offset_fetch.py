"""OffsetFetch (key 9), versions 1 to 10: the offsets a group has committed.

A partition without a committed offset is answered with -1 and no error, and so is an unknown group. No topics (null,
from version 2 on) asks for all. Errors: the coordinator's own; UNKNOWN_MEMBER_ID (25) and STALE_MEMBER_EPOCH (113) for a
member of a consumer group; UNKNOWN_TOPIC_ID (100) for a topic, version 10.
Left out: `require_stable` finds nothing unstable, because offsets are not committed in transactions yet.

v2 all topics; an error for the group    v3 throttle time    v5 leader epoch (KIP-320)    v6 flexible
v7 require_stable (KIP-447)    v8 several groups (KIP-709)    v9 member of a KIP-848 group and its epoch    v10 topics by id
"""

from collections.abc import Mapping
from typing import Any, Final

from odradek.broker.context import RequestContext
from odradek.broker.coordinator.group.records import OffsetCommit
from odradek.errors import ErrorCode, KafkaError
from odradek.protocol.api_keys import ApiKey

__all__ = ["API_KEY", "VERSIONS", "handle"]

API_KEY: Final = ApiKey.OFFSET_FETCH
VERSIONS: Final = (1, 10)

_NOTHING: Final = OffsetCommit(-1, -1, "", -1)


async def handle(ctx: RequestContext, request: Any) -> Any:
    """Answer an OffsetFetch request."""
    m = ctx.schema
    if ctx.api_version >= 8:
        groups = [(group.group_id, *_fetch(ctx, group.group_id, group.topics, group)) for group in request.groups]
        return m.OffsetFetchResponse(
            groups=tuple(
                m.OffsetFetchResponseGroup(group_id=group_id, error_code=error, topics=topics)
                for group_id, error, topics in groups
            )
        )
    error, topics = _fetch(ctx, request.group_id, request.topics)
    if error and not topics and request.topics and ctx.api_version < 2:  # no place for an error of the group
        topics = tuple(_topic(ctx, asked, {}, error) for asked in request.topics)
    return m.OffsetFetchResponse(error_code=error, topics=topics)


def _fetch(ctx: RequestContext, group_id: str, asked: Any, who: Any = None) -> tuple[ErrorCode, tuple[Any, ...]]:
    member_id, epoch = getattr(who, "member_id", None), getattr(who, "member_epoch", -1)
    try:
        known = ctx.broker.groups.offsets(group_id, member_id, epoch)
    except KafkaError as problem:
        return problem.error_code, ()
    if asked is None:
        return ErrorCode.NONE, tuple(
            _answer(
                ctx,
                name,
                topic_id,
                [_partition(ctx, index, commit, ErrorCode.NONE) for index, commit in offsets.items()],
            )
            for name, offsets in known.items()
            if (topic_id := _topic_id(ctx, name)) is not None or ctx.api_version < 10
        )
    topics = []
    for one in asked:
        name, error = getattr(one, "name", None), ErrorCode.NONE
        if ctx.api_version >= 10:
            topic = ctx.broker.topics.by_id(one.topic_id)
            name, error = (None, ErrorCode.UNKNOWN_TOPIC_ID) if topic is None else (topic.name, error)
        topics.append(_topic(ctx, one, known.get(name, {}), error))
    return ErrorCode.NONE, tuple(topics)


def _topic_id(ctx: RequestContext, name: str) -> Any:
    topic = ctx.broker.topics.get(name)
    return None if topic is None else topic.topic_id


def _topic(ctx: RequestContext, asked: Any, offsets: Mapping[int, OffsetCommit], error: ErrorCode) -> Any:
    partitions = [_partition(ctx, index, offsets.get(index, _NOTHING), error) for index in asked.partition_indexes]
    return _answer(ctx, getattr(asked, "name", None), getattr(asked, "topic_id", None), partitions)


def _answer(ctx: RequestContext, name: str | None, topic_id: Any, partitions: list[Any]) -> Any:
    build = ctx.schema.OffsetFetchResponseTopics if ctx.api_version >= 8 else ctx.schema.OffsetFetchResponseTopic
    return build(name=name, topic_id=topic_id, partitions=tuple(partitions))


def _partition(ctx: RequestContext, index: int, commit: OffsetCommit, error: ErrorCode) -> Any:
    m = ctx.schema
    build = m.OffsetFetchResponsePartitions if ctx.api_version >= 8 else m.OffsetFetchResponsePartition
    return build(
        partition_index=index,
        committed_offset=commit.offset,
        committed_leader_epoch=commit.leader_epoch,
        metadata=commit.metadata,
        error_code=error,
    )
