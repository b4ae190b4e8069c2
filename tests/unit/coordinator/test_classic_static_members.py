"""Static members (KIP-345, KIP-814): an instance id outlives the process that has it."""

import pytest
from group_harness import REBALANCE_MS, SESSION_MS, Driver, subscription

from odradek.broker.coordinator.group.states import State
from odradek.errors import ErrorCode


@pytest.fixture
def group():
    return Driver()


def settle(group, *instances):
    """Bring static members to a stable generation; return their member ids, the leader's first."""
    waiters = [group.join(instance_id=instance) for instance in instances]
    group.gather()
    members = [group.answers[waiter].member_id for waiter in waiters]
    assignments = {member_id: instance.encode() for member_id, instance in zip(members, instances, strict=True)}
    for member_id, instance in zip(members, instances, strict=True):
        leads = group.group.members.leader == member_id
        group.sync(member_id, assignments=assignments if leads else {}, instance_id=instance)
    return members


def test_a_static_member_needs_no_round_trip_for_its_id(group):
    waiter = group.join(instance_id="a")
    group.gather()
    assert group.answers[waiter].error == ErrorCode.NONE


def test_a_restarted_static_member_gets_its_assignment_back_without_a_rebalance(group):
    _, old = settle(group, "a", "b")
    answer = group.answers[group.join(instance_id="b")]
    assert (answer.error, answer.generation) == (ErrorCode.NONE, 1)
    assert answer.member_id != old
    assert group.group.state is State.STABLE
    assert group.answers[group.sync(answer.member_id, instance_id="b")].assignment == b"b"


def test_the_new_id_of_a_restarted_static_member_is_in_the_log(group):
    settle(group, "a", "b")
    new = group.answers[group.join(instance_id="b")].member_id
    assert {m.instance_id: (m.member_id, m.assignment) for m in group.log[-1].members}["b"] == (new, b"b")


def test_a_restarted_leader_is_told_to_skip_the_assignment(group):
    settle(group, "a", "b")
    answer = group.answers[group.join(instance_id="a")]
    assert (answer.leader, answer.skip_assignment) == (answer.member_id, True)
    assert len(answer.members) == 2


def test_a_restarted_leader_of_an_older_client_is_told_that_its_old_self_leads(group):
    old, _ = settle(group, "a", "b")
    answer = group.answers[group.join(instance_id="a", can_skip_assignment=False)]
    assert (answer.leader, answer.skip_assignment, answer.members) == (old, False, ())


def test_the_old_self_of_a_static_member_is_fenced_everywhere(group):
    _, old = settle(group, "a", "b")
    group.join(instance_id="b")
    assert group.heartbeat(old, instance_id="b") == ErrorCode.FENCED_INSTANCE_ID
    assert group.commit(old, 1, instance_id="b") == ErrorCode.FENCED_INSTANCE_ID
    assert group.answers[group.sync(old, instance_id="b")].error == ErrorCode.FENCED_INSTANCE_ID
    assert group.answers[group.join(old, instance_id="b")].error == ErrorCode.FENCED_INSTANCE_ID
    assert group.leave((old, "b")) == [ErrorCode.FENCED_INSTANCE_ID]


def test_the_old_self_that_waits_is_fenced_at_once(group):
    first, second = settle(group, "a", "b")
    waiting = group.join(first, instance_id="a")
    group.join(instance_id="a")
    assert group.answers[waiting].error == ErrorCode.FENCED_INSTANCE_ID
    assert group.group.members.awaiting_join == 1
    assert second in group.group.members.by_id


def test_a_restart_between_join_and_sync_starts_over(group):
    waiters = [group.join(instance_id=instance) for instance in "ab"]
    group.gather()
    follower = group.answers[waiters[1]].member_id
    waiting = group.sync(follower, instance_id="b")
    group.join(instance_id="a")
    assert group.answers[waiting].error == ErrorCode.REBALANCE_IN_PROGRESS
    assert group.group.state is State.PREPARING_REBALANCE


def test_a_restart_that_changes_the_protocol_starts_a_rebalance(group):
    blob = subscription("orders")
    waiter = group.join(instance_id="a", protocols={"range": blob, "sticky": blob})
    group.gather()
    group.sync(group.answers[waiter].member_id, instance_id="a")
    again = group.join(instance_id="a", protocols={"sticky": blob, "range": blob})
    assert (group.answers[again].generation, group.answers[again].protocol) == (2, "sticky")


def test_a_static_member_that_does_not_rejoin_keeps_its_place_until_its_session_ends(group):
    first, _second = settle(group, "a", "b")

    for member in group.group.members.by_id.values():
        member.rebalance_timeout_ms = 5_000
    rejoin = group.join(first, instance_id="a", rebalance_timeout_ms=5_000)
    group.advance(5_000)
    assert group.answers[rejoin].generation == 2
    assert len(group.answers[rejoin].members) == 2
    group.sync(first, instance_id="a")
    group.advance(SESSION_MS - 1)
    group.heartbeat(first, instance_id="a")
    group.advance(REBALANCE_MS)
    assert "b" not in group.group.members.static_ids


def test_a_group_of_absent_static_members_waits_for_one_of_them(group):
    first, second = settle(group, "a", "b")
    group.group.rebalance(group.now)
    for member_id, instance in ((first, "a"), (second, "b")):
        group.group.members.by_id[member_id].session_timeout_ms = 10 * REBALANCE_MS
        group.heartbeat(member_id, instance_id=instance)
    group.advance(REBALANCE_MS)
    assert (group.group.state, group.group.generation) == (State.PREPARING_REBALANCE, 1)
    back = group.join(second, instance_id="b")
    group.advance(REBALANCE_MS)
    assert (group.answers[back].generation, group.answers[back].leader) == (2, second)


def test_a_static_member_with_an_unknown_instance_id_is_unknown(group):
    (member,) = settle(group, "a")
    assert group.heartbeat(member, instance_id="z") == ErrorCode.UNKNOWN_MEMBER_ID


def test_an_id_given_to_a_dynamic_member_makes_no_second_static_one(group):
    (first,) = settle(group, "a")
    given = group.answers[group.join()].member_id
    answers = [group.answers[group.join(given, instance_id=instance)].error for instance in ("a", "z")]
    assert answers == [ErrorCode.FENCED_INSTANCE_ID, ErrorCode.UNKNOWN_MEMBER_ID]
    assert group.group.members.static_ids == {"a": first}
    group.advance(10 * REBALANCE_MS)
    assert group.group.is_empty


def test_an_admin_removes_a_static_member_by_instance_id(group):
    settle(group, "a", "b")
    assert group.leave(("", "b"), ("", "z")) == [ErrorCode.NONE, ErrorCode.UNKNOWN_MEMBER_ID]
    assert group.group.members.static_ids.keys() == {"a"}


def test_a_failed_append_takes_back_the_answer_to_a_restarted_member(group):
    settle(group, "a")
    from group_harness import join_request

    group.group.join(join_request(instance_id="a"), "again", group.now, lambda: "new")
    group.group.append_failed(ErrorCode.NOT_COORDINATOR, group.now)
    group.settle()
    assert group.answers["again"].error == ErrorCode.NOT_COORDINATOR
