"""JoinGroups and SyncGroups that the engine parks: what it is told of a group, and that none of them is ever forgotten."""

import asyncio
import logging

import pytest
from group_harness import REBALANCE_MS, SESSION_MS, Service, join_request, turn

from odradek.broker.coordinator.group.answers import body_of
from odradek.broker.coordinator.group.classic import ClassicGroup
from odradek.broker.coordinator.group.members import Identity, Joined, Synced
from odradek.broker.coordinator.group.states import State
from odradek.errors import ErrorCode, KafkaError


class Crowd:
    """A stable group `g` of some members, the leader first, and what they send."""

    def __init__(self, service, ids):
        self.service = service
        self.log = service.log
        self.groups = service.coordinator
        self.ids = ids

    @classmethod
    async def of(cls, count, service=None, **changes):
        service = service or await Service(**changes).start()
        groups = service.coordinator
        first = [await groups.join("g", join_request()) for _ in range(count)]
        joins = [asyncio.ensure_future(groups.join("g", join_request(one.member_id))) for one in first]
        await turn()
        await service.clock.advance(50)
        ids = [(await one).member_id for one in joins]
        crowd = cls(service, ids)
        for member_id in [*ids[1:], ids[0]]:
            crowd.sync_later(member_id)
        await turn()
        assert crowd.group.state is State.STABLE
        crowd.log.told.clear()
        return crowd

    @property
    def group(self):
        return self.groups.describe("g")

    def request(self, member_id, blob=b"new", **changes):
        return join_request(member_id, protocols={"range": blob}, **changes)

    def park_join(self, member_id, blob=b"new", version=9):
        token = self.log.park_join("g", self.request(member_id, blob), version)
        assert token is not None, "it is plain"
        self.ring()
        return token

    def who(self, member_id):
        return Identity(member_id, None, self.group.generation)

    def shares(self, member_id):
        return {one: one.encode() for one in self.ids} if member_id == self.group.members.leader else {}

    def park_sync(self, member_id, shares=None, version=5):
        given = self.shares(member_id) if shares is None else shares
        token = self.log.park_sync("g", self.who(member_id), ("consumer", "range"), given, version)
        assert token is not None, "it is plain"
        self.ring()
        return token

    def join_later(self, member_id="", **changes):
        return asyncio.ensure_future(self.groups.join("g", self.request(member_id, **changes)))

    def sync_later(self, member_id):
        sync = self.groups.sync("g", self.who(member_id), (None, None), self.shares(member_id))
        return asyncio.ensure_future(sync)

    def ring(self):
        while self.log.rung:
            self.groups.gathered(self.log.rung.pop(0))

    def told(self, token, answer, version):
        return self.log.answered.get(token) == body_of(version, answer)

    def refused(self, token, code, member_id=""):
        return self.told(token, Joined(code, member_id), 9)

    def sent_back(self, token, code):
        return self.told(token, Synced(code), 5)

    async def time_out(self, *alive):
        """Let the time for a round pass; these members send heartbeats."""
        for _ in range(REBALANCE_MS // 5_000):
            await self.service.clock.advance(5_000)
            for one in alive:
                self.groups.heartbeat("g", self.who(one))

    def completing(self):
        """Let everybody join with other metadata, parked."""
        for one in self.ids:
            self.park_join(one)
        assert self.group.state is State.COMPLETING_REBALANCE


@pytest.fixture
async def crowd():
    return await Crowd.of(3)


async def test_a_round_is_carried_out_in_two_rings_for_the_joins_and_one_for_the_syncs(crowd):
    leader, *followers = crowd.ids
    rings = []
    gathered, crowd.groups.gathered = crowd.groups.gathered, lambda group: (rings.append(group), gathered(group))
    joins = [crowd.park_join(one) for one in crowd.ids]
    assert len(rings) == 2
    assert crowd.told(joins[1], Joined(ErrorCode.NONE, followers[0], 2, "consumer", "range", leader), 9)
    syncs = [crowd.park_sync(one) for one in (*followers, leader)]
    assert len(rings) == 3
    assert crowd.told(syncs[0], Synced(ErrorCode.NONE, "consumer", "range", followers[0].encode()), 5)
    assert crowd.log.settled["g"][0] == 2
    assert len(crowd.log.answered) == 6


async def test_the_engine_is_told_what_each_state_awaits_and_of_members_only_when_they_change(crowd):
    leader, *followers = crowd.ids
    crowd.completing()
    crowd.park_sync(leader)
    assert crowd.log.told == [
        ("gather", "g", 1, "range", tuple(followers), None),
        ("gather", "g", 2, "range", (), leader),
        ("gather", "g", 2, "range", (), None),
    ]


async def test_the_engine_knows_what_to_await_before_anybody_is_answered(crowd):
    seen = []
    respond = crowd.log.respond_all
    crowd.log.respond_all = lambda rows: (seen.append(crowd.log.tables["g"].gather[:2]), respond(rows))
    crowd.completing()
    crowd.park_sync(crowd.ids[0])
    assert seen == [(2, "range"), (2, "range")]
    assert not crowd.log.tables["g"].gather[3]


async def test_a_first_rebalance_is_pythons(crowd):
    joining = [crowd.groups.join("h", join_request(needs_member_id=False)) for _ in range(2)]
    tasks = [asyncio.ensure_future(one) for one in joining]
    await turn()
    assert "h" not in crowd.log.tables
    await crowd.service.clock.advance(100)
    assert {(await one).generation for one in tasks} == {1}
    assert crowd.log.tables["h"].gather[3], "its SyncGroups are not"


async def test_an_ordinary_join_is_the_last_one_awaited(crowd):
    tokens = [crowd.park_join(one) for one in crowd.ids[:2]]
    joined = await crowd.join_later(crowd.ids[2])
    assert joined.generation == 2
    assert all(token in crowd.log.answered for token in tokens)


async def test_a_parked_join_is_the_last_one_awaited_behind_ordinary_ones(crowd):
    tasks = [crowd.join_later(one) for one in crowd.ids[:2]]
    await turn()
    token = crowd.park_join(crowd.ids[2])
    assert {(await one).generation for one in tasks} == {2}
    assert token in crowd.log.answered


async def test_the_last_parked_join_counts_when_the_one_that_is_missing_leaves(crowd):
    tokens = [crowd.park_join(one) for one in crowd.ids[:2]]
    assert crowd.groups.leave("g", [(crowd.ids[2], None)]) == [ErrorCode.NONE]
    assert crowd.group.generation == 2
    assert all(token in crowd.log.answered for token in tokens)


async def test_who_leaves_while_its_join_is_parked_hears_of_it(crowd):
    crowd.park_join(crowd.ids[0])
    token = crowd.park_join(crowd.ids[1])
    crowd.groups.leave("g", [(crowd.ids[1], None)])
    assert crowd.refused(token, ErrorCode.UNKNOWN_MEMBER_ID)


async def test_a_newcomer_lets_the_rest_of_the_joining_be_pythons_and_the_next_not(crowd):
    tokens = [crowd.park_join(one) for one in crowd.ids[:2]]
    newcomer = (await crowd.join_later()).member_id
    assert "g" not in crowd.log.tables
    tasks = [crowd.join_later(newcomer), crowd.join_later(crowd.ids[2])]
    assert {(await one).generation for one in tasks} == {2}
    assert all(token in crowd.log.answered for token in tokens)
    crowd.ids.append(newcomer)
    syncs = [crowd.park_sync(one) for one in reversed(crowd.ids)]
    assert all(token in crowd.log.answered for token in syncs)


async def test_members_whose_joins_are_parked_outlive_their_session(crowd):
    for one in crowd.ids[:2]:
        crowd.park_join(one)
    who = crowd.who(crowd.ids[2])
    for _ in range(5):
        await crowd.service.clock.advance(SESSION_MS - 1)
        assert crowd.groups.heartbeat("g", who) is ErrorCode.REBALANCE_IN_PROGRESS
    assert len(crowd.group.members) == 3


async def test_when_time_is_up_those_that_are_parked_have_joined(crowd):
    tokens = [crowd.park_join(one) for one in crowd.ids[:2]]
    await crowd.time_out(crowd.ids[2])
    assert crowd.group.generation == 2
    assert set(crowd.group.members.by_id) == set(crowd.ids[:2])
    assert all(token in crowd.log.answered for token in tokens)


async def test_when_time_is_up_those_whose_syncs_are_parked_stay(crowd):
    crowd.completing()
    token = crowd.park_sync(crowd.ids[1])
    await crowd.time_out(crowd.ids[0], crowd.ids[2])
    assert set(crowd.group.members.by_id) == {crowd.ids[1]}
    assert crowd.sent_back(token, ErrorCode.REBALANCE_IN_PROGRESS)


async def test_a_leader_that_has_nothing_to_assign_does_not_keep_the_others_waiting(crowd):
    crowd.completing()
    leader, *followers = crowd.ids
    tokens = [crowd.park_sync(one, shares={}) for one in followers]
    assert crowd.group.state is State.COMPLETING_REBALANCE
    tokens.append(crowd.park_sync(leader, shares={}))
    assert crowd.group.state is State.STABLE
    assert all(crowd.told(token, Synced(ErrorCode.NONE, "consumer", "range", b""), 5) for token in tokens)


async def test_an_unchanged_join_of_a_follower_is_answered_with_the_generation_as_it_stands(crowd):
    leader, follower, _ = crowd.ids
    blob = crowd.group.members.by_id[follower].protocols["range"]
    for version in range(10):
        token = crowd.park_join(follower, blob, version)
        assert crowd.told(token, Joined(ErrorCode.NONE, follower, 1, "consumer", "range", leader), version)
    crowd.completing()
    token = crowd.park_join(follower)
    assert crowd.told(token, Joined(ErrorCode.NONE, follower, 2, "consumer", "range", leader), 9)


async def test_an_unchanged_join_of_the_leader_begins_a_rebalance(crowd):
    crowd.park_join(crowd.ids[0], crowd.group.members.by_id[crowd.ids[0]].protocols["range"])
    assert crowd.group.state is State.PREPARING_REBALANCE


async def test_a_member_that_asks_again_is_answered_once_and_then_waits(crowd):
    crowd.park_join(crowd.ids[0])
    first = crowd.park_join(crowd.ids[1])
    second = crowd.park_join(crowd.ids[1], b"newer")
    assert crowd.refused(first, ErrorCode.REBALANCE_IN_PROGRESS, crowd.ids[1])
    assert second not in crowd.log.answered
    crowd.park_join(crowd.ids[2])
    assert second in crowd.log.answered


async def test_a_changed_join_sends_parked_syncs_back(crowd):
    crowd.completing()
    token = crowd.park_sync(crowd.ids[1])
    crowd.park_join(crowd.ids[2], b"newer")
    assert crowd.sent_back(token, ErrorCode.REBALANCE_IN_PROGRESS)


async def test_of_two_syncs_of_the_leader_parked_at_once_the_later_decides_for_all(crowd):
    crowd.completing()
    leader, follower, other = crowd.ids
    syncs = [
        crowd.log.park_sync("g", crowd.who(leader), ("consumer", "range"), dict.fromkeys(crowd.ids, share), 5)
        for share in (b"first", b"second")
    ]
    crowd.ring()
    assert crowd.sent_back(syncs[0], ErrorCode.REBALANCE_IN_PROGRESS)
    for token in (syncs[1], crowd.park_sync(follower), crowd.park_sync(other)):
        assert crowd.told(token, Synced(ErrorCode.NONE, "consumer", "range", b"second"), 5)
    again = (await crowd.service.restarted()).coordinator.describe("g")
    assert {member.assignment for member in again.members.by_id.values()} == {b"second"}


async def test_stopping_answers_what_is_parked(crowd):
    crowd.completing()
    syncs = [crowd.park_sync(one) for one in crowd.ids[1:]]
    await crowd.groups.stop()
    assert all(crowd.sent_back(token, ErrorCode.NOT_COORDINATOR) for token in syncs)
    assert not crowd.log.tables
    crowd.groups.gathered("g")


async def test_stopping_answers_parked_joins(crowd):
    tokens = [crowd.park_join(one) for one in crowd.ids[:2]]
    await crowd.groups.stop()
    assert all(crowd.refused(token, ErrorCode.NOT_COORDINATOR) for token in tokens)
    assert crowd.service.clock.alarms == 0


async def test_a_failed_log_answers_those_that_are_parked(crowd):
    crowd.completing()
    syncs = [crowd.park_sync(one) for one in crowd.ids[1:]]
    crowd.log.offline = True
    syncs.append(crowd.park_sync(crowd.ids[0]))
    assert all(crowd.sent_back(token, ErrorCode.NOT_COORDINATOR) for token in syncs)
    with pytest.raises(KafkaError):
        crowd.groups.heartbeat("g", crowd.who(crowd.ids[0]))


async def test_a_record_too_large_answers_those_that_are_parked_and_the_group_lives(crowd):
    crowd.completing()
    syncs = [crowd.park_sync(one) for one in crowd.ids[1:]]
    syncs.append(crowd.park_sync(crowd.ids[0], shares={crowd.ids[0]: bytes(2_000_000)}))
    assert all(crowd.sent_back(token, ErrorCode.UNKNOWN_SERVER_ERROR) for token in syncs)
    assert crowd.group.state is State.PREPARING_REBALANCE


@pytest.mark.parametrize("broken", ["join", "awaits"])
async def test_a_bug_is_logged_and_answered_and_the_others_go_on(crowd, caplog, monkeypatch, broken):
    def oops(*_):
        raise ZeroDivisionError("oops")

    with monkeypatch.context() as patched, caplog.at_level(logging.ERROR, "odradek.broker"):
        patched.setattr(ClassicGroup, broken, oops)
        token = crowd.park_join(crowd.ids[0])
    assert "ZeroDivisionError" in caplog.text
    assert crowd.refused(token, ErrorCode.UNKNOWN_SERVER_ERROR, crowd.ids[0])
    crowd.completing()


async def test_a_ring_for_a_group_that_has_gone_is_nothing(crowd):
    crowd.groups.gathered("nobody")
    assert not crowd.log.answered
