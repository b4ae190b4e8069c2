"""The requests of a member of a classic group, one method each: build, send to the coordinator, take the answer apart.

Decides nothing: error codes are returned as they came; `classic_member.py` judges them. Join and Sync have a connection
of their own (they may be answered minutes later); heartbeats, commits and leaving never wait behind them.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from odradek.client.consumer.blobs import Subscription, decode_subscription
from odradek.client.consumer.group_calls import CONTROL, GroupCalls, Identity
from odradek.client.consumer.settings import GroupSettings
from odradek.protocol.api_keys import ApiKey

__all__ = ["ClassicCalls", "Joined"]

_COORDINATOR: Final = 2
_PROTOCOL_TYPE: Final = "consumer"
_JOIN_GRACE_S: Final = 5.0
"""The coordinator answers a join at the rebalance time-out at the latest; this much later it won't come any more."""
_OLDEST_WITH_STATIC: Final[Mapping[ApiKey, int]] = {ApiKey.JOIN_GROUP: 5, ApiKey.SYNC_GROUP: 3, ApiKey.HEARTBEAT: 3}
_VERSIONS: Final[Mapping[ApiKey, tuple[int, int]]] = {
    ApiKey.JOIN_GROUP: (0, 9),
    ApiKey.SYNC_GROUP: (0, 5),
    ApiKey.HEARTBEAT: (0, 4),
    ApiKey.LEAVE_GROUP: (0, 5),
}


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


class ClassicCalls:
    """Requests of one member. Belongs to one asyncio loop."""

    def __init__(self, calls: GroupCalls, settings: GroupSettings) -> None:
        self._calls = calls
        self._settings = settings

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
            return Joined(self._calls.judged(answer.error_code), answer.member_id)
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
        return self._calls.judged(answer.error_code), answer.assignment

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
        answer = await self._ask(ApiKey.HEARTBEAT, build, timeout=patience)
        return self._calls.judged(answer.error_code)

    async def leave(self, who: Identity, reason: str) -> int:
        """Leave the group; return the error code."""

        def build(m: Any) -> Any:
            identity = m.MemberIdentity(
                member_id=who.member_id, group_instance_id=self._settings.instance_id, reason=reason
            )
            return m.LeaveGroupRequest(
                group_id=self._settings.group_id, member_id=who.member_id, members=(identity,) if identity else ()
            )

        answer = await self._ask(ApiKey.LEAVE_GROUP, build)
        return self._calls.judged(answer.error_code)

    async def _ask(
        self,
        api: ApiKey,
        build: Callable[[Any], Any],
        *,
        channel: int = CONTROL,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> Any:
        low, high = _VERSIONS[api]
        if self._settings.instance_id is not None:
            low = max(low, _OLDEST_WITH_STATIC.get(api, low))
        return await self._calls.ask(api, build, (low, high), channel=channel, timeout=timeout)
