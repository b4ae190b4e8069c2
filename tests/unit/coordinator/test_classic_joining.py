"""Joining a classic group: who is let in, when a generation completes, and what everybody is told."""

import pytest
from group_harness import REBALANCE_MS, SESSION_MS, Driver, subscription

from odradek.broker.coordinator.group.states import TRANSITIONS, Limits, State
from odradek.errors import ErrorCode


@pytest.fixture
def group():
    return Driver()


def test_a_dynamic_member_is_sent_back_to_join_with_the_id_it_is_given(group):
    refused = group.answers[group.join()]
    assert (refused.error, refused.member_id) == (ErrorCode.MEMBER_ID_REQUIRED, "m1")
    assert not group.group.members
    group.join("m1")
    assert list(group.group.members.by_id) == ["m1"]


def test_a_member_of_the_old_protocol_is_let_in_without_the_round_trip(group):
    waiter = group.join(needs_member_id=False)
    group.gather()
    assert group.answers[waiter].error == ErrorCode.NONE
    assert group.answers[waiter].member_id == "m1"


def test_an_id_given_out_lapses_after_the_session_time_out(group):
    member_id = group.answers[group.join()].member_id
    group.advance(SESSION_MS - 1)
    assert member_id in group.group.members.pending
    group.advance(1)
    assert group.answers[group.join(member_id)].error == ErrorCode.UNKNOWN_MEMBER_ID


@pytest.mark.parametrize("leaves", [False, True])
def test_an_id_that_is_never_used_costs_a_settled_group_nothing(group, leaves):
    members = group.stable(2)
    given = group.answers[group.join()].member_id
    if leaves:
        assert group.leave((given, None)) == [ErrorCode.NONE]
    else:
        group.keep_alive(members, 2 * SESSION_MS)
    assert not group.group.members.pending
    assert (group.group.state, group.group.generation) == (State.STABLE, 1)


def test_an_id_given_out_holds_the_rebalance_open_until_it_comes_back():
    group = Driver()
    first = group.stable(1)[0]
    newcomer = group.answers[group.join()].member_id
    rejoin = group.join(first)  # the leader asks for a rebalance meanwhile
    assert rejoin not in group.answers
    late = group.join(newcomer)
    assert group.answers[rejoin].generation == group.answers[late].generation == 2


def test_an_unknown_member_id_is_refused(group):
    group.stable(1)
    assert group.answers[group.join("stranger")].error == ErrorCode.UNKNOWN_MEMBER_ID


def test_only_the_leader_is_told_who_the_members_are(group):
    (one, first), (two, second) = group.add(), group.add()
    group.gather()
    leader, follower = group.answers[first], group.answers[second]
    assert leader.leader == follower.leader == one
    assert leader.members == ((one, None, subscription("orders")), (two, None, subscription("orders")))
    assert follower.members == ()
    assert (leader.protocol_type, leader.protocol) == ("consumer", "range")


def test_the_first_rebalance_waits_for_more_members():
    group = Driver(limits=Limits(initial_rebalance_delay_ms=3_000))
    _, first = group.add()
    group.advance(2_999)
    assert first not in group.answers
    group.advance(1)
    assert group.answers[first].generation == 1


def test_the_first_rebalance_waits_again_when_a_member_came():
    group = Driver(limits=Limits(initial_rebalance_delay_ms=3_000))
    _, first = group.add()
    group.advance(2_000)
    _, second = group.add()
    group.advance(1_000)
    assert first not in group.answers
    group.advance(3_000)
    assert group.answers[first].generation == group.answers[second].generation == 1


def test_the_first_rebalance_never_waits_longer_than_the_rebalance_time_out():
    group = Driver(limits=Limits(initial_rebalance_delay_ms=3_000))
    _, first = group.add(rebalance_timeout_ms=7_000)
    for _ in range(20):
        group.advance(1_000)
        if first in group.answers:
            break
        group.add(rebalance_timeout_ms=7_000)
    assert group.answers[first].generation == 1
    assert group.now <= 7_000 + 3_000


def test_a_later_rebalance_completes_as_soon_as_everybody_has_joined(group):
    first, second = group.stable(2)
    newcomer = group.answers[group.join()].member_id
    waiter = group.join(newcomer)
    assert group.heartbeat(first) == ErrorCode.REBALANCE_IN_PROGRESS
    group.join(first)
    assert waiter not in group.answers
    group.join(second)
    assert group.answers[waiter].generation == 2


def test_a_rebalance_drops_members_that_do_not_rejoin_in_time(group):
    first, second = group.stable(2)
    rejoin = group.join(first)
    group.keep_alive([second], REBALANCE_MS)  # alive, but it does not rejoin
    assert group.answers[rejoin].generation == 2
    assert list(group.group.members.by_id) == [first]


def test_the_longest_rebalance_time_out_of_the_members_counts(group):
    first, second = group.stable(2)
    group.group.members.by_id[second].rebalance_timeout_ms = 2 * REBALANCE_MS
    rejoin = group.join(first)
    group.keep_alive([second], 2 * REBALANCE_MS - 1)
    assert rejoin not in group.answers
    group.advance(1)
    assert rejoin in group.answers


def test_another_leads_when_the_leader_does_not_rejoin(group):
    leader, second, third = group.stable(3)
    waiters = [group.join(second, protocols={"range": subscription("orders", "bills")}), group.join(third)]
    group.keep_alive([leader], REBALANCE_MS)
    assert {group.answers[waiter].leader for waiter in waiters} == {second}


def test_a_rejoining_leader_of_a_stable_group_starts_a_rebalance(group):
    leader, follower = group.stable(2)
    group.join(leader)
    assert group.group.state is State.PREPARING_REBALANCE
    assert group.heartbeat(follower) == ErrorCode.REBALANCE_IN_PROGRESS


def test_a_rejoining_follower_without_change_gets_the_generation_as_it_stands(group):
    _, follower = group.stable(2)
    answer = group.answers[group.join(follower)]
    assert (answer.error, answer.generation, answer.members) == (ErrorCode.NONE, 1, ())
    assert group.group.state is State.STABLE


def test_a_follower_that_changes_its_subscription_starts_a_rebalance(group):
    _, follower = group.stable(2)
    group.join(follower, protocols={"range": subscription("bills")})
    assert group.group.state is State.PREPARING_REBALANCE


def test_a_member_that_missed_its_answer_gets_it_again_before_the_sync(group):
    (leader, _), _ = group.add(), group.add()
    group.gather()
    again = group.answers[group.join(leader)]
    assert (again.generation, len(again.members)) == (1, 2)
    assert group.group.state is State.COMPLETING_REBALANCE


def test_a_member_that_changes_before_the_sync_starts_over(group):
    (leader, _), (follower, _) = group.add(), group.add()
    group.gather()
    waiting = group.sync(follower)
    group.join(leader, protocols={"range": subscription("bills")})
    assert group.answers[waiting].error == ErrorCode.REBALANCE_IN_PROGRESS
    assert group.group.state is State.PREPARING_REBALANCE


def test_a_second_join_of_a_waiting_member_answers_the_first(group):
    first, _ = group.stable(2)
    gone = group.join(first)
    retry = group.join(first)
    assert group.answers[gone].error == ErrorCode.REBALANCE_IN_PROGRESS
    assert retry not in group.answers
    assert group.group.members.awaiting_join == 1


def test_the_protocol_most_members_prefer_among_those_all_support_is_chosen(group):
    blob = subscription("orders")
    wishes = [["sticky", "range", "rr"], ["rr", "range"], ["rr", "range", "sticky"], ["range", "rr"]]
    waiters = [group.add(protocols=dict.fromkeys(names, blob))[1] for names in wishes]
    group.gather()
    # sticky is not everybody's; votes: range, rr, rr, range -> the first of the two
    assert {group.answers[waiter].protocol for waiter in waiters} == {"range"}
    one_more = group.add(protocols=dict.fromkeys(["rr", "range"], blob))[1]
    for member_id in list(group.group.members.by_id):
        if group.group.members.by_id[member_id].join_waiter is None:
            group.join(member_id, protocols=group.group.members.by_id[member_id].protocols)
    assert group.answers[one_more].protocol == "rr"


def test_a_member_without_a_protocol_in_common_is_refused(group):
    group.stable(1)
    assert group.answers[group.join(protocols={"sticky": b""})].error == ErrorCode.INCONSISTENT_GROUP_PROTOCOL


def test_a_member_of_another_protocol_type_is_refused(group):
    group.stable(1)
    assert group.answers[group.join(protocol_type="connect")].error == ErrorCode.INCONSISTENT_GROUP_PROTOCOL


@pytest.mark.parametrize("nothing", [{"protocols": {}}, {"protocol_type": ""}])
def test_a_member_that_offers_no_protocol_is_refused_even_by_an_empty_group(group, nothing):
    assert group.answers[group.join(**nothing)].error == ErrorCode.INCONSISTENT_GROUP_PROTOCOL


def test_an_empty_group_takes_members_of_another_protocol_type(group):
    member = group.stable(1)[0]
    group.leave((member, None))
    waiter = group.join(protocol_type="connect", needs_member_id=False)
    group.gather()
    assert group.answers[waiter].protocol_type == "connect"


def test_a_full_group_refuses_newcomers_and_keeps_its_members():
    group = Driver(limits=Limits(initial_rebalance_delay_ms=0, max_size=2))
    first, _second = group.stable(2)
    refused = group.answers[group.join()]
    assert (refused.error, refused.member_id) == (ErrorCode.GROUP_MAX_SIZE_REACHED, "")
    assert group.heartbeat(first) == ErrorCode.NONE
    assert group.group.state is State.STABLE


def test_a_group_over_a_lowered_limit_sheds_who_rejoins_last():
    group = Driver()
    first, second, third = group.stable(3)
    group.group._limits = Limits(initial_rebalance_delay_ms=0, max_size=2)
    group.group.rebalance(group.now)
    waiters = [group.join(first), group.join(second), group.join(third)]
    errors = [group.answers[waiter].error for waiter in waiters]
    assert errors == [ErrorCode.NONE, ErrorCode.NONE, ErrorCode.GROUP_MAX_SIZE_REACHED]
    assert list(group.group.members.by_id) == [first, second]


def test_nothing_follows_a_dead_group():
    assert TRANSITIONS[State.DEAD] == frozenset()
    assert all(State.DEAD in following for state, following in TRANSITIONS.items() if state is not State.DEAD)


def test_a_dead_group_answers_that_there_is_no_coordinator(group):
    member = group.stable(1)[0]
    waiting = group.join(member)
    group.group.kill(ErrorCode.NOT_COORDINATOR)
    group.settle()
    late = group.join(member)
    assert group.answers[waiting].error == ErrorCode.NONE  # it had all members, so it was answered before
    assert group.answers[late].error == ErrorCode.COORDINATOR_NOT_AVAILABLE
    assert group.heartbeat(member) == ErrorCode.COORDINATOR_NOT_AVAILABLE
    assert group.leave((member, None)) == [ErrorCode.COORDINATOR_NOT_AVAILABLE]
