"""Sync, heartbeats, commits and leaving: generations are fenced, assignments reach exactly their owners."""

import pytest
from group_harness import REBALANCE_MS, SESSION_MS, Driver

from odradek.broker.coordinator.group.states import State
from odradek.errors import ErrorCode


@pytest.fixture
def group():
    return Driver()


def test_a_follower_waits_until_the_leader_has_brought_the_assignments(group):
    (leader, _), (follower, _) = group.add(), group.add()
    group.gather()
    waiting = group.sync(follower)
    assert waiting not in group.answers
    bringing = group.sync(leader, assignments={leader: b"L", follower: b"F"})
    assert group.answers[waiting].assignment == b"F"
    assert group.answers[bringing].assignment == b"L"
    assert group.group.state is State.STABLE


def test_a_settled_generation_is_one_record_with_its_assignments(group):
    leader, follower = group.stable(2)
    settled = group.log[-1]
    assert (settled.generation, settled.protocol, settled.leader) == (1, "range", leader)
    assert {m.member_id: m.assignment for m in settled.members} == {
        leader: b"for " + leader.encode(),
        follower: b"for " + follower.encode(),
    }


def test_a_member_that_the_leader_forgot_gets_an_empty_assignment(group):
    (leader, _), (follower, _) = group.add(), group.add()
    group.gather()
    group.sync(leader, assignments={leader: b"all", "who": b"?"})
    answer = group.answers[group.sync(follower)]
    assert (answer.error, answer.assignment) == (ErrorCode.NONE, b"")


def test_a_sync_of_a_stable_group_gives_the_assignment_again(group):
    leader, follower = group.stable(2)
    assert group.answers[group.sync(follower)].assignment == b"for " + follower.encode()
    other = {leader: b"changed"}
    assert group.answers[group.sync(leader, assignments=other)].assignment == b"for " + leader.encode()


def test_a_sync_during_the_joining_is_told_to_join(group):
    first, second = group.stable(2)
    group.join(first)
    assert group.answers[group.sync(second)].error == ErrorCode.REBALANCE_IN_PROGRESS


def test_a_sync_of_an_old_generation_or_a_stranger_is_refused(group):
    member = group.stable(1)[0]
    assert group.answers[group.sync(member, 0)].error == ErrorCode.ILLEGAL_GENERATION
    assert group.answers[group.sync("stranger")].error == ErrorCode.UNKNOWN_MEMBER_ID


@pytest.mark.parametrize("protocol", [("connect", None), (None, "sticky")])
def test_a_sync_of_another_protocol_is_refused(group, protocol):
    member = group.stable(1)[0]
    assert group.answers[group.sync(member, protocol=protocol)].error == ErrorCode.INCONSISTENT_GROUP_PROTOCOL
    assert group.answers[group.sync(member, protocol=("consumer", "range"))].error == ErrorCode.NONE


def test_a_repeated_sync_answers_the_one_before(group):
    _, (follower, _) = group.add(), group.add()
    group.gather()
    gone, retry = group.sync(follower), group.sync(follower)
    assert group.answers[gone].error == ErrorCode.REBALANCE_IN_PROGRESS
    assert retry not in group.answers


def test_members_that_never_sync_are_dropped_after_the_rebalance_time_out(group):
    (leader, _), (silent, _) = group.add(), group.add()
    group.gather()
    group.sync(leader, assignments={leader: b"L"})
    assert group.group.state is State.STABLE
    group.keep_alive([leader, silent], REBALANCE_MS)
    assert list(group.group.members.by_id) == [leader]
    assert group.group.state is State.PREPARING_REBALANCE


def test_a_leader_that_never_syncs_is_dropped_and_the_others_join_again(group):
    (leader, _), (follower, _) = group.add(), group.add()
    group.gather()
    waiting = group.sync(follower)
    group.keep_alive([leader], REBALANCE_MS)
    assert group.answers[waiting].error == ErrorCode.REBALANCE_IN_PROGRESS
    assert list(group.group.members.by_id) == [follower]
    assert group.group.members.leader == follower


def test_a_failed_append_tells_nobody_of_the_generation(group):
    (leader, _), (follower, _) = group.add(), group.add()
    group.gather()
    waiting = group.sync(follower)
    group.group.sync(  # as `Driver.sync`, but the record is lost
        _identity(leader, group), (None, None), {leader: b"L"}, "leader", group.now
    )
    group.group.append_failed(ErrorCode.NOT_COORDINATOR, group.now)
    group.settle()
    assert group.answers[waiting].error == group.answers["leader"].error == ErrorCode.NOT_COORDINATOR
    assert group.group.state is State.PREPARING_REBALANCE
    assert group.log == []


def test_a_heartbeat_keeps_a_member_and_silence_loses_it(group):
    first, second = group.stable(2)
    group.keep_alive([first], SESSION_MS)
    assert list(group.group.members.by_id) == [first]
    assert group.heartbeat(first) == ErrorCode.REBALANCE_IN_PROGRESS
    assert group.heartbeat(second) == ErrorCode.UNKNOWN_MEMBER_ID


def test_a_heartbeat_of_another_generation_is_refused_and_keeps_nobody_alive(group):
    member = group.stable(1)[0]
    group.advance(SESSION_MS - 1)
    assert group.heartbeat(member, 0) == ErrorCode.ILLEGAL_GENERATION
    assert group.heartbeat(member, 2) == ErrorCode.ILLEGAL_GENERATION
    group.advance(1)
    assert group.heartbeat(member, 1) == ErrorCode.UNKNOWN_MEMBER_ID


def test_a_heartbeat_before_the_sync_is_welcome(group):
    member, _ = group.add()
    group.gather()
    assert group.group.state is State.COMPLETING_REBALANCE
    assert group.heartbeat(member) == ErrorCode.NONE


def test_a_member_that_waits_to_join_does_not_time_out(group):
    first, second = group.stable(2)
    waiter = group.join(first)
    group.keep_alive([second], 3 * SESSION_MS)
    assert first in group.group.members.by_id
    group.join(second)
    assert group.answers[waiter].error == ErrorCode.NONE
    group.advance(SESSION_MS)  # with the answer a new session began, which is over now
    assert first not in group.group.members.by_id


def test_a_new_member_waits_five_minutes_at_most(group):
    first = group.stable(1, rebalance_timeout_ms=600_000)[0]
    _, waiter = group.add()
    group.keep_alive([first], 299_999)
    assert waiter not in group.answers
    group.keep_alive([first], 1)
    assert group.answers[waiter].error == ErrorCode.UNKNOWN_MEMBER_ID


def test_a_member_may_commit_in_its_generation_only(group):
    member = group.stable(1)[0]
    assert group.commit(member, 1) == ErrorCode.NONE
    assert group.commit(member, 0) == ErrorCode.ILLEGAL_GENERATION
    assert group.commit("stranger", 1) == ErrorCode.UNKNOWN_MEMBER_ID
    assert group.commit("", -1) == ErrorCode.UNKNOWN_MEMBER_ID


def test_a_simple_consumer_may_commit_while_the_group_is_empty(group):
    assert group.commit("", -1) == ErrorCode.NONE
    assert group.commit("", 1) == ErrorCode.UNKNOWN_MEMBER_ID
    member = group.stable(1)[0]
    group.leave((member, None))
    assert group.commit("", -1) == ErrorCode.NONE


def test_a_member_may_commit_while_others_join_but_not_between_join_and_sync(group):
    first, second = group.stable(2)
    group.join(second, protocols={"range": b"x"})
    assert group.commit(first, 1) == ErrorCode.NONE
    group.join(first)
    assert group.commit(first, 2) == ErrorCode.REBALANCE_IN_PROGRESS


def test_a_commit_is_a_sign_of_life(group):
    member = group.stable(1)[0]
    group.advance(SESSION_MS - 1)
    group.commit(member, 1)
    group.advance(SESSION_MS - 1)
    assert group.heartbeat(member) == ErrorCode.NONE


def test_leaving_starts_a_rebalance_at_once(group):
    first, second = group.stable(2)
    assert group.leave((second, None)) == [ErrorCode.NONE]
    assert group.heartbeat(first) == ErrorCode.REBALANCE_IN_PROGRESS
    assert group.leave((second, None)) == [ErrorCode.UNKNOWN_MEMBER_ID]


def test_the_last_member_leaves_an_empty_generation_in_the_log(group):
    member = group.stable(1)[0]
    group.leave((member, None))
    assert group.group.state is State.EMPTY
    assert (group.log[-1].generation, group.log[-1].members, group.log[-1].protocol) == (2, (), None)


def test_a_leave_of_several_answers_each(group):
    first, second, third = group.stable(3)
    errors = group.leave((first, None), ("stranger", None), (second, "unknown-instance"), (second, None))
    assert errors == [ErrorCode.NONE, ErrorCode.UNKNOWN_MEMBER_ID, ErrorCode.UNKNOWN_MEMBER_ID, ErrorCode.NONE]
    assert list(group.group.members.by_id) == [third]


def test_an_id_given_out_may_leave_and_no_longer_holds_up_a_rebalance(group):
    first = group.stable(1)[0]
    pending = group.answers[group.join()].member_id
    waiter = group.join(first)
    assert waiter not in group.answers
    assert group.leave((pending, None)) == [ErrorCode.NONE]
    assert group.answers[waiter].generation == 2


def test_a_member_that_leaves_while_it_waits_is_answered(group):
    first, second = group.stable(2)
    waiter = group.join(first)
    group.leave((first, None))
    assert group.answers[waiter].error == ErrorCode.UNKNOWN_MEMBER_ID
    assert list(group.group.members.by_id) == [second]


def test_generations_count_up_by_one(group):
    member = group.stable(1)[0]
    seen = []
    for _ in range(4):
        seen.append(group.answers[group.join(member)].generation)
        group.sync(member, assignments={member: b"x"})
    assert seen == [2, 3, 4, 5]


def _identity(member_id, group):
    from odradek.broker.coordinator.group.members import Identity

    return Identity(member_id, None, group.group.generation)
