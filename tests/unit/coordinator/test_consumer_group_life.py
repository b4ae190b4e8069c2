"""KIP-848 groups over restarts of the coordinator, static members, subscriptions by expression, changes of protocol, offsets."""

import asyncio

import pytest
from consumer_harness import INTERVAL_MS, REBALANCE_MS, SESSION_MS, Member, beat, consumer_service, joined, refusal
from group_harness import join_request, turn

from odradek.broker.coordinator.group.classic import ClassicGroup
from odradek.broker.coordinator.group.consumer_members import ConsumerState, MemberState
from odradek.broker.coordinator.group.members import Identity
from odradek.errors import ErrorCode, KafkaError

FULL = {"owned": {}, "topics": ("orders",), "rebalance_timeout_ms": REBALANCE_MS}


def snapshot(group):
    return (group.epoch, group.target_epoch, group.members, group.target, group.owners, group.static_ids, group.regexes)


async def test_a_coordinator_that_reads_the_log_goes_on_where_the_old_one_was():
    service = await consumer_service(orders=4)
    a, b = await joined(service, "a", "b")
    c = Member(service, "c", instance_id="i", assignor="range")
    await c.join()
    await a.beat()
    assert a.state is MemberState.UNREVOKED_PARTITIONS
    other = await service.restarted()
    assert snapshot(other.coordinator.describe("g")) == snapshot(a.group)
    for member in (a, b, c):
        member.service = other
    writes = other.log.appends
    await b.beat()
    assert other.log.appends == writes + 1, "b is told to give up one, nothing else changed"
    for _ in range(3):
        for member in (a, b, c):
            await member.settle()
    assert sorted(a.numbers() + b.numbers() + c.numbers()) == [0, 1, 2, 3]


async def test_after_a_restart_members_have_a_session_and_their_time_to_give_up_partitions():
    service = await consumer_service(orders=4)
    a, b = await joined(service, "a", "b")
    c = Member(service, "c")
    await c.join()
    await b.beat()
    assert b.state is MemberState.UNREVOKED_PARTITIONS
    other = await service.restarted()
    for member in (a, b, c):
        member.service = other
    for _ in range(int(REBALANCE_MS / 5_000)):
        await a.beat()
        await b.beat(owned=dict(b.holds))  # alive, but does not give up
        await c.beat()
        await other.clock.advance(5_000)
    assert other.coordinator.describe("g").members.keys() == {"a", "c"}
    await other.clock.advance(SESSION_MS)
    assert other.coordinator.describe("g").state is ConsumerState.EMPTY


async def test_a_static_member_that_comes_back_finds_its_partitions_and_nobody_moves():
    service = await consumer_service(orders=4)
    a = (await joined(service, "a", instance_id="i"))[0]
    b = Member(service, "b")
    await b.join()
    for _ in range(3):
        await a.settle()
        await b.settle()
    held, epoch = a.numbers(), a.group.epoch
    assert (await a.leave(-2)).epoch == -2
    assert (await b.beat()).assignment is None
    back = Member(service, "a2", instance_id="i")
    await back.join()
    back.apply()
    assert (back.numbers(), a.group.epoch, (await b.beat()).assignment) == (held, epoch, None)
    assert await refusal(service, "g", "a", epoch, instance_id="i") == ErrorCode.FENCED_INSTANCE_ID
    assert await refusal(service, "g", "z", 0, instance_id="i", **FULL) == ErrorCode.UNRELEASED_INSTANCE_ID
    assert await refusal(service, "g", "a2", epoch, instance_id="none") == ErrorCode.UNKNOWN_MEMBER_ID
    other = await service.restarted()
    assert snapshot(other.coordinator.describe("g")) == snapshot(b.group)


async def test_a_static_member_that_stays_away_is_out_when_its_session_ends():
    service = await consumer_service(orders=2)
    a = (await joined(service, "a", instance_id="i"))[0]
    await a.leave(-2)
    await service.clock.advance(SESSION_MS)
    assert a.group.state is ConsumerState.EMPTY
    assert a.group.static_ids == {}
    again = Member(service, "z", instance_id="i")
    await again.join()
    again.apply()
    assert again.numbers() == [0, 1]


async def test_a_static_member_that_has_left_for_a_while_comes_back_by_joining_only():
    service = await consumer_service(orders=2)
    (a,) = await joined(service, "a", instance_id="i")
    b = Member(service, "b")
    await b.join()
    for _ in range(3):
        await a.settle()
        await b.settle()
    before = a.group.members["a"].previous_epoch
    assert before > 0
    await a.leave(-2)
    assert await refusal(service, "g", "a", before, instance_id="i", owned={}) == ErrorCode.FENCED_MEMBER_EPOCH
    assert (await a.join()).epoch == a.group.epoch


@pytest.mark.parametrize("regex", [None, "ord.*"])
async def test_a_member_that_takes_the_place_of_a_static_one_leaves_its_own_to_others(regex):
    service = await consumer_service(orders=2)
    (a,) = await joined(service, "a", regex=regex)
    static = Member(service, "s", instance_id="i")
    await static.join()
    for _ in range(3):
        await a.settle()
        await static.settle()
    await static.leave(-2)
    a.instance_id = "i"
    await a.join()
    await a.settle()
    assert (a.numbers(), list(a.group.members), a.group.state) == ([0, 1], ["a"], ConsumerState.STABLE)
    assert list(a.group.regexes) == ([] if regex is None else [regex])


async def test_a_static_member_that_was_to_give_up_partitions_may_stay_away_for_its_whole_session():
    service = await consumer_service(orders=2)
    (a,) = await joined(service, "a", instance_id="i")
    b = Member(service, "b")
    await b.join()
    await a.beat()
    assert a.state is MemberState.UNREVOKED_PARTITIONS
    await a.leave(-2)
    for _ in range(SESSION_MS // INTERVAL_MS - 1):
        await service.clock.advance(INTERVAL_MS)
        await b.settle()
    assert a.group.static_ids == {"i": "a"}
    back = Member(service, "a2", instance_id="i")
    await back.join()
    back.apply()
    assert sorted(back.numbers() + b.numbers()) == [0, 1]


async def test_an_expression_takes_the_topics_that_match_it_as_a_whole_also_those_that_come_later():
    service = await consumer_service(**{"orders-eu": 1, "orders-us": 1, "returns": 1})
    a = Member(service, "a", topics=(), regex="orders-.*")
    await a.join()
    a.apply()
    assert (a.numbers("orders-eu"), a.numbers("orders-us"), a.numbers("returns")) == ([0], [0], [])
    service.topics.put("orders-as", 1)
    service.topics.put("my-orders-as", 1)
    await a.settle()
    assert a.numbers("orders-as") == [0]
    assert set(a.group.subscribed_topics) == {"orders-eu", "orders-us", "orders-as"}
    service.topics.drop("orders-us")
    await a.settle()
    assert len(a.holds) == 2
    await a.beat(regex="returns|none")
    await a.settle()
    assert (a.numbers("returns"), len(a.holds)) == ([0], 1)
    assert a.group.regexes.keys() == {"returns|none"}
    other = await service.restarted()
    assert snapshot(other.coordinator.describe("g")) == snapshot(a.group)
    await a.leave()
    assert a.group.regexes == {}


async def test_a_newcomer_costs_no_look_at_the_expressions_of_the_others(monkeypatch):
    service = await consumer_service(orders=4)
    await joined(service, *"abc", topics=(), regex="orders")
    looked_up = []
    match = service.log.matching_names
    monkeypatch.setattr(service.log, "matching_names", lambda text, names: looked_up.append(text) or match(text, names))
    newcomer = Member(service, "d", topics=(), regex="or.*")
    await newcomer.join()
    assert looked_up == ["or.*"]
    service.topics.put("orders-2", 1)
    await newcomer.beat()
    assert sorted(looked_up) == ["or.*", "or.*", "orders"]


async def test_a_bad_expression_is_refused_and_leaves_nothing():
    service = await consumer_service(orders=1)
    said = {**FULL, "topics": None, "regex": "orders("}
    assert await refusal(service, "g", "a", 0, **said) == ErrorCode.INVALID_REGULAR_EXPRESSION
    assert service.log.appends == 0
    (a,) = await joined(service, "b")
    assert await refusal(service, "g", "b", a.epoch, regex="*") == ErrorCode.INVALID_REGULAR_EXPRESSION
    assert a.group.regexes == {}


async def test_an_empty_classic_group_becomes_a_consumer_group_and_keeps_its_offsets():
    service = await consumer_service(orders=1)
    who = await service.member("g")
    await service.commit("g", {("orders", 0): 7}, who)
    assert await refusal(service, "g", "a", 0, **FULL) == ErrorCode.GROUP_ID_NOT_FOUND
    service.coordinator.leave("g", [(who.member_id, None)])
    assert await refusal(service, "g", "a", 3) == ErrorCode.GROUP_ID_NOT_FOUND
    (a,) = await joined(service, "a")
    assert (a.numbers(), service.offset("g", "orders", 0)) == ([0], 7)
    for one in (service, await service.restarted()):
        (listed,) = one.coordinator.groups()
        assert (listed.type_name, listed.state, one.offset("g", "orders", 0)) == ("consumer", ConsumerState.STABLE, 7)


async def test_a_consumer_group_refuses_classic_members_until_it_is_empty():
    service = await consumer_service(orders=1)
    (a,) = await joined(service, "a")
    await service.commit("g", {("orders", 0): (3, -1, "")}, Identity("a", None, a.epoch))
    assert (await service.coordinator.join("g", join_request())).error == ErrorCode.INCONSISTENT_GROUP_PROTOCOL
    assert service.coordinator.heartbeat("g", Identity("a", None, a.epoch)) == ErrorCode.UNKNOWN_MEMBER_ID
    synced = await service.coordinator.sync("g", Identity("a", None, 1), (None, None), {})
    assert synced.error == ErrorCode.UNKNOWN_MEMBER_ID
    await a.leave()
    await service.member("g")
    for one in (service, await service.restarted()):
        (listed,) = one.coordinator.groups()
        assert (listed.type_name, one.offset("g", "orders", 0)) == ("classic", 3)
        assert isinstance(one.coordinator.describe("g"), ClassicGroup)


async def test_a_classic_group_in_the_making_is_not_taken_over():
    service = await consumer_service(orders=1)
    assert (await service.coordinator.join("g", join_request())).error == ErrorCode.MEMBER_ID_REQUIRED
    assert await refusal(service, "g", "a", 0, **FULL) == ErrorCode.GROUP_ID_NOT_FOUND
    task = asyncio.ensure_future(service.member("g"))
    await turn()
    await service.clock.advance(1_000)
    await task


async def test_only_members_commit_and_only_for_what_they_have():
    service = await consumer_service(orders=2)
    (a,) = await joined(service, "a")
    topic = service.topics.id_of("orders")

    async def commit(member_id, epoch, index, *, knows_epochs=True):
        try:
            await service.coordinator.commit_offsets(
                "g",
                Identity(member_id, None, epoch),
                {("orders", index): (5, -1, "", topic)},
                knows_epochs=knows_epochs,
            )
        except KafkaError as error:
            return error.error_code
        return ErrorCode.NONE

    b = Member(service, "b")
    await b.join()
    await a.beat()
    a.revoke()
    await a.beat()
    await b.settle()
    (mine,), (gone,) = a.numbers(), b.numbers()
    assert a.epoch == 2
    assert await commit("a", 2, mine) == ErrorCode.NONE
    assert await commit("a", 1, mine) == ErrorCode.NONE, "it has had this one since epoch 1"
    assert await commit("a", 1, gone) == ErrorCode.STALE_MEMBER_EPOCH
    assert await commit("a", 0, mine) == ErrorCode.STALE_MEMBER_EPOCH
    assert await commit("a", 3, mine) == ErrorCode.STALE_MEMBER_EPOCH
    assert await commit("z", 2, mine) == ErrorCode.UNKNOWN_MEMBER_ID
    assert await commit("", -1, mine) == ErrorCode.UNKNOWN_MEMBER_ID
    assert await commit("a", 2, mine, knows_epochs=False) == ErrorCode.UNSUPPORTED_VERSION
    assert service.coordinator.offsets("g", "a", 2)
    assert service.coordinator.offsets("g")
    for who, code in ((("a", 1), ErrorCode.STALE_MEMBER_EPOCH), (("z", 2), ErrorCode.UNKNOWN_MEMBER_ID)):
        with pytest.raises(KafkaError) as refused:
            service.coordinator.offsets("g", *who)
        assert refused.value.error_code is code
    assert service.coordinator.delete_offsets("g", {"orders": [0]}) == {"orders": ErrorCode.GROUP_SUBSCRIBED_TO_TOPIC}
    await a.leave()
    await b.leave()
    assert await commit("", -1, mine) == ErrorCode.NONE
    assert service.coordinator.delete_offsets("g", {"orders": [0]}) == {"orders": ErrorCode.NONE}


async def test_an_empty_group_can_be_deleted_and_ends_with_its_last_offset():
    service = await consumer_service(orders=1)
    (a,) = await joined(service, "a")
    assert service.coordinator.delete_group("g") == ErrorCode.NON_EMPTY_GROUP
    await a.leave()
    (b,) = await joined(service, "b", group="h")
    await service.commit("h", {("orders", 0): (3, -1, "")}, Identity("b", None, b.epoch))
    await b.leave()
    assert service.coordinator.delete_group("g") == ErrorCode.NONE
    other = await service.restarted()
    assert [group.group_id for group in other.coordinator.groups()] == ["h"]
    await other.clock.advance(8 * 24 * 3600 * 1000)
    assert other.coordinator.groups() == []
    assert (await other.restarted()).coordinator.groups() == []


async def test_a_heartbeat_that_can_not_be_written_leaves_no_trace():
    service = await consumer_service(orders=1)
    (a,) = await joined(service, "a")
    before = snapshot(a.group)
    kept = a.group
    service.log.offline = True
    assert await refusal(service, "g", "b", 0, **FULL) == ErrorCode.NOT_COORDINATOR
    assert snapshot(kept) == before


async def test_the_protocol_can_be_switched_off():
    service = await consumer_service(orders=1)
    service = type(service)(topics=service.topics, serves_consumer_protocol=False)
    await service.start()
    assert await refusal(service, "g", "a", 0, **FULL) == ErrorCode.UNSUPPORTED_VERSION
    with pytest.raises(KafkaError):
        await beat(service, "g", "a", 1)


async def test_a_member_that_takes_another_instance_id_lets_go_of_the_first():
    service = await consumer_service(orders=1)
    await joined(service, "a", instance_id="first")
    await beat(service, "g", "a", 0, instance_id="second", **FULL)
    group = service.coordinator.describe("g")
    assert group.static_ids == {"second": "a"}
    assert (await service.restarted()).coordinator.describe("g").static_ids == group.static_ids
    await beat(service, "g", "a", -1, instance_id="second")
    await beat(service, "g", "b", 0, instance_id="first", **FULL)
    assert group.static_ids == {"first": "b"}


async def test_who_must_give_up_partitions_gains_no_time_by_saying_something_else():
    service = await consumer_service(orders=2)
    (a,) = await joined(service, "a")
    b = Member(service, "b")
    await b.join()
    owned = {topic: frozenset(parts) for topic, parts in a.holds.items()}
    assignors = ("range", "uniform")
    for number in range(REBALANCE_MS // INTERVAL_MS):
        await a.beat(owned=owned, assignor=assignors[number % 2])
        await b.beat()
        await service.clock.advance(INTERVAL_MS)
    await service.clock.advance(INTERVAL_MS)
    assert list(b.group.members) == ["b"]
