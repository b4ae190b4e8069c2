"""The first rebalance with `group.initial.rebalance.delay.ms=0`: who starts together shares it, who is alone waits not."""

import asyncio

import pytest
from group_harness import Driver, Service, join_request, turn

from odradek.broker.coordinator.group.gathering import (
    DOUBT_MS,
    LONGEST_MS,
    LOOKUP_MS,
    PATIENCE_MS,
    QUIET_MS,
    Lookups,
)
from odradek.broker.coordinator.group.members import Identity
from odradek.broker.coordinator.group.states import Limits
from odradek.errors import ErrorCode


@pytest.fixture
def group():
    return Driver()


@pytest.mark.parametrize("lookups", [0, 1])
def test_a_member_that_is_alone_waits_for_nothing(group, lookups):
    group.group.lookups = lookups
    _, waiter = group.add()
    group.advance(0)
    assert group.answers[waiter].generation == 1


def test_a_second_lookup_may_be_the_members_own_and_costs_it_little(group):
    group.group.lookups = 2
    _, waiter = group.add()
    group.advance(DOUBT_MS - 1)
    assert waiter not in group.answers
    group.advance(1)
    assert group.answers[waiter].generation == 1


def test_members_that_asked_for_the_coordinator_share_the_first_generation(group):
    group.group.lookups = 10
    waiters = []
    for _ in range(10):
        waiters.append(group.add()[1])
        group.advance(QUIET_MS - 1)
    group.advance(1)
    assert {group.answers[waiter].generation for waiter in waiters} == {1}
    assert len(group.answers[waiters[0]].members) == 10


def test_those_that_must_be_coming_are_waited_for_longer(group):
    group.group.lookups = 5
    (_, first), (_, second) = group.add(), group.add()
    group.advance(PATIENCE_MS - 1)
    _, third = group.add()
    assert first not in group.answers
    group.advance(QUIET_MS)
    assert {group.answers[waiter].generation for waiter in (first, second, third)} == {1}


def test_who_asked_and_never_joins_is_not_waited_for_long(group):
    group.group.lookups = 100
    _, waiter = group.add()
    group.advance(PATIENCE_MS)
    assert group.answers[waiter].generation == 1


def test_an_id_given_out_is_waited_for_until_it_is_back(group):
    newcomer = group.answers[group.join()].member_id
    _, first = group.add()
    group.advance(PATIENCE_MS - 1)
    assert first not in group.answers
    second = group.join(newcomer)
    group.advance(QUIET_MS)
    assert group.answers[first].generation == group.answers[second].generation == 1


def test_an_id_that_is_given_back_is_not_waited_for(group):
    newcomer = group.answers[group.join()].member_id
    _, first = group.add()
    group.leave((newcomer, None))
    group.advance(0)
    assert group.answers[first].generation == 1


@pytest.mark.parametrize(("rebalance_timeout_ms", "longest_ms"), [(60_000, LONGEST_MS), (300, 300)])
def test_newcomers_can_not_hold_the_first_generation_for_ever(group, rebalance_timeout_ms, longest_ms):
    _, first = group.add(rebalance_timeout_ms=rebalance_timeout_ms)
    while first not in group.answers:
        group.add(rebalance_timeout_ms=rebalance_timeout_ms)
        group.advance(10)
    assert group.now <= longest_ms + 10


def test_a_group_that_was_left_by_all_gathers_again(group):
    (member,) = group.stable(1)
    group.leave((member, None))
    newcomer = group.answers[group.join()].member_id
    _, first = group.add()
    group.advance(0)
    assert first not in group.answers
    group.join(newcomer)
    group.advance(QUIET_MS)
    assert group.answers[first].generation == 3


def test_with_a_delay_lookups_change_nothing():
    group = Driver(limits=Limits(initial_rebalance_delay_ms=3_000))
    group.group.lookups = 10
    _, waiter = group.add()
    group.advance(2_999)
    assert waiter not in group.answers
    group.advance(1)
    assert group.answers[waiter].generation == 1


def test_lookups_count_connections_for_a_while():
    lookups = Lookups()
    for connection in (1, 1, 2):
        lookups.add("g", connection, 0.0)
    lookups.add("other", 3, 0.0)
    lookups.add("g", 4, 100.0)
    assert lookups.count("g", 100.0) == 3
    assert lookups.count("g", LOOKUP_MS) == 1
    assert lookups.count("g", 100.0 + LOOKUP_MS) == 0


def test_of_very_many_lookups_the_latest_are_kept():
    lookups = Lookups()
    for connection in range(100_000):
        lookups.add("g", connection, 0.0)
    assert lookups.count("g", 0.0) == 4_096


async def test_the_coordinator_keeps_the_first_member_for_those_that_asked():
    service = await Service().start()
    for connection in range(6):
        service.coordinator.announce("g", connection)

    def join():
        request = join_request(needs_member_id=False)
        return asyncio.ensure_future(service.coordinator.join("g", request))

    first = join()
    await turn()
    await service.clock.advance(PATIENCE_MS - 1)
    assert not first.done()
    others = [join() for _ in range(5)]
    await turn()
    await service.clock.advance(QUIET_MS)
    assert {(await task).generation for task in [first, *others]} == {1}


async def test_a_lookup_for_a_group_with_members_announces_nobody():
    service = await Service().start()
    who = await service.member("g")
    for connection in range(9):
        service.coordinator.announce("g", connection)
    assert service.coordinator.leave("g", [(who.member_id, None)]) == [ErrorCode.NONE]
    again = await service.member("g")
    assert service.coordinator.heartbeat("g", Identity(again.member_id, None, again.generation)) == ErrorCode.NONE
