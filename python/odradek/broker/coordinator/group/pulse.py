"""Keeps the engine's table of settled groups in step, so that it answers the heartbeats that have nothing to tell.

A stable group is in the table; it leaves before anything else becomes of it, and what the engine has heard of its members
is counted then, and whenever a session may have run out. What is not in the table is heard by `ClassicGroup.heartbeat`.
The other side: `rust/odradek-core/src/net/pulse.rs`.
"""

from collections.abc import Sequence
from typing import Protocol

from odradek.broker.coordinator.clock import Clock
from odradek.broker.coordinator.group.classic import ClassicGroup
from odradek.broker.coordinator.group.states import State

__all__ = ["Heartbeats", "Pulse"]


class Heartbeats(Protocol):
    """What of the engine is needed here; see `_native.pyi`."""

    def settle_group(self, group: str, generation: int, members: Sequence[tuple[str, str | None]]) -> None: ...  # noqa: D102
    def unsettle_group(self, group: str) -> dict[str, int]: ...  # noqa: D102
    def silences(self, group: str) -> dict[str, int]: ...  # noqa: D102


class Pulse:
    """Which groups the engine knows, and as what."""

    def __init__(self, engine: Heartbeats, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock
        self._settled: dict[str, tuple[int, int]] = {}
        """By group in the table: its generation and its members' revision."""

    def follow(self, group: ClassicGroup) -> None:
        """Tell the engine what an event has made of a group; to be called after each, before anything else happens."""
        group_id = group.group_id
        known = self._settled.get(group_id)
        settled = (group.generation, group.members.revision) if group.state is State.STABLE else None
        if settled == known:
            return
        if known is not None:
            del self._settled[group_id]
            group.hear(self._engine.unsettle_group(group_id), self._clock.monotonic_ms())
        if settled is not None:
            members = [(member.member_id, member.instance_id) for member in group.members.by_id.values()]
            self._engine.settle_group(group_id, group.generation, members)
            self._settled[group_id] = settled

    def listen(self, group: ClassicGroup) -> None:
        """Count what the engine has heard, before sessions are looked at."""
        if group.group_id in self._settled:
            group.hear(self._engine.silences(group.group_id), self._clock.monotonic_ms())
