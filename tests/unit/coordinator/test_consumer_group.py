"""KIP-848 groups through the coordinator: joining, reconciling, leaving, being late, and what is refused."""

import pytest
from consumer_harness import INTERVAL_MS, REBALANCE_MS, SESSION_MS, Member, beat, consumer_service, joined, refusal

from odradek.broker.coordinator.group.consumer_members import ConsumerState, MemberState
from odradek.errors import ErrorCode

FULL = {"owned": {}, "topics": ("orders",), "rebalance_timeout_ms": REBALANCE_MS}


async def test_a_lone_member_has_all_partitions_with_its_first_answer():
    service = await consumer_service(orders=3)
    member = Member(service, "a")
    answer = await member.join()
    member.apply()
    assert (answer.epoch, member.numbers()) == (1, [0, 1, 2])
    assert member.group.state is ConsumerState.STABLE


async def test_a_heartbeat_that_says_nothing_new_writes_nothing_and_tells_nothing():
    service = await consumer_service(orders=3)
    a, b = await joined(service, "a", "b")
    before = service.log.appends
    for member in (a, b, a, b):
        assert (await member.beat()).assignment is None
    assert service.log.appends == before


async def test_members_are_asked_to_come_soon_as_long_as_the_group_is_restless():
    service = await consumer_service(orders=4)
    a, b = await joined(service, "a", "b")

    async def intervals():
        return [(await member.beat()).heartbeat_interval_ms for member in (a, b)]

    assert max(await intervals()) < 1_000, "more may come"
    await service.clock.advance(INTERVAL_MS)
    assert await intervals() == [INTERVAL_MS, INTERVAL_MS]
    c = Member(service, "c")
    assert (await c.join()).heartbeat_interval_ms < 1_000
    for _ in range(3):
        await service.clock.advance(INTERVAL_MS)
        for member in (a, b):
            await member.settle()
    assert await intervals() == [INTERVAL_MS, INTERVAL_MS]
    waits = Member(service, "d")
    await waits.join()
    await service.clock.advance(INTERVAL_MS)
    assert waits.state is MemberState.UNRELEASED_PARTITIONS
    assert (await waits.beat()).heartbeat_interval_ms < 1_000, (
        "who waits for a partition is to hear soon that it is free"
    )


async def test_a_large_group_is_not_asked_for_more_than_500_heartbeats_a_second():
    service = await consumer_service(orders=2)
    for number in range(200):
        answer = await beat(service, "g", f"m{number}", 0, **FULL)
    assert answer.heartbeat_interval_ms == 400


async def test_a_newcomer_gets_a_partition_only_when_its_owner_has_said_that_it_gave_it_up():
    service = await consumer_service(orders=2)
    (a,) = await joined(service, "a")
    b = Member(service, "b")
    assert (await b.join()).assignment == {}
    assert b.state is MemberState.UNRELEASED_PARTITIONS
    told = await a.beat()
    assert (sum(map(len, told.assignment.values())), told.epoch) == (1, 1), "less, in the epoch it was in"
    assert a.state is MemberState.UNREVOKED_PARTITIONS
    assert a.group.state is ConsumerState.RECONCILING
    for _ in range(3):
        assert (await b.beat()).assignment is None
        await a.beat(owned={topic: frozenset(parts) for topic, parts in a.holds.items()})  # not yet
    a.revoke()
    assert (await a.beat()).epoch == 2
    assert (await b.beat()).assignment is not None
    a.apply()
    b.apply()
    assert sorted(a.numbers() + b.numbers()) == [0, 1]
    assert a.group.state is ConsumerState.STABLE


async def test_who_does_not_give_up_in_time_is_out_though_it_sends_heartbeats():
    service = await consumer_service(orders=2)
    (a,) = await joined(service, "a")
    b = Member(service, "b")
    await b.join()
    for _ in range(REBALANCE_MS // INTERVAL_MS):
        await a.beat(owned={topic: frozenset(parts) for topic, parts in a.holds.items()})
        await b.beat()
        await service.clock.advance(INTERVAL_MS)
    await service.clock.advance(INTERVAL_MS)
    assert await refusal(service, "g", "a", a.epoch) == ErrorCode.UNKNOWN_MEMBER_ID
    await b.settle()
    assert b.numbers() == [0, 1]


async def test_who_is_silent_for_a_session_is_out():
    service = await consumer_service(orders=2)
    a, b = await joined(service, "a", "b")
    for _ in range(SESSION_MS // INTERVAL_MS + 1):
        await service.clock.advance(INTERVAL_MS)
        await b.beat()
    await b.settle()
    assert b.numbers() == [0, 1]
    assert list(a.group.members) == ["b"]
    await service.clock.advance(SESSION_MS)
    assert b.group.state is ConsumerState.EMPTY
    assert service.clock.alarms == 1, "only the cleaning of offsets"


async def test_who_leaves_gives_its_partitions_at_the_others_next_heartbeat():
    service = await consumer_service(orders=4)
    a, b = await joined(service, "a", "b")
    assert (await a.leave()).epoch == -1
    assert b.group.state is ConsumerState.ASSIGNING
    await b.settle()
    assert b.numbers() == [0, 1, 2, 3]


async def test_many_heartbeats_after_one_change_assign_once():
    service = await consumer_service(orders=8)
    members = await joined(service, "a", "b", "c")
    gone = members.pop()
    await gone.leave()
    epochs = []
    for _ in range(3):
        for member in members:
            await member.settle()
            epochs.append((member.group.epoch, member.group.target_epoch))
    assert len(set(epochs)) == 1


@pytest.mark.parametrize("version", [0, 1])
async def test_what_makes_no_sense_is_refused_and_leaves_no_group(version):
    service = await consumer_service(orders=1)
    cases = [
        (("g", "a", 0), {**FULL, "rebalance_timeout_ms": -1}),
        (("g", "a", 0), {**FULL, "owned": None}),
        (("g", "a", 0), {**FULL, "owned": {b"x" * 16: frozenset({1})}}),
        (("g", "a", 0), {**FULL, "topics": None}),
        (("g", "a", 0), {**FULL, "instance_id": ""}),
        (("g", "a", 0), {**FULL, "rack_id": ""}),
        (("", "a", 0), FULL),
        (("g", "", 3), {}),
        (("g", "", -1), {}),
        (("g", "a", -2), {}),
        (("g", "a", -3), {}),
    ]
    for who, said in cases:
        assert await refusal(service, *who, **said, version=version) == ErrorCode.INVALID_REQUEST, (who, said)
    assert await refusal(service, "g", "a", 0, **FULL, assignor="no") == ErrorCode.UNSUPPORTED_ASSIGNOR
    assert service.coordinator.groups() == []
    assert service.log.appends == 0


async def test_members_make_their_ids_from_version_1_on():
    service = await consumer_service(orders=1)
    assert await refusal(service, "g", "", 0, **FULL, version=1) == ErrorCode.INVALID_REQUEST
    answer = await beat(service, "g", "", 0, **FULL, version=0)
    assert answer.member_id
    assert (await beat(service, "g", answer.member_id, answer.epoch, version=0)).epoch == answer.epoch


async def test_a_member_that_is_not_where_the_group_believes_it_is_has_to_begin_anew():
    service = await consumer_service(orders=2)
    a, _ = await joined(service, "a", "b")
    assert await refusal(service, "g", "a", a.epoch + 1) == ErrorCode.FENCED_MEMBER_EPOCH
    assert await refusal(service, "g", "a", a.epoch - 1) == ErrorCode.FENCED_MEMBER_EPOCH
    assert await refusal(service, "g", "nobody", 1) == ErrorCode.UNKNOWN_MEMBER_ID
    assert await refusal(service, "other", "a", 1) == ErrorCode.GROUP_ID_NOT_FOUND
    held = a.numbers()
    await a.join()
    await a.settle()
    assert a.numbers() == held


async def test_a_member_that_missed_an_answer_may_come_with_the_epoch_before():
    service = await consumer_service(orders=2)
    (a,) = await joined(service, "a")
    b = Member(service, "b")
    await b.join()
    await a.beat()
    a.revoke()
    answer = await a.beat(lost=True)
    assert answer.epoch == a.epoch + 1
    await a.beat(lost=True)
    await a.settle()
    await b.settle()
    assert sorted(a.numbers() + b.numbers()) == [0, 1]


async def test_a_full_group_takes_nobody_more():
    service = await consumer_service(orders=2)
    service = type(service)(topics=service.topics, consumer_max_size=2)
    await service.start()
    a, _ = await joined(service, "a", "b")
    assert await refusal(service, "g", "c", 0, **FULL) == ErrorCode.GROUP_MAX_SIZE_REACHED
    await a.beat()
    await a.leave()
    assert (await beat(service, "g", "c", 0, **FULL)).epoch > 0


async def test_topics_that_come_grow_and_go_are_seen_at_the_next_heartbeat():
    service = await consumer_service(orders=2)
    a, b = await joined(service, "a", "b", topics=("orders", "later"))
    service.topics.put("orders", 4)
    service.topics.put("later", 2)
    for _ in range(3):
        for member in (a, b):
            await member.settle()
    assert sorted(a.numbers() + b.numbers()) == [0, 1, 2, 3]
    assert sorted(a.numbers("later") + b.numbers("later")) == [0, 1]
    old = service.topics.id_of("orders")
    service.topics.drop("orders")
    service.topics.put("orders", 1)
    for _ in range(3):
        for member in (a, b):
            await member.settle()
    assert sorted(a.numbers() + b.numbers()) == [0]
    assert all(old not in member.holds for member in (a, b))
    epoch = a.group.epoch
    service.topics.put("nobody-asked", 1)
    await a.beat()
    assert a.group.epoch == epoch


async def test_a_changed_subscription_is_followed():
    service = await consumer_service(orders=2, returns=2)
    a, b = await joined(service, "a", "b")
    told = await b.subscribe("returns")
    assert told.assignment == {}, "it has to give up first"
    for _ in range(3):
        for member in (a, b):
            await member.settle()
    assert (a.numbers(), b.numbers(), b.numbers("returns")) == ([0, 1], [], [0, 1])


async def test_most_votes_choose_the_assignor():
    service = await consumer_service(orders=4, returns=4)
    a, b = await joined(service, "a", "b", topics=("orders", "returns"), assignor="range")
    assert service.coordinator.assignor_of(a.group) == "range"
    assert (a.numbers(), a.numbers("returns"), b.numbers()) == ([0, 1], [0, 1], [2, 3])
    assert service.coordinator.assignor_of((await joined(service, "x", group="other"))[0].group) == "uniform"
