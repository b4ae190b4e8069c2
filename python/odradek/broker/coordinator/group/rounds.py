"""Keeps the engine in step with what groups await, and runs the JoinGroups and SyncGroups that it has gathered meanwhile.

In a rebalance each member sends one of each, and nobody is answered before the last one is there. So the engine reads
plain ones of known members itself and keeps them ("parked"); it rings (`GroupCoordinator.gathered`) when what
`ClassicGroup.awaits` names has come, or anything that might be answered sooner. What is parked has arrived: it is to be
taken in (`take_in`) before anything else happens to the group. Nothing is decided here or in the engine: each row
goes through `ClassicGroup.join` or `sync` as a request does that a handler decoded.

Never with the engine: first rebalances, and the rest of a joining whose members changed after it began, for to tell of
all members anew at each change would cost more than it saves.
The other side: `rust/odradek-core/src/net/rounds.rs`.
"""

import logging
import os
from collections.abc import Sequence
from typing import Final, NamedTuple, Protocol

from odradek.broker.coordinator.clock import Clock
from odradek.broker.coordinator.group.answers import body_of
from odradek.broker.coordinator.group.classic import ClassicGroup
from odradek.broker.coordinator.group.members import Identity, Joined, JoinRequest, Synced
from odradek.broker.coordinator.group.states import Awaited, State
from odradek.errors import ErrorCode

__all__ = ["Gatherer", "JoinRow", "Parked", "Rounds", "SyncRow"]

_log = logging.getLogger("odradek.broker")

_ROWS_AT_ONCE: Final = 16
"""After so many an I/O thread that became ready on this core gets a turn: at most some 100 us."""

JoinRow = tuple[int, int, str, str | None, str, list[tuple[str, bytes]], int, int, str | None, str]
"""(token, version, member id, instance id, protocol type, protocols with metadata, session time-out ms, rebalance
time-out ms, client id, peer's address)."""
SyncRow = tuple[int, int, str, str | None, int, str | None, str | None, list[tuple[str, bytes]]]
"""(token, version, member id, instance id, generation, protocol type, protocol, assignments by member id)."""
Rows = tuple[list[JoinRow], list[SyncRow]]


class Parked(NamedTuple):
    """The waiter of a request that the engine keeps: where its answer goes."""

    token: int
    version: int


class Gatherer(Protocol):
    """What of the engine is needed here; see `_native.pyi`."""

    def know_members(  # noqa: D102
        self, group: str, protocol_type: str, members: Sequence[tuple[str, str | None, Sequence[str]]]
    ) -> None: ...
    def gather(  # noqa: D102
        self,
        group: str,
        generation: int,
        protocol: str | None,
        *,
        joins_of: Sequence[str],
        sync_of: str | None,
    ) -> None: ...
    def take_gathered(self, group: str) -> Rows: ...  # noqa: D102
    def forget_members(self, group: str) -> Rows: ...  # noqa: D102
    def respond_all(self, answers: Sequence[tuple[int, bytes]]) -> None: ...  # noqa: D102


class _Told(NamedTuple):
    """What the engine knows of a group."""

    revision: int
    state: State
    generation: int
    protocol: str | None
    awaited: Awaited


class Rounds:
    """Which groups the engine gathers for, and what it was told of them."""

    def __init__(self, engine: Gatherer, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock
        self._told: dict[str, _Told] = {}

    def follow(self, group: ClassicGroup) -> bool:
        """Tell the engine what an event has made of a group; to be called after each, before anybody is answered.

        Returns:
            Whether requests were run that the engine still had: what they left in the group is to be carried out, too.
        """
        group_id, state, revision = group.group_id, group.state, group.members.revision
        awaited = group.awaits()
        told = self._told.get(group_id)
        if told is None:
            if awaited is None or state is State.PREPARING_REBALANCE:
                return False
        elif awaited is None or (revision != told.revision and state is told.state is State.PREPARING_REBALANCE):
            del self._told[group_id]
            rows = self._engine.forget_members(group_id)
            self._run(group, rows)
            return any(rows)
        now = _Told(revision, state, group.generation, group.protocol, awaited)
        if now == told:
            return False
        self._told[group_id] = now
        if told is None or revision != told.revision:
            members = [(m.member_id, m.instance_id, list(m.protocols)) for m in group.members.by_id.values()]
            self._engine.know_members(group_id, group.protocol_type or "", members)
        joins_of, sync_of = awaited
        self._engine.gather(group_id, group.generation, group.protocol, joins_of=joins_of, sync_of=sync_of)
        return False

    def take_in(self, group: ClassicGroup) -> Rows:
        """Let what is parked for a group happen to it; return it."""
        if group.group_id not in self._told:
            return [], []
        rows = self._engine.take_gathered(group.group_id)
        self._run(group, rows)
        return rows

    def answer(self, answers: Sequence[tuple[Parked, Joined | Synced]]) -> None:
        """Answer requests that the engine keeps; one that was answered before is passed over there."""
        os.sched_yield()
        for start in range(0, len(answers), _ROWS_AT_ONCE):  # the first are sent while the next are encoded
            part = answers[start : start + _ROWS_AT_ONCE]
            self._engine.respond_all([(token, body_of(version, answer)) for (token, version), answer in part])
            os.sched_yield()

    def give_up(self, rows: Rows) -> None:
        """Answer UNKNOWN_SERVER_ERROR to those of the rows that have no answer yet: a bug must not keep them waiting."""
        code = ErrorCode.UNKNOWN_SERVER_ERROR
        joins, syncs = rows
        self.answer([(Parked(token, version), Joined(code, member_id)) for token, version, member_id, *_ in joins])
        self.answer([(Parked(token, version), Synced(code)) for token, version, *_ in syncs])

    def _run(self, group: ClassicGroup, rows: Rows) -> None:
        joins, syncs = rows
        now_ms = self._clock.monotonic_ms()
        try:
            # A SyncGroup stays quiet only while no JoinGroup is there: it has come first.
            for start in range(0, len(syncs), _ROWS_AT_ONCE):
                for token, version, member_id, instance_id, generation, kind, name, shares in syncs[
                    start : start + _ROWS_AT_ONCE
                ]:
                    who = Identity(member_id, instance_id, generation)
                    group.sync(who, (kind, name), dict(shares), Parked(token, version), now_ms)
                os.sched_yield()
            for start in range(0, len(joins), _ROWS_AT_ONCE):
                for row in joins[start : start + _ROWS_AT_ONCE]:
                    request = JoinRequest.of(*row[1:])
                    group.join(request, Parked(row[0], row[1]), now_ms, _no_new_id)
                os.sched_yield()
        except Exception:  # noqa: BLE001 - one bad request must not keep the others waiting
            _log.exception("the gathered requests of group %r failed", group.group_id)
            self.give_up(rows)


def _no_new_id() -> str:
    raise AssertionError("a member that the engine knows has an id")
