"""The requests of a classic group member, one method each: build, send to the coordinator, take the answer apart.

Decides nothing: error codes are returned as they came; `membership.py` and `commits.py` judge them. Join and Sync have
a connection of their own (they may be answered minutes later); heartbeats, commits and leaving never wait behind them.
A request that fails in the transport, or is told "not me", makes the coordinator be looked for anew.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, NamedTuple

from odradek.client.consumer.blobs import Subscription, decode_subscription
from odradek.client.consumer.settings import GroupSettings
from odradek.client.consumer.transport import Transport
from odradek.errors import ErrorCode, OdradekError
from odradek.protocol.api_keys import ApiKey
from odradek.types import OffsetAndMetadata, TopicPartition

__all__ = ["GroupCalls", "Identity", "Joined"]

_CONTROL: Final = 1
_COORDINATOR: Final = 2
_PROTOCOL_TYPE: Final = "consumer"
_JOIN_GRACE_S: Final = 5.0
"""The coordinator answers a join at the rebalance time-out at the latest; this much later it won't come any more."""
_ELSEWHERE: Final = frozenset({ErrorCode.NOT_COORDINATOR, ErrorCode.COORDINATOR_NOT_AVAILABLE})
_OLDEST_WITH_STATIC: Final[Mapping[ApiKey, int]] = {
    ApiKey.JOIN_GROUP: 5,
    ApiKey.SYNC_GROUP: 3,
    ApiKey.HEARTBEAT: 3,
    ApiKey.OFFSET_COMMIT: 7,
}
_VERSIONS: Final[Mapping[ApiKey, tuple[int, int]]] = {
    ApiKey.JOIN_GROUP: (0, 9),
    ApiKey.SYNC_GROUP: (0, 5),
    ApiKey.HEARTBEAT: (0, 4),
    ApiKey.LEAVE_GROUP: (0, 5),
    ApiKey.OFFSET_COMMIT: (2, 8),
    ApiKey.OFFSET_FETCH: (1, 8),
}


class Identity(NamedTuple):
    """Who a member is to its coordinator. Without a group that assigns, member id and generation are these defaults."""

    member_id: str = ""
    generation: int = -1


@dataclass(frozen=True, slots=True)
class Joined:
    """The answer to a join."""

    error: int
    member_id: str
    generation: int = -1
    protocol: str = ""
    leads: bool = False
    skip_assignment: bool = False
    """This member leads but the assignment of before holds (KIP-814)."""
    members: Mapping[str, Subscription] | None = None


class GroupCalls:
    """Requests of one group to its coordinator. Belongs to one asyncio loop."""

    def __init__(self, transport: Transport, settings: GroupSettings) -> None:
        self._transport = transport
        self._settings = settings
        self._coordinator: int | None = None

    def forget_coordinator(self) -> None:
        """Look for it anew before the next request."""
        self._coordinator = None

    async def join(self, member_id: str, protocols: Iterable[tuple[str, bytes]], reason: str) -> Joined:
        """Join or stay in the group; answered when all members have joined or the rebalance time-out is over."""
        settings = self._settings
        rebalance = timedelta(milliseconds=settings.max_poll_interval_ms)
        offered = list(protocols)

        def build(m: Any) -> Any:
            return m.JoinGroupRequest(
                group_id=settings.group_id,
                session_timeout=timedelta(milliseconds=settings.session_timeout_ms),
                rebalance_timeout=rebalance,
                member_id=member_id,
                group_instance_id=settings.instance_id,
                protocol_type=_PROTOCOL_TYPE,
                protocols=tuple(m.JoinGroupRequestProtocol(name=name, metadata=blob) for name, blob in offered),
                reason=reason,
            )

        patience = max(settings.request_timeout_ms / 1000, rebalance.total_seconds() + _JOIN_GRACE_S)
        answer = await self._ask(ApiKey.JOIN_GROUP, build, channel=_COORDINATOR, timeout=patience)
        if answer.error_code:
            return Joined(self._judged(answer.error_code), answer.member_id)
        leads = answer.leader == answer.member_id
        members = {
            one.member_id: decode_subscription(one.metadata, getattr(one, "group_instance_id", None))
            for one in answer.members
        }
        return Joined(
            0,
            answer.member_id,
            answer.generation_id,
            answer.protocol_name or "",
            leads,
            getattr(answer, "skip_assignment", False),
            members if leads else None,
        )

    async def sync(self, who: Identity, protocol: str, assignments: Mapping[str, bytes]) -> tuple[int, bytes]:
        """Give the leader's assignments, or none, and wait for one's own; return (error, blob)."""

        def build(m: Any) -> Any:
            return m.SyncGroupRequest(
                group_id=self._settings.group_id,
                generation_id=who.generation,
                member_id=who.member_id,
                group_instance_id=self._settings.instance_id,
                protocol_type=_PROTOCOL_TYPE,
                protocol_name=protocol,
                assignments=tuple(
                    m.SyncGroupRequestAssignment(member_id=member_id, assignment=blob)
                    for member_id, blob in assignments.items()
                ),
            )

        patience = max(self._settings.request_timeout_ms, self._settings.max_poll_interval_ms) / 1000 + _JOIN_GRACE_S
        answer = await self._ask(ApiKey.SYNC_GROUP, build, channel=_COORDINATOR, timeout=patience)
        return self._judged(answer.error_code), answer.assignment

    async def heartbeat(self, who: Identity) -> int:
        """Say that the member lives; return the error code."""

        def build(m: Any) -> Any:
            return m.HeartbeatRequest(
                group_id=self._settings.group_id,
                generation_id=who.generation,
                member_id=who.member_id,
                group_instance_id=self._settings.instance_id,
            )

        patience = min(self._settings.request_timeout_ms, self._settings.session_timeout_ms) / 1000
        answer = await self._ask(ApiKey.HEARTBEAT, build, channel=_CONTROL, timeout=patience)
        return self._judged(answer.error_code)

    async def leave(self, who: Identity, reason: str) -> int:
        """Leave the group; return the error code."""

        def build(m: Any) -> Any:
            identity = m.MemberIdentity(
                member_id=who.member_id, group_instance_id=self._settings.instance_id, reason=reason
            )
            return m.LeaveGroupRequest(
                group_id=self._settings.group_id, member_id=who.member_id, members=(identity,) if identity else ()
            )

        answer = await self._ask(ApiKey.LEAVE_GROUP, build, channel=_CONTROL)
        return self._judged(answer.error_code)

    async def commit(
        self, who: Identity, offsets: Mapping[TopicPartition, OffsetAndMetadata]
    ) -> dict[TopicPartition, int]:
        """Commit; return each partition's error code."""

        def build(m: Any) -> Any:
            by_topic: dict[str, list[Any]] = {}
            for (topic, partition), one in offsets.items():
                row = m.OffsetCommitRequestPartition(
                    partition_index=partition,
                    committed_offset=one.offset,
                    committed_leader_epoch=one.leader_epoch,
                    committed_metadata=one.metadata,
                )
                by_topic.setdefault(topic, []).append(row)
            return m.OffsetCommitRequest(
                group_id=self._settings.group_id,
                generation_id_or_member_epoch=who.generation,
                member_id=who.member_id,
                group_instance_id=self._settings.instance_id if who.member_id else None,
                retention_time=timedelta(milliseconds=-1),
                topics=tuple(
                    m.OffsetCommitRequestTopic(name=topic, partitions=tuple(rows)) for topic, rows in by_topic.items()
                ),
            )

        answer = await self._ask(ApiKey.OFFSET_COMMIT, build, channel=_CONTROL)
        return {
            TopicPartition(topic.name, row.partition_index): self._judged(row.error_code)
            for topic in answer.topics
            for row in topic.partitions
        }

    async def fetch_offsets(
        self, partitions: Iterable[TopicPartition]
    ) -> tuple[int, dict[TopicPartition, tuple[int, OffsetAndMetadata | None]]]:
        """Return (the group's error, for each partition its error and its commit, None when there is none)."""
        by_topic: dict[str, list[int]] = {}
        for topic, partition in partitions:
            by_topic.setdefault(topic, []).append(partition)
        group_id = self._settings.group_id

        def build(m: Any) -> Any:
            if m.version < 8:
                rows = tuple(
                    m.OffsetFetchRequestTopic(name=topic, partition_indexes=tuple(numbers))
                    for topic, numbers in by_topic.items()
                )
                return m.OffsetFetchRequest(group_id=group_id, topics=rows, require_stable=True)
            rows = tuple(
                m.OffsetFetchRequestTopics(name=topic, partition_indexes=tuple(numbers))
                for topic, numbers in by_topic.items()
            )
            group = m.OffsetFetchRequestGroup(group_id=group_id, topics=rows)
            return m.OffsetFetchRequest(groups=(group,), require_stable=True)

        answer = await self._ask(ApiKey.OFFSET_FETCH, build, channel=_CONTROL)
        if hasattr(answer, "groups"):
            (answer,) = answer.groups
        error = self._judged(getattr(answer, "error_code", 0))
        return error, {
            TopicPartition(topic.name, row.partition_index): (self._judged(row.error_code), _commit_in(row))
            for topic in answer.topics
            for row in topic.partitions
        }

    async def _ask(self, api: ApiKey, build: Any, *, channel: int, timeout: float | None = None) -> Any:  # noqa: ASYNC109
        if self._coordinator is None:
            self._coordinator = await self._transport.coordinator(self._settings.group_id)
        low, high = _VERSIONS[api]
        if self._settings.instance_id is not None:
            low = max(low, _OLDEST_WITH_STATIC.get(api, low))
        if timeout is None:
            timeout = self._settings.request_timeout_ms / 1000
        try:
            return await self._transport.request(
                api, build, node=self._coordinator, channel=channel, versions=(low, high), timeout=timeout
            )
        except OdradekError:
            self._coordinator = None
            raise

    def _judged(self, error_code: int) -> int:
        if error_code in _ELSEWHERE:
            self._coordinator = None
        return int(error_code)


def _commit_in(row: Any) -> OffsetAndMetadata | None:
    if row.committed_offset < 0:
        return None
    return OffsetAndMetadata(row.committed_offset, row.metadata or "", getattr(row, "committed_leader_epoch", -1))
