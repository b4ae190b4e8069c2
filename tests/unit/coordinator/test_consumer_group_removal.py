"""KIP-848 groups: members that are taken out by an admin, by their session's end, or by name, whatever they call themselves."""

from consumer_harness import REBALANCE_MS, SESSION_MS, beat, consumer_service, joined, refusal

from odradek.broker.coordinator.group.consumer_members import ConsumerState
from odradek.broker.coordinator.group.members import Identity
from odradek.errors import ErrorCode

LONG = 2**15 - 10
"""Nearly as many characters as an id may have: the tombstones of six such members are too large for a batch."""
FULL = {"owned": {}, "topics": ("orders",), "rebalance_timeout_ms": REBALANCE_MS}


async def test_an_admin_removes_static_members_by_their_instance_and_others_by_their_id():
    service = await consumer_service(orders=4)
    (a,) = await joined(service, "a", instance_id="i")
    (b,) = await joined(service, "b")
    (c,) = await joined(service, "c")
    asked = [("", "i"), ("b", None), ("b", None), ("z", None), ("", "none"), ("", None)]
    unknown = ErrorCode.UNKNOWN_MEMBER_ID
    assert service.coordinator.leave("g", asked) == [0, 0, 0, unknown, unknown, unknown]
    assert list(c.group.members) == ["c"]
    await c.settle()
    assert c.numbers() == [0, 1, 2, 3]
    assert await refusal(service, "g", "a", a.epoch, instance_id="i") == unknown
    assert await refusal(service, "g", "b", b.epoch) == unknown
    other = await service.restarted()
    assert list(other.coordinator.describe("g").members) == ["c"]


async def test_an_admin_that_names_another_member_of_the_instance_removes_nobody():
    service = await consumer_service(orders=1)
    (a,) = await joined(service, "a", instance_id="i")
    epoch, appends = a.group.epoch, service.log.appends
    assert service.coordinator.leave("g", [("z", "i")]) == [ErrorCode.FENCED_INSTANCE_ID]
    assert (list(a.group.members), a.group.epoch, service.log.appends) == (["a"], epoch, appends)
    assert service.coordinator.leave("g", [("a", "i")]) == [ErrorCode.NONE]
    assert a.group.state is ConsumerState.EMPTY
    await service.clock.advance(SESSION_MS)
    assert service.clock.alarms == 1, "only the cleaning of offsets"


async def test_silent_members_are_out_however_long_their_ids_are():
    service = await consumer_service(orders=1)
    group = "g" * LONG
    for number in range(8):
        await beat(service, group, f"{number}{'m' * LONG}", 0, **FULL)
    await service.clock.advance(SESSION_MS)
    assert service.coordinator.describe(group).state is ConsumerState.EMPTY
    assert service.clock.alarms == 1, "only the cleaning of offsets"
    assert (await service.restarted()).coordinator.describe(group).state is ConsumerState.EMPTY


async def test_groups_end_however_long_their_ids_are_and_keep_no_other_from_it():
    service = await consumer_service(orders=1)
    commit = (7, -1, "", None)
    for number in range(40):
        nobody = Identity("", None, -1)
        await service.coordinator.commit_offsets("g" * LONG, nobody, {("orders", number): commit})
    await service.coordinator.commit_offsets("other", Identity("", None, -1), {("orders", 0): commit})
    await service.clock.advance(8 * 24 * 3600 * 1000)
    assert service.coordinator.groups() == []
    assert (await service.restarted()).coordinator.groups() == []
