"""Requests that no decent client sends, in any order, against one classic group: it stays consistent and ends empty.

Member ids are given ones, others', pending or made up; instance ids anybody's; generations old or yet to come; leaders
change their mind. `test_group_simulation.py` has decent members, and a coordinator that dies. To run one seed again:
`pytest ... -k 'seed-12'`.
"""

import random
from collections import Counter

import pytest
from group_harness import SESSION_MS, Driver

from odradek.broker.coordinator.group.classic import ClassicGroup
from odradek.broker.coordinator.group.states import Limits, State

SEEDS = 100
STEPS = 60
PROTOCOLS = [{"range": b"", "rr": b""}] * 3 + [{"rr": b"new", "range": b""}, {"rr": b""}, {"sticky": b""}, {}]


class Hostile(Driver):
    """A group, and whoever knows the ids of its members."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        limits = Limits(initial_rebalance_delay_ms=0, max_size=self.random.choice([2, 3, 1_000]))
        super().__init__(limits=limits)
        self.together = False
        self.syncs = {}

    def settle(self):
        """What comes right after a sync may be gathered with it: nothing is written in between."""
        if not self.together:
            super().settle()

    def step(self):
        often = [self.newcomer] * 4 + [self.hostile_join] * 4 + [self.hostile_sync] * 4 + [self.rounds] * 4
        self.random.choice([*often, self.beat, self.beat, self.some_leave, self.wait])()
        self.check()

    def somebody(self):
        """An id, and an instance id that need not be its own."""
        ids = [*self.group.members.by_id, *self.group.members.pending] * 2
        return self.random.choice([*ids, "", "stranger"]), self.random.choice([None, None, None, "a", "b"])

    def generation(self):
        return self.group.generation + self.random.choice([0, 0, 0, 0, -1, 1])

    def newcomer(self):
        self.join(instance_id=self.somebody()[1], protocols=PROTOCOLS[0])

    def hostile_join(self):
        member_id, instance_id = self.somebody()
        protocols, round_trip = self.random.choice(PROTOCOLS), self.random.random() < 0.5
        self.join(member_id, instance_id=instance_id, protocols=protocols, needs_member_id=round_trip)

    def hostile_sync(self):
        self.together = self.random.random() < 0.5
        self.send_sync(*self.somebody(), self.generation())
        self.together = False

    def send_sync(self, member_id, instance_id, generation):
        shares = {one: self.random.randbytes(1) for one in self.group.members.by_id}
        self.syncs[self.sync(member_id, generation, shares, instance_id=instance_id)] = member_id, generation

    def rounds(self):
        """Everybody does what is expected; the leader says it twice."""
        for member in list(self.group.members.by_id.values()):
            if member.join_waiter is None:
                self.join(member.member_id, instance_id=member.instance_id, protocols=PROTOCOLS[0])
        members = [*self.group.members.by_id.values()]
        if self.group.state is State.COMPLETING_REBALANCE:
            self.together = True
            for member in self.random.choices(members, k=2) + members:
                self.send_sync(member.member_id, member.instance_id, self.group.generation)
            self.together = False
            self.settle()

    def beat(self):
        member_id, instance_id = self.somebody()
        self.random.choice([self.commit, self.heartbeat])(member_id, self.generation(), instance_id)

    def some_leave(self):
        self.leave(*(self.somebody() for _ in range(self.random.randint(1, 3))))

    def wait(self):
        self.settle()
        self.advance(self.random.choice([60, 60, SESSION_MS // 2, SESSION_MS]))

    def check(self):
        group, members = self.group, self.group.members
        everybody = members.by_id.values()
        assert members.awaiting_join == sum(member.join_waiter is not None for member in everybody)
        assert members.static_ids == {m.instance_id: m.member_id for m in everybody if m.instance_id is not None}
        assert members.leader in members.by_id or (members.leader is None and not everybody)
        assert members.by_id.keys().isdisjoint(members.pending)
        assert members._supporters == Counter(name for member in everybody for name in member.protocols)
        assert all(m.join_waiter is None or group.state is State.PREPARING_REBALANCE for m in everybody)
        assert all(m.sync_waiter is None or group.state is State.COMPLETING_REBALANCE for m in everybody)
        if group.state is State.STABLE and not group.records:
            self.check_settled()

    def check_settled(self):
        """The log has what the members were told."""
        read = ClassicGroup("g", self.group._limits)
        read.apply(self.log[-1], self.now)
        assert view(read) == view(self.group)
        for waiter, (member_id, generation) in self.syncs.items():
            answer, member = self.answers.get(waiter), self.group.members.by_id.get(member_id)
            if answer is not None and not answer.error and member is not None and generation == self.group.generation:
                assert answer.assignment == member.assignment

    def check_end(self):
        """Nobody says anything any more."""
        self.settle()
        self.advance(400_000)
        self.check()
        assert self.group.is_empty
        assert not self.group.members.by_id
        assert not self.group.members.pending
        assert len(self.answers) == next(self._waiters) - 1


def view(group):
    members = {(m.member_id, m.instance_id, m.assignment) for m in group.members.by_id.values()}
    return group.state, group.generation, group.protocol, group.members.leader, members


@pytest.mark.parametrize("seed", range(SEEDS), ids=lambda seed: f"seed-{seed}")
def test_a_group_stays_consistent_whatever_comes(seed):
    group = Hostile(seed)
    for _ in range(STEPS):
        group.step()
    group.check_end()
