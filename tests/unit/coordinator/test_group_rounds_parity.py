"""Whatever members do, and whichever of their requests the engine parks: all hear what they would hear from Python alone.

A random life of one group runs twice against coordinators with the same clock and ids: once with some JoinGroups and
SyncGroups parked, once with ordinary ones only. The bodies of all answers, the log and the group are compared.
"""

import asyncio
import itertools
from unittest.mock import patch

from group_harness import SESSION_MS, FakeLog, Service, join_request, turn
from hypothesis import given
from hypothesis import strategies as st

from odradek.broker.coordinator.group import service as service_module
from odradek.broker.coordinator.group.answers import body_of
from odradek.broker.coordinator.group.members import Identity, Joined
from odradek.broker.coordinator.group.states import Limits
from odradek.errors import ErrorCode

SLOTS = 5
INSTANCES = {4: "i"}
LONG_MS = 10 * SESSION_MS

ORDINARY = ("round", 5, 0, [False] * 10)
STABLE = [ORDINARY, ORDINARY, ("wait", SESSION_MS + 1), ORDINARY]

slot = st.integers(0, SLOTS - 1)
moves = st.one_of(
    st.tuples(st.just("join"), slot, st.integers(0, 9), st.integers(0, 2), st.booleans()),
    st.tuples(st.just("sync"), slot, st.integers(0, 5), st.sampled_from(["plain", "stale", "wrong"]), st.booleans()),
    st.tuples(
        st.just("round"), st.integers(0, 9), st.integers(0, 2), st.lists(st.booleans(), min_size=10, max_size=10)
    ),
    st.tuples(st.just("leave"), slot),
    st.tuples(st.just("beat"), slot),
    st.tuples(st.just("fresh"), slot),
    st.tuples(st.just("wait"), st.sampled_from([0, 50, SESSION_MS // 2, SESSION_MS + 1, LONG_MS])),
    st.tuples(
        st.just("restart"),
    ),
)


class Life:
    """One run: what each slot knows, and the body of each answer by the number of its request."""

    def __init__(self, *, park, limits):
        self.park = park
        self.limits = limits
        self.service = None
        self.ids = dict.fromkeys(range(SLOTS), "")
        self.generations = dict.fromkeys(range(SLOTS), -1)
        self.leaders = dict.fromkeys(range(SLOTS), "")
        self.lives = dict.fromkeys(range(SLOTS), 0)
        self.open = {}
        self.answers = {}
        self.notes = []
        self.parked = 0
        self.numbers = itertools.count()

    async def start(self):
        self.service = await Service(limits=self.limits).start()

    async def send(self, who, version, park, ask):
        """Send one request, parked if it is to be and can be; `ask` = (park it, or None; ask as a coroutine)."""
        number = next(self.numbers)
        token = ask[0]() if park and self.park else None
        if token is not None:
            self.parked += 1
            self.open[number] = who, self.lives[who], version, token
        else:
            self.open[number] = who, self.lives[who], version, asyncio.ensure_future(ask[1]())
        await self.settle()
        self.learn_parked()

    async def join(self, who, version, change, park):
        instance = INSTANCES.get(who)
        request = join_request(
            self.ids[who],
            protocols={"range": b"\0\1\0\0\0\0", "rr": b"\0\1\0\0\0\0"} if change < 2 else {"range": b"\0\1\0\0\0\0"},
            instance_id=instance if version >= 5 else None,
            needs_member_id=version >= 4,
            can_skip_assignment=version >= 9,
            client_id=f"c{who}",
        )
        if change == 1:
            request = request._replace(protocols=request.protocols | {"range": b"\0\1\0\0\0\0more"})
        log, groups = self.service.log, self.service.coordinator
        await self.send(
            who, version, park, (lambda: log.park_join("g", request, version), lambda: groups.join("g", request))
        )

    async def sync(self, who, version, how, park):
        instance = INSTANCES.get(who) if version >= 3 else None
        generation = self.generations[who] - (how == "stale")
        identity = Identity(self.ids[who], instance, generation)
        protocol = ("consumer", "nonsense" if how == "wrong" else None) if version < 5 else ("consumer", "range")
        leads = self.leaders[who] == self.ids[who] != ""
        shares = {member: b"of " + member.encode() for member in self.ids.values() if member} if leads else {}
        log, groups = self.service.log, self.service.coordinator
        await self.send(
            who,
            version,
            park,
            (
                lambda: log.park_sync("g", identity, protocol, shares, version),
                lambda: groups.sync("g", identity, protocol, shares),
            ),
        )

    async def settle(self):
        log = self.service.log
        for _ in range(3):
            await turn()
            while log.rung:
                self.service.coordinator.gathered(log.rung.pop(0))
            for number, (who, life, version, place) in list(self.open.items()):
                if isinstance(place, int):
                    body = log.answered.get(place)
                else:
                    body = body_of(version, place.result()) if place.done() else None
                    # What a client asked that has gone since teaches the one in its place nothing.
                    if body is not None and isinstance(place.result(), Joined) and life == self.lives[who]:
                        self.learn(who, place.result())
                if body is not None:
                    self.answers[number] = body
                    del self.open[number]

    def learn(self, who, joined):
        if joined.error in {ErrorCode.NONE, ErrorCode.MEMBER_ID_REQUIRED}:
            self.ids[who], self.generations[who], self.leaders[who] = joined[1], joined[2], joined.leader

    def learn_parked(self):
        """What a parked join was told is in its body only; the group says the same."""
        group = self.service.coordinator.describe("g")
        for who, member_id in self.ids.items():
            if group is not None and member_id in group.members.by_id:
                self.generations[who], self.leaders[who] = group.generation, group.members.leader

    async def step(self, move):
        what, *rest = move
        groups = self.service.coordinator
        if what == "join":
            await self.join(*rest)
        elif what == "sync":
            await self.sync(*rest)
        elif what == "round":
            version, change, parks = rest
            for who in range(SLOTS):
                await self.join(who, version, change, parks[who])
            for who in reversed(range(SLOTS)):
                await self.sync(who, min(version, 5), "plain", parks[who + SLOTS])
        elif what == "leave":
            self.notes.append(groups.leave("g", [(self.ids[rest[0]], INSTANCES.get(rest[0]))]))
        elif what == "beat":
            self.notes.append(groups.heartbeat("g", Identity(self.ids[rest[0]], None, self.generations[rest[0]])))
        elif what == "fresh":
            self.ids[rest[0]] = ""
            self.lives[rest[0]] += 1
        elif what == "wait":
            await self.service.clock.advance(rest[0])
        elif what == "restart":
            await groups.stop()
            await self.settle()
            assert not self.open, "somebody still waits for a broker that has stopped"
            log, self.service.log = self.service.log, FakeLog()
            self.service.log.partitions = log.partitions
            self.service = await self.service.restarted()
        await self.settle()
        self.learn_parked()


async def live(program, *, park, limits):
    numbers = itertools.count()
    with patch.object(service_module, "uuid4", lambda: f"{next(numbers):03}"):
        life = Life(park=park, limits=limits)
        await life.start()
        for move in program:
            await life.step(move)
        await life.service.clock.advance(2 * LONG_MS)
        await life.settle()
        await life.service.coordinator.stop()
        await life.settle()
    assert not life.open, "somebody waits for ever"
    assert not life.service.log.tables
    return life


@given(
    program=st.lists(moves, max_size=40),
    delay_ms=st.sampled_from([0, 0, 3_000]),
    max_size=st.sampled_from([2**31 - 1, 3]),
)
def test_parked_requests_are_answered_as_ordinary_ones(program, delay_ms, max_size):
    program = [*STABLE, *program]
    limits = Limits(delay_ms, max_size)
    one = asyncio.run(live(program, park=True, limits=limits))
    other = asyncio.run(live(program, park=False, limits=limits))
    assert one.answers == other.answers
    assert one.notes == other.notes
    assert one.service.log.records() == other.service.log.records()


def test_the_comparison_parks_something():
    life = asyncio.run(live([*STABLE, ("round", 5, 1, [True] * 10)], park=True, limits=Limits(0)))
    assert life.parked == 2 * SLOTS
