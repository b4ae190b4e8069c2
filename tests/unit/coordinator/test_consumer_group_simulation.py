"""Members of KIP-848 groups that come, go, stall, miss answers and restart at random, over deaths of the coordinator.

Each seed is one life of a group. What must hold at every step: no partition is held by two members that the group knows
(what a member holds is what it may be reading, until it has given it up itself); a coordinator that reads the log knows
the very same group. When the trouble ends: the group is stable, each partition has an owner, and heartbeats write
nothing any more. To run one seed again: `pytest ... -k 'seed-123'`.
"""

import random

import pytest
from consumer_harness import INTERVAL_MS, SESSION_MS, Member, consumer_service
from test_consumer_group_life import snapshot

from odradek.broker.coordinator.group.consumer_members import ConsumerState
from odradek.errors import ErrorCode, KafkaError

SEEDS = 150
STEPS = 120
TOPICS = ("t0", "t1", "t2")
REJOIN = {ErrorCode.FENCED_MEMBER_EPOCH, ErrorCode.UNKNOWN_MEMBER_ID, ErrorCode.GROUP_ID_NOT_FOUND}


class World:
    def __init__(self, seed):
        self.random = random.Random(seed)
        self.members = {}
        self.numbers = 0
        self.assignor = self.random.choice([None, "range", "uniform"])
        self.alike = self.random.random() < 0.5

    async def run(self):
        self.service = await consumer_service(t0=3, t1=1, t2=0)
        for _ in range(STEPS):
            await self.random.choice(self.moves())()
            self.check()
        for _ in range(12):
            await self.everybody()
            self.check()
        await self.check_calm()

    def moves(self):
        some = [self.heartbeat] * 12 + [self.apply] * 8 + [self.lose] * 2 + [self.wait] * 2
        return [*some, self.come, self.come, self.leave, self.die, self.change_topics, self.resubscribe, self.crash]

    def somebody(self):
        return self.random.choice(list(self.members.values())) if self.members else None

    def topics(self):
        return TOPICS if self.alike else tuple(self.random.sample(TOPICS, self.random.randint(1, 3)))

    async def come(self):
        if len(self.members) < 7:
            self.numbers += 1
            name = f"m{self.numbers}"
            instance = f"i{self.numbers}" if self.random.random() < 0.3 else None
            said = {} if self.assignor is None else {"assignor": self.assignor}
            member = self.members[name] = Member(self.service, name, self.topics(), instance_id=instance, **said)
            await self.send(member, member.join)

    async def leave(self):
        member = self.somebody()
        if member is None or member.epoch < 1:
            return
        for_a_while = member.instance_id is not None and self.random.random() < 0.7
        del self.members[member.member_id]
        await self.send(member, lambda: member.leave(-2 if for_a_while else -1))
        if for_a_while:
            self.numbers += 1
            back = Member(self.service, f"m{self.numbers}", self.topics(), instance_id=member.instance_id)
            self.members[back.member_id] = back

    async def die(self):
        member = self.somebody()
        if member is not None and self.random.random() < 0.5:
            del self.members[member.member_id]

    async def heartbeat(self):
        member = self.somebody()
        if member is not None:
            await self.send(member, member.beat if member.epoch > 0 else member.join)

    async def lose(self):
        """A heartbeat arrives, its answer does not."""
        member = self.somebody()
        if member is not None and member.epoch > 0:
            await self.send(member, lambda: member.beat(lost=True))

    async def apply(self):
        member = self.somebody()
        if member is not None:
            self.random.choice([member.apply, member.apply, member.revoke])()

    async def wait(self):
        await self.service.clock.advance(self.random.choice([100, INTERVAL_MS, INTERVAL_MS * 3]))

    async def change_topics(self):
        topics, name = self.service.topics, self.random.choice(TOPICS)
        found = topics.get(name)
        if found is not None and self.random.random() < 0.3:
            topics.drop(name)
        else:
            topics.put(name, (0 if found is None else len(found.partitions)) + self.random.randint(1, 3))

    async def resubscribe(self):
        member = self.somebody()
        if member is not None and member.epoch > 0 and not self.alike:
            await self.send(member, lambda: member.subscribe(*self.topics()))

    async def crash(self):
        before = self.service.coordinator.describe("g")
        self.service = await self.service.restarted()
        after = self.service.coordinator.describe("g")
        assert (before is None) == (after is None)
        if before is not None:
            assert snapshot(after) == snapshot(before)
        for member in self.members.values():
            member.service = self.service

    async def send(self, member, call):
        try:
            await call()
        except KafkaError as error:
            if error.error_code in REJOIN:
                member.epoch, member.holds, member.told = 0, {}, {}
            elif error.error_code is not ErrorCode.UNRELEASED_INSTANCE_ID:  # that is a place that is not free yet
                raise

    async def everybody(self):
        for member in list(self.members.values()):
            await self.send(member, member.beat if member.epoch > 0 else member.join)
            member.apply()
        await self.service.clock.advance(INTERVAL_MS)

    def check(self):
        group = self.service.coordinator.describe("g")
        holders = {}
        for member in self.members.values():
            if group is None or member.member_id not in group.members or member.epoch < 1:
                continue
            for topic, partitions in member.holds.items():
                for partition in partitions:
                    other = holders.setdefault((topic, partition), member.member_id)
                    assert other == member.member_id, f"{other} and {member.member_id} both have {partition}"

    async def check_calm(self):
        if not self.members:
            await self.service.clock.advance(SESSION_MS + INTERVAL_MS)
            group = self.service.coordinator.describe("g")
            assert group is None or group.state is ConsumerState.EMPTY
            return
        group = self.service.coordinator.describe("g")
        assert group.state is ConsumerState.STABLE
        assert group.members.keys() == self.members.keys()
        held = {
            (topic, partition): name
            for name, member in self.members.items()
            for topic, parts in member.holds.items()
            for partition in parts
        }
        wanted = {name for member in self.members.values() for name in member.topics}
        found = [topic for name in wanted if (topic := self.service.topics.get(name)) is not None]
        assert held.keys() == {(topic.topic_id.bytes, n) for topic in found for n in topic.partitions}
        assert held == group.owners
        writes = self.service.log.appends
        await self.everybody()
        assert self.service.log.appends == writes


@pytest.mark.parametrize("seed", range(SEEDS), ids=lambda seed: f"seed-{seed}")
async def test_a_life_of_a_consumer_group(seed):
    await World(seed).run()
