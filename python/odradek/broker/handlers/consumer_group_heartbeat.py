"""ConsumerGroupHeartbeat (key 68), versions 0 to 1: join, stay in and leave a group of the consumer protocol (KIP-848).

The answer tells the member its epoch, and what it may consume when that has changed or it said everything anew. Errors,
with a message: those of `consumer_heartbeat.py`, GROUP_ID_NOT_FOUND (69), UNSUPPORTED_VERSION (35) where the protocol is
switched off, and the coordinator's own.

v1 subscription by regular expression; the member makes its id (KIP-1082)
"""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from odradek.broker.context import RequestContext
from odradek.errors import ErrorCode, KafkaError
from odradek.protocol.api_keys import ApiKey

__all__ = ["API_KEY", "VERSIONS", "handle"]

API_KEY: Final = ApiKey.CONSUMER_GROUP_HEARTBEAT
VERSIONS: Final = (0, 1)

_MILLISECOND: Final = timedelta(milliseconds=1)
_NIL: Final = bytes(16)


async def handle(ctx: RequestContext, request: Any) -> Any:
    """Answer a ConsumerGroupHeartbeat request."""
    from odradek.broker.coordinator.group.consumer_members import HeartbeatRequest  # noqa: PLC0415 - many brokers see none

    m = ctx.schema
    names, owned = request.subscribed_topic_names, request.topic_partitions
    said = HeartbeatRequest(
        request.group_id,
        request.member_id,
        request.member_epoch,
        request.instance_id,
        request.rack_id,
        max(request.rebalance_timeout // _MILLISECOND, -1),
        None if names is None else tuple(sorted(set(names))),
        getattr(request, "subscribed_topic_regex", None),
        request.server_assignor,
        None if owned is None else _owned(owned),
        ctx.client_id or "",
        f"/{ctx.peer_host}",  # as Java prints an address: tools expect the slash
    )
    try:
        answer = await ctx.broker.groups.consumer_heartbeat(said, ctx.api_version)
    except KafkaError as error:
        return m.ConsumerGroupHeartbeatResponse(
            error_code=error.error_code,
            error_message=str(error),
            member_id=None,
            member_epoch=0,
            heartbeat_interval=timedelta(0),
            assignment=None,
        )
    assignment = answer.assignment
    return m.ConsumerGroupHeartbeatResponse(
        error_code=ErrorCode.NONE,
        error_message=None,
        member_id=answer.member_id,
        member_epoch=answer.epoch,
        heartbeat_interval=answer.heartbeat_interval_ms * _MILLISECOND,
        assignment=None
        if assignment is None
        else m.Assignment(
            topic_partitions=tuple(
                m.TopicPartitions(topic_id=UUID(bytes=topic), partitions=tuple(sorted(partitions)))
                for topic, partitions in assignment.items()
            )
        ),
    )


def _owned(topics: Iterable[Any]) -> dict[bytes, frozenset[int]]:
    owned: dict[bytes, set[int]] = {}
    for one in topics:
        topic = _NIL if one.topic_id is None else one.topic_id.bytes
        owned.setdefault(topic, set()).update(one.partitions)
    return {topic: frozenset(partitions) for topic, partitions in owned.items()}
