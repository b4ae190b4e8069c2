"""The one request of a member of KIP-848: build a heartbeat, send it to the coordinator, take the answer apart.

Decides nothing: error codes are returned as they came; `modern_member.py` judges them. A heartbeat says only what has
changed since the last one that was answered; what stays None in `Beat` is "as before".
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

from odradek.client.consumer.group_calls import GroupCalls, Identity
from odradek.client.consumer.settings import GroupSettings
from odradek.errors import ErrorCode
from odradek.protocol.api_keys import ApiKey

__all__ = ["JOIN_EPOCH", "Answer", "Beat", "ModernCalls", "Place"]

JOIN_EPOCH: Final = 0
_LEAVE_EPOCH: Final = -1
_LEAVE_FOR_NOW_EPOCH: Final = -2
"""A static member's: it keeps its partitions until its session ends."""
_VERSIONS: Final = (0, 1)


class Place(NamedTuple):
    """A partition as the coordinator names it."""

    topic_id: UUID
    partition: int


@dataclass(frozen=True, slots=True)
class Beat:
    """What a heartbeat says."""

    who: Identity
    """Generation: the member's epoch, JOIN_EPOCH to join."""
    topics: frozenset[str] | None = None
    """Names subscribed to."""
    owned: frozenset[Place] | None = None
    """What the member has, and nothing that it gave up."""
    full: bool = False
    """Everything is said, as when joining, and after an answer that did not come."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What it was answered."""

    error: int
    message: str | None
    who: Identity
    """The member with its epoch from now on."""
    interval: float
    """Seconds to the next heartbeat."""
    target: frozenset[Place] | None
    """What the member should own; None = as told before."""


class ModernCalls:
    """Requests of one member. Belongs to one asyncio loop."""

    def __init__(self, calls: GroupCalls, settings: GroupSettings) -> None:
        self._calls = calls
        self._settings = settings
        self.sent = False
        """True once a heartbeat was on its way: from then on, until it says goodbye, the coordinator may know of the member."""

    async def heartbeat(self, beat: Beat) -> Answer:
        """Say that the member lives, and what is new."""
        settings = self._settings
        rebalance_ms = settings.max_poll_interval_ms if beat.full else -1

        def build(m: Any) -> Any:
            self.sent = True
            return m.ConsumerGroupHeartbeatRequest(
                group_id=settings.group_id,
                member_id=beat.who.member_id,
                member_epoch=beat.who.generation,
                instance_id=settings.instance_id,
                rack_id=settings.rack if beat.full else None,
                rebalance_timeout=timedelta(milliseconds=rebalance_ms),
                subscribed_topic_names=None if beat.topics is None else tuple(sorted(beat.topics)),
                server_assignor=settings.remote_assignor if beat.full else None,
                topic_partitions=None if beat.owned is None else tuple(_rows(m, beat.owned)),
            )

        answer = await self._calls.ask(ApiKey.CONSUMER_GROUP_HEARTBEAT, build, _VERSIONS)
        return Answer(
            self._calls.judged(answer.error_code),
            answer.error_message,
            Identity(answer.member_id or beat.who.member_id, answer.member_epoch),
            answer.heartbeat_interval.total_seconds(),
            None if answer.assignment is None else frozenset(_places(answer.assignment.topic_partitions)),
        )

    async def leave(self, member_id: str) -> int:
        """Leave the group, a static member for now; return the error code."""
        epoch = _LEAVE_EPOCH if self._settings.instance_id is None else _LEAVE_FOR_NOW_EPOCH
        code = (await self.heartbeat(Beat(Identity(member_id, epoch)))).error
        self.sent = code != ErrorCode.NONE
        return code


def _rows(m: Any, places: Iterable[Place]) -> Iterable[Any]:
    by_topic: dict[UUID, list[int]] = {}
    for topic_id, partition in sorted(places):
        by_topic.setdefault(topic_id, []).append(partition)
    for topic_id, partitions in by_topic.items():
        yield m.TopicPartitions(topic_id=topic_id, partitions=tuple(partitions))


def _places(rows: Iterable[Any]) -> Iterable[Place]:
    return (Place(row.topic_id, partition) for row in rows for partition in row.partitions)
