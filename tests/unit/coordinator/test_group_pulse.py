"""Heartbeats that the engine answers: which groups it is told of, and that what it hears keeps members alive."""

import asyncio

import pytest
from group_harness import SESSION_MS, Service, join_request, turn

from odradek.broker.coordinator.group.members import Identity
from odradek.broker.coordinator.group.states import State
from odradek.errors import ErrorCode


@pytest.fixture
async def service():
    return await Service().start()


async def test_a_stable_group_is_told_to_the_engine_with_its_members(service):
    who = await service.member("g")
    assert service.log.settled == {"g": (1, {who.member_id: None})}


async def test_a_group_between_join_and_sync_is_not_told(service):
    task = asyncio.ensure_future(service.coordinator.join("g", join_request(needs_member_id=False)))
    await turn()
    await service.clock.advance(0)
    assert (await task).generation == 1
    assert not service.log.settled


async def test_a_member_that_the_engine_hears_lives_on_and_dies_of_silence(service):
    who = await service.member("g")
    for _ in range(20):
        await service.clock.advance(SESSION_MS - 1)
        assert service.log.hear("g", who.member_id)
    await service.clock.advance(SESSION_MS - 1)
    assert service.coordinator.describe("g").state is State.STABLE
    await service.clock.advance(1)
    assert service.coordinator.describe("g").state is State.EMPTY
    assert not service.log.settled


async def test_what_the_engine_heard_counts_after_the_group_has_left_the_table(service):
    who = await service.member("g")
    await service.clock.advance(SESSION_MS - 1)
    assert service.log.hear("g", who.member_id)
    newcomer = asyncio.ensure_future(service.coordinator.join("g", join_request(needs_member_id=False)))
    await turn()
    assert not service.log.settled, "from now on members hear of the rebalance"
    await service.clock.advance(SESSION_MS - 1)
    assert service.coordinator.heartbeat("g", who) == ErrorCode.REBALANCE_IN_PROGRESS
    newcomer.cancel()


async def test_a_static_member_that_comes_back_is_known_by_its_new_id_only(service):
    old = await service.member("g", instance_id="i")
    again = await service.coordinator.join("g", join_request(instance_id="i"))
    assert service.log.settled == {"g": (1, {again.member_id: "i"})}
    assert again.member_id != old.member_id
    assert service.coordinator.heartbeat("g", old) == ErrorCode.FENCED_INSTANCE_ID


async def test_a_group_read_from_the_log_is_told_and_one_handed_back_is_not(service):
    who = await service.member("g")
    other = await service.restarted()
    assert other.log.settled == {"g": (1, {who.member_id: None})}
    await other.coordinator.stop()
    assert not other.log.settled


async def test_the_engine_is_told_only_of_changes(service):
    who = await service.member("g")
    told = []
    service.log.settle_group = lambda *row: told.append(row)
    for _ in range(3):
        await service.commit("g", {("t", 0): 5}, who)
        await service.coordinator.sync("g", Identity(who.member_id, None, 1), (None, None), {})
    assert not told
