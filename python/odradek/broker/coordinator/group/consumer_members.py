"""The members of a KIP-848 consumer group as values, and what they ask and are told. Decides nothing.

Read next: `consumer.py` (the group), `consumer_heartbeat.py` (what a heartbeat does).
Source: Kafka `ConsumerGroupMember`, `MemberState`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, IntEnum
from typing import Final

from odradek.broker.coordinator.group.consumer_records import Assigned, Assignment, CurrentAssignment, Subscription

__all__ = [
    "JOIN_EPOCH",
    "LEAVE_EPOCH",
    "LEAVE_STATIC_EPOCH",
    "NOBODY",
    "ConsumerMember",
    "ConsumerState",
    "HeartbeatAnswer",
    "HeartbeatRequest",
    "MemberState",
    "plain",
]

JOIN_EPOCH: Final = 0
LEAVE_EPOCH: Final = -1
LEAVE_STATIC_EPOCH: Final = -2
"""A static member goes, its place is kept until its session ends."""
NOBODY: Final = Subscription(None, None, "", "", (), None, -1, None)
"""Of a member that nothing is known of yet."""


class ConsumerState(Enum):
    """Where a group stands; the values are Kafka's names."""

    EMPTY = "Empty"
    ASSIGNING = "Assigning"
    """The target assignment is behind the group's epoch."""
    RECONCILING = "Reconciling"
    """Some members are on their way to the target assignment."""
    STABLE = "Stable"
    DEAD = "Dead"


class MemberState(IntEnum):
    """Where a member stands on its way to its target assignment; the numbers are in the log."""

    STABLE = 0
    UNREVOKED_PARTITIONS = 1
    """It was told to give up partitions and has not said that it did."""
    UNRELEASED_PARTITIONS = 2
    """It waits for partitions that others still have."""
    UNKNOWN = 127

    @classmethod
    def _missing_(cls, _value: object) -> "MemberState":
        return cls.UNKNOWN


@dataclass(frozen=True, slots=True)
class ConsumerMember:
    """One member, as the records say."""

    member_id: str
    subscription: Subscription
    epoch: int = JOIN_EPOCH
    previous_epoch: int = JOIN_EPOCH
    state: MemberState = MemberState.STABLE
    assigned: Assigned = field(default_factory=dict)
    """What it may consume."""
    revoking: Assigned = field(default_factory=dict)
    """What it must give up and has not said to have given up; nobody else gets it yet."""

    def is_reconciled_to(self, target_epoch: int) -> bool:
        """Return whether nothing is left to do for the member until the target assignment changes."""
        return self.state is MemberState.STABLE and self.epoch == target_epoch

    def held(self) -> Assigned:
        """Return what the member has as far as anybody knows: what it may consume, and what it must give up still."""
        return {
            topic: {**self.assigned.get(topic, {}), **self.revoking.get(topic, {})}
            for topic in {**self.assigned, **self.revoking}
        }

    def current(self) -> CurrentAssignment:
        """Return the part of the member that its `CurrentAssignment` record holds."""
        return CurrentAssignment(self.epoch, self.previous_epoch, self.state, self.assigned, self.revoking)


@dataclass(frozen=True, slots=True)
class HeartbeatRequest:
    """What a member says. None: as it said before."""

    group_id: str
    member_id: str
    """Empty: the broker makes one (version 0)."""
    epoch: int
    instance_id: str | None = None
    rack_id: str | None = None
    rebalance_timeout_ms: int = -1
    topics: tuple[str, ...] | None = None
    """Sorted, each once."""
    regex: str | None = None
    """The empty string ends a subscription by expression."""
    assignor: str | None = None
    owned: Mapping[bytes, frozenset[int]] | None = None
    client_id: str = ""
    client_host: str = ""

    @property
    def is_full(self) -> bool:
        """True when it says everything: at its first request, and after one that failed."""
        return self.epoch == JOIN_EPOCH or (
            self.rebalance_timeout_ms != -1
            and (self.topics is not None or self.regex is not None)
            and self.owned is not None
        )


@dataclass(frozen=True, slots=True)
class HeartbeatAnswer:
    """What a member is told, if nothing is wrong."""

    member_id: str
    epoch: int
    heartbeat_interval_ms: int = 0
    assignment: Assignment | None = None
    """None: as it was told before."""


def plain(assigned: Assigned) -> Assignment:
    """Return the partitions without their epochs."""
    return {topic: frozenset(epochs) for topic, epochs in assigned.items()}
