"""Keeps the engine's table of settled groups in step: it answers their heartbeats that have nothing to tell, and commits.

A stable group is in the table; it leaves before anything else becomes of it, and what the engine has heard of its members
is counted then, and whenever a session may have run out. What is not in the table is heard by `ClassicGroup.heartbeat`.

The offsets that its members commit the engine writes to the log and keeps until they are taken into the shard: `take`
before a group's offsets are read, `held` around what changes them here. A group that is not in the table has none there.
The other side: `rust/odradek-core/src/net/pulse.rs` and `commits.rs`.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from odradek.broker.coordinator.clock import Clock
from odradek.broker.coordinator.group.classic import ClassicGroup
from odradek.broker.coordinator.group.records import OffsetCommit, OffsetKey
from odradek.broker.coordinator.group.shard import GroupShard
from odradek.broker.coordinator.group.states import State

__all__ = ["Pulse", "SettledGroups"]

_Row = tuple[str, int, int, int, str, int, bytes]


class SettledGroups(Protocol):
    """What of the engine is needed here; see `_native.pyi`."""

    def settle_group(  # noqa: D102
        self, group: str, generation: int, members: Sequence[tuple[str, str | None]], partition: int
    ) -> None: ...
    def unsettle_group(self, group: str) -> dict[str, int]: ...  # noqa: D102
    def silences(self, group: str) -> dict[str, int]: ...  # noqa: D102
    def take_commits(self, group: str, *, hold: bool) -> Sequence[_Row]: ...  # noqa: D102
    def release_commits(self, group: str) -> None: ...  # noqa: D102


class Pulse:
    """Which groups the engine knows, and as what."""

    def __init__(self, engine: SettledGroups, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock
        self._settled: dict[str, tuple[int, int]] = {}
        """By group in the table: its generation and its members' revision."""

    def follow(self, shard: GroupShard, group: ClassicGroup) -> None:
        """Tell the engine what an event has made of a group; to be called after each, before anything else happens."""
        group_id = group.group_id
        known = self._settled.get(group_id)
        settled = (group.generation, group.members.revision) if group.state is State.STABLE else None
        if settled == known:
            return
        if known is not None:
            self._put(shard, group_id, self._engine.take_commits(group_id, hold=True))
            del self._settled[group_id]
            group.hear(self._engine.unsettle_group(group_id), self._clock.monotonic_ms())
        if settled is not None:
            members = [(member.member_id, member.instance_id) for member in group.members.by_id.values()]
            self._engine.settle_group(group_id, group.generation, members, shard.partition)
            self._settled[group_id] = settled

    def listen(self, group: ClassicGroup) -> None:
        """Count what the engine has heard, before sessions are looked at."""
        if group.group_id in self._settled:
            group.hear(self._engine.silences(group.group_id), self._clock.monotonic_ms())

    def take(self, shard: GroupShard, group_ids: Iterable[str]) -> None:
        """Let the shard know what the engine has committed for these groups of it."""
        for group_id in group_ids:
            if group_id in self._settled:
                self._put(shard, group_id, self._engine.take_commits(group_id, hold=False))

    @contextmanager
    def held(self, shard: GroupShard, group_ids: Iterable[str]) -> Iterator[None]:
        """Take as `take` does, and have the engine commit nothing for these groups while the block runs.

        So the order in the log, of what it commits and of what the block appends, is that in the shard. No `await` inside.
        """
        held = [group_id for group_id in group_ids if group_id in self._settled]
        try:
            for group_id in held:
                self._put(shard, group_id, self._engine.take_commits(group_id, hold=True))
            yield
        finally:
            for group_id in held:
                self._engine.release_commits(group_id)

    @staticmethod
    def _put(shard: GroupShard, group_id: str, rows: Iterable[_Row]) -> None:
        for topic, partition, offset, leader_epoch, metadata, timestamp_ms, topic_id in rows:
            commit = OffsetCommit(offset, leader_epoch, metadata, timestamp_ms, topic_id=topic_id)
            shard.offsets.put(OffsetKey(group_id, topic, partition), commit)
