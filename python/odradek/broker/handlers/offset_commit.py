"""OffsetCommit (key 8), versions 2 to 10: store the offsets a group goes on from.

Errors of a partition: UNKNOWN_TOPIC_OR_PARTITION (3) or UNKNOWN_TOPIC_ID (100), OFFSET_METADATA_TOO_LARGE (12); of the
group, then given for every partition: those of `ClassicGroup.check_commit`, GROUP_ID_NOT_FOUND (69; 22 before version
9), INVALID_COMMIT_OFFSET_SIZE (28) and the coordinator's own. Metadata of null is stored as "".
Not here: members of a stable classic group whose request has nothing of that; Rust serves them (`net/commits.rs`).

v2-4 retention of its own    v3 throttle time    v6 leader epoch (KIP-320)    v7 static members (KIP-345)    v8 flexible
v9 member epoch of KIP-848 groups, whose members must use it; STALE_MEMBER_EPOCH (113)    v10 topics by id (KIP-848)
"""

from datetime import timedelta
from functools import lru_cache
from typing import Any, Final

from odradek.broker.context import RequestContext
from odradek.broker.coordinator.group.members import Identity
from odradek.errors import ErrorCode, KafkaError
from odradek.protocol.api_keys import ApiKey
from odradek.protocol.codec import encode, schema

__all__ = ["API_KEY", "VERSIONS", "handle"]

API_KEY: Final = ApiKey.OFFSET_COMMIT
VERSIONS: Final = (2, 10)

_MILLISECOND: Final = timedelta(milliseconds=1)
_MAX_KEPT_ROWS: Final = 500
"""Answers about more topics and partitions are not kept."""


async def handle(ctx: RequestContext, request: Any) -> Any:
    """Answer an OffsetCommit request."""
    version = ctx.api_version
    topics = ctx.broker.topics
    found = [topics.by_id(one.topic_id) if version >= 10 else topics.get(one.name) for one in request.topics]
    commits = {}
    for asked, topic in zip(request.topics, found, strict=True):
        if topic is None:
            continue
        name, topic_id, count = topic.name, topic.topic_id.bytes, len(topic.partitions)
        for part in asked.partitions:
            if 0 <= part.partition_index < count:
                epoch = part.committed_leader_epoch if version >= 6 else -1
                metadata = part.committed_metadata or ""
                commits[name, part.partition_index] = (part.committed_offset, epoch, metadata, topic_id)
    failure: ErrorCode | None = None
    results: dict[tuple[str, int], ErrorCode] = {}
    who = Identity(
        request.member_id, getattr(request, "group_instance_id", None), request.generation_id_or_member_epoch
    )
    try:
        results = await ctx.broker.groups.commit_offsets(
            request.group_id,
            who,
            commits,
            retention_ms=request.retention_time // _MILLISECOND if version <= 4 else -1,
            knows_epochs=version >= 9,
        )
    except KafkaError as error:
        failure = error.error_code
        if failure is ErrorCode.GROUP_ID_NOT_FOUND and version < 9:
            failure = ErrorCode.ILLEGAL_GENERATION
    unknown = ErrorCode.UNKNOWN_TOPIC_ID if version >= 10 else ErrorCode.UNKNOWN_TOPIC_OR_PARTITION

    def code(name: str | None, index: int) -> ErrorCode:
        if name is None:
            return unknown
        if (name, index) not in commits:
            return ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
        return results[name, index] if failure is None else failure

    rows = tuple(
        (
            asked.topic_id if version >= 10 else asked.name,
            tuple(
                (part.partition_index, code(None if topic is None else topic.name, part.partition_index))
                for part in asked.partitions
            ),
        )
        for asked, topic in zip(request.topics, found, strict=True)
    )
    # Names of topics that are there are short; what else a client may send is not worth keeping, however long it is.
    keep = None not in found and sum(1 + len(parts) for _, parts in rows) <= _MAX_KEPT_ROWS
    return _encoded(version, rows) if keep else _response(version, rows)


_Rows = tuple[tuple[Any, tuple[tuple[int, ErrorCode], ...]], ...]
"""Of each topic its name or id and, of each partition, number and error."""


def _response(version: int, rows: _Rows) -> Any:
    m = schema(API_KEY, version)
    return m.OffsetCommitResponse(
        topics=tuple(
            m.OffsetCommitResponseTopic(
                name=topic,
                topic_id=topic,
                partitions=tuple(
                    m.OffsetCommitResponsePartition(partition_index=index, error_code=code) for index, code in parts
                ),
            )
            for topic, parts in rows
        )
    )


@lru_cache(128)
def _encoded(version: int, rows: _Rows) -> bytes:
    """Encode once what clients are told again and again: they commit the same partitions each time."""
    return encode(_response(version, rows))
