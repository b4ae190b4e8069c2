"""The states of a classic group, which may follow which, and what bounds a group. `classic.py` moves between them."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final, NamedTuple

from odradek.errors import ErrorCode

__all__ = ["HEARTBEAT", "TRANSITIONS", "Awaited", "Limits", "State"]


class State(Enum):
    """Where a group stands; the values are Kafka's names."""

    EMPTY = "Empty"
    PREPARING_REBALANCE = "PreparingRebalance"
    COMPLETING_REBALANCE = "CompletingRebalance"
    STABLE = "Stable"
    DEAD = "Dead"

    __hash__ = object.__hash__  # Enum's own is written in Python; tables of states are looked at for each request


TRANSITIONS: Final[Mapping[State, frozenset[State]]] = {
    State.EMPTY: frozenset({State.PREPARING_REBALANCE, State.DEAD}),
    State.PREPARING_REBALANCE: frozenset({State.EMPTY, State.COMPLETING_REBALANCE, State.DEAD}),
    State.COMPLETING_REBALANCE: frozenset({State.PREPARING_REBALANCE, State.STABLE, State.DEAD}),
    State.STABLE: frozenset({State.PREPARING_REBALANCE, State.DEAD}),
    State.DEAD: frozenset(),
}
"""From each state, the states that may follow. Reading the log (`ClassicGroup.apply`) sets EMPTY or STABLE directly."""

HEARTBEAT: Final[Mapping[State, ErrorCode]] = {
    State.EMPTY: ErrorCode.UNKNOWN_MEMBER_ID,
    State.PREPARING_REBALANCE: ErrorCode.REBALANCE_IN_PROGRESS,
    State.COMPLETING_REBALANCE: ErrorCode.NONE,
    State.STABLE: ErrorCode.NONE,
    State.DEAD: ErrorCode.COORDINATOR_NOT_AVAILABLE,
}
"""What a member of the present generation hears when it sends a heartbeat."""


class Awaited(NamedTuple):
    """What has to come before a group answers anybody, if its members do what is expected of them."""

    joins_of: tuple[str, ...] = ()
    """A JoinGroup of each of these members; none: the next one is answered, or begins a rebalance."""
    sync_of: str | None = None
    """The leader, whose SyncGroup the others' wait for; None: each is answered at once."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Broker settings that bound a group."""

    initial_rebalance_delay_ms: int = 3_000
    """`group.initial.rebalance.delay.ms`: how long the first rebalance waits for more members."""
    max_size: int = 2**31 - 1
    """`group.max.size`."""
    new_member_timeout_ms: int = 300_000
    """How long the first join of a member may wait; not an option in Kafka either."""
