"""Members that come, go, die, restart and stall at random, against one coordinator, with time in hand.

Each seed is one life of a few groups: some twenty simulated members that behave as Kafka's consumer does (join, sync,
heartbeat, commit, leave), fail as processes do, and a coordinator that is killed now and then. To run one seed again:
`pytest ... -k 'seed-123'`. What must hold at every step:

- generations only count up; one that was settled never comes again;
- nobody works in a generation that is over: its heartbeats and commits are refused;
- within a generation no assignment is given to two members, and everybody is given what its leader decided;
- what a member was told is committed is there, whatever happened since;
- a coordinator that reads the log knows the same settled groups and offsets as the one that wrote it;
- when the trouble ends, every group settles, and nobody waits for ever.
"""

import asyncio
import random

import pytest
from group_harness import FakeClock, Service, join_request, turn

from odradek.broker.coordinator.group.members import Identity
from odradek.broker.coordinator.group.states import Limits, State
from odradek.errors import ErrorCode, KafkaError

SEEDS = 200
SESSION_MS = 6_000
REBALANCE_MS = 9_000
PARTITIONS = 6


class World:
    """One coordinator at a time, its members, and what they have been told."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.limits = Limits(self.random.choice([0, 500, 3_000]), max_size=self.random.choice([8, 1_000]))
        # Shorter than a static member's session: one that stalls may sleep through a rebalance and stay a member.
        self.rebalance_ms = self.random.choice([SESSION_MS // 2, REBALANCE_MS])
        self.service = None
        self.calm = False
        self.members = []
        self.owners = {}
        self.generations = {}
        self.committed = {}

    def mischief(self, probability):
        return not self.calm and self.random.random() < probability

    async def start(self, log=None, clock=None):
        self.service = Service(log=log, clock=clock, limits=self.limits)
        await self.service.start()

    async def crash(self):
        """Kill the coordinator; another reads its log. Nobody is answered, connections just end."""
        old = self.service
        alive = [member for member in self.members if member.alive]
        for member in alive:
            member.task.cancel()
        await asyncio.gather(*(member.task for member in alive), return_exceptions=True)
        before = settled(old)
        await self.start(old.log, FakeClock(old.clock.wall_ms()))
        assert restored(self.service, before) == before
        self.check_offsets()
        # As in Kafka, a generation that nobody had synced yet is in memory only, and its number comes again.
        self.generations = {name: group[1] for name, group in settled(self.service)[0].items()}
        for member in alive:
            member.task = asyncio.ensure_future(member.live())

    def note_joined(self, group, joined):
        last = self.generations.get(group, 0)
        assert joined.generation >= last, f"{group} went back from {last} to {joined.generation}"
        self.generations[group] = joined.generation

    def note_assignment(self, group, member_id, generation, assignment):
        for partition in assignment:
            owner = self.owners.setdefault((group, generation, partition), member_id)
            assert owner == member_id, f"{group} {generation}: {partition} belongs to {owner} and {member_id}"

    def check_offsets(self):
        for (group, partition), offset in self.committed.items():
            assert self.service.offset(group, "t", partition) == offset


class Member:
    """A consumer: one task that lives until it leaves, dies, or the world ends."""

    def __init__(self, world, group, instance_id=None):
        self.world = world
        self.group = group
        self.instance_id = instance_id
        self.member_id = ""
        self.generation = -1
        self.owned = b""
        self.stalled = False
        self.wants_rejoin = False
        self.task = asyncio.ensure_future(self.live())

    @property
    def alive(self):
        return not self.task.done()

    async def live(self):
        while await self.join() != "leave":
            while not self.wants_rejoin:
                await self.pause(SESSION_MS / 3)
                if not self.stalled and not await self.work():
                    break
            self.wants_rejoin = False

    async def pause(self, ms):
        over = asyncio.get_running_loop().create_future()
        self.world.service.clock.call_at(
            self.world.service.clock.monotonic_ms() + ms, lambda: over.done() or over.set_result(None)
        )
        await over

    async def join(self):
        names = self.world.random.sample(["range", "rr", "sticky"], 3)
        request = join_request(
            self.member_id,
            protocols=dict.fromkeys(names, b"\0\1\0\0\0\1\0\1t"),
            session_timeout_ms=3 * SESSION_MS if self.instance_id else SESSION_MS,
            rebalance_timeout_ms=self.world.rebalance_ms,
            instance_id=self.instance_id,
            needs_member_id=self.world.random.random() < 0.8,
        )
        try:
            joined = await self.world.service.coordinator.join(self.group, request)
        except KafkaError:
            return await self.pause(100)
        if joined.error == ErrorCode.MEMBER_ID_REQUIRED:
            self.member_id = joined.member_id
            return await self.pause(2 * SESSION_MS) if self.world.mischief(0.1) else await self.join()
        if joined.error:
            self.forget(joined.error)
            return await self.pause(100)
        self.member_id, self.generation = joined.member_id, joined.generation
        self.world.note_joined(self.group, joined)
        return await self.sync(joined)

    async def sync(self, joined):
        assignments = {}
        if joined.leader == joined.member_id and not joined.skip_assignment:
            ids = [member_id for member_id, _, _ in joined.members]
            for partition in range(PARTITIONS):
                who = ids[partition % len(ids)]
                assignments[who] = assignments.get(who, b"") + bytes([partition])
        if self.world.mischief(0.05):
            return await self.pause(2 * REBALANCE_MS)  # never syncs
        try:
            synced = await self.world.service.coordinator.sync(
                self.group, self.who(), (joined.protocol_type, joined.protocol), assignments
            )
        except KafkaError:
            return await self.pause(100)
        if synced.error:
            self.forget(synced.error)
            return await self.pause(100)
        self.owned = synced.assignment
        # a static member that restarts keeps what its instance owns
        self.world.note_assignment(self.group, self.instance_id or self.member_id, self.generation, self.owned)
        return None

    async def work(self):
        """Heartbeat and perhaps commit; return False when it has to join again."""
        try:
            code = self.world.service.coordinator.heartbeat(self.group, self.who())
            assert code or self.world.service.coordinator.describe(self.group).generation == self.generation
            if not code and self.owned and self.world.random.random() < 0.5:
                await self.commit()
        except KafkaError as error:
            code = error.error_code
        self.forget(code)
        return not code

    async def commit(self):
        partition = self.world.random.choice(self.owned)
        offset = self.world.random.randrange(1_000_000)
        await self.world.service.commit(self.group, {("t", partition): offset}, self.who())
        assert self.world.service.coordinator.describe(self.group).generation == self.generation
        self.world.committed[self.group, partition] = offset

    def who(self):
        return Identity(self.member_id, self.instance_id, self.generation)

    def forget(self, code):
        if code in {ErrorCode.UNKNOWN_MEMBER_ID, ErrorCode.FENCED_INSTANCE_ID, ErrorCode.GROUP_MAX_SIZE_REACHED}:
            self.member_id = ""

    def leave(self):
        self.kill()
        if self.member_id:
            self.world.service.coordinator.leave(self.group, [(self.member_id, self.instance_id)])

    def kill(self):
        self.task.cancel()


def settled(service):
    """What the log must know: every group's last settled generation, and all offsets."""
    groups = {}
    for group in (service.coordinator.describe(line.group_id) for line in service.coordinator.groups()):
        if group.state in {State.STABLE, State.EMPTY}:
            groups[group.group_id] = view(group)
    offsets = {line.group_id: service.coordinator.offsets(line.group_id) for line in service.coordinator.groups()}
    return groups, offsets


def restored(service, before):
    groups, offsets = settled(service)
    return {name: view for name, view in groups.items() if name in before[0]}, {
        name: kept for name, kept in offsets.items() if name in before[1]
    }


def view(group):
    members = {(m.member_id, m.instance_id, m.assignment, m.session_timeout_ms) for m in group.members.by_id.values()}
    return group.state, group.generation, group.protocol, group.members.leader, frozenset(members)


def step(world):
    """Let something happen."""
    rnd, members = world.random, [member for member in world.members if member.alive]
    what = rnd.random()
    if what < 0.35 and len(members) < 12:
        static = rnd.random() < 0.3
        instance = f"i{rnd.randrange(4)}" if static else None
        world.members.append(Member(world, rnd.choice(["a", "b"]), instance))
    elif members:
        member = rnd.choice(members)
        if what < 0.5:
            member.leave()
        elif what < 0.6:
            member.kill()
        elif what < 0.7:
            member.stalled = not member.stalled
        elif what < 0.8:
            member.wants_rejoin = True


@pytest.mark.parametrize("seed", range(SEEDS), ids=lambda seed: f"seed-{seed}")
async def test_groups_survive_whatever_their_members_do(seed):
    world = World(seed)
    await world.start()
    for _ in range(25):
        step(world)
        await turn()
        await world.service.clock.advance(world.random.choice([0, 10, 1_000, SESSION_MS, REBALANCE_MS]))
        if world.random.random() < 0.05:
            await world.crash()
    await check_everything_settles(world)
    world.check_offsets()
    await world.crash()
    for member in world.members:
        member.kill()
    await asyncio.gather(*(member.task for member in world.members), return_exceptions=True)
    for member in world.members:
        if not member.task.cancelled():
            assert member.task.exception() is None


async def check_everything_settles(world):
    """Nothing more happens to anybody: after a while all groups are settled and their members work."""
    world.calm = True
    by_instance = {}
    for member in world.members:
        member.stalled = False
        if member.alive and member.instance_id:  # two of a name fence each other for ever, as they should
            other = by_instance.setdefault((member.group, member.instance_id), member)
            if other is not member:
                member.kill()
    for _ in range(80):
        await turn()
        await world.service.clock.advance(1_000)
    for line in world.service.coordinator.groups():
        group = world.service.coordinator.describe(line.group_id)
        assert group.state in {State.STABLE, State.EMPTY}, f"{line.group_id} is stuck in {group.state}"
        working = [member for member in world.members if member.alive and member.group == line.group_id]
        crowd = min(len(working), world.limits.max_size)
        assert len(group.members) == crowd
        assert not group.members.pending
        assert sorted(b"".join(m.assignment for m in group.members.by_id.values())) == (
            list(range(PARTITIONS)) if crowd else []
        )
