"""Offsets that the engine commits for settled groups: the coordinator sees all of them, in the order of the log."""

import pytest
from group_harness import Service

from odradek.broker.coordinator.group.members import Identity
from odradek.errors import ErrorCode, KafkaError, LogDirOfflineError

RETENTION_MS = 7 * 86_400_000
CHECK_MS = 600_000


@pytest.fixture
async def service():
    return await Service().start()


async def test_what_the_engine_commits_is_read_here_and_after_a_restart(service):
    await service.member("g")
    assert service.log.commit("g", "orders", 0, 5)
    assert service.offset("g", "orders", 0) == 5
    assert service.log.commit("g", "orders", 0, 6)
    assert service.log.commit("g", "orders", 1, 7)
    stored = service.coordinator.offsets("g")
    assert {index: commit.offset for index, commit in stored["orders"].items()} == {0: 6, 1: 7}
    assert stored["orders"][0].topic_id == bytes(16)
    assert (await service.restarted()).coordinator.offsets("g") == stored


async def test_between_a_commit_of_the_engine_and_one_here_the_later_counts(service):
    who = await service.member("g")
    assert service.log.commit("g", "orders", 0, 5)
    await service.commit("g", {("orders", 0): 6}, who)
    assert service.offset("g", "orders", 0) == 6
    assert service.log.commit("g", "orders", 0, 7), "the hold has ended"
    assert service.offset("g", "orders", 0) == 7
    assert (await service.restarted()).offset("g", "orders", 0) == 7


async def test_the_engine_commits_nothing_while_a_commit_is_appended_here(service):
    who = await service.member("g")
    append, taken = service.log.append, []

    def between(*batch):
        taken.append(service.log.commit("g", "orders", 0, 9))
        return append(*batch)

    service.log.append = between
    await service.commit("g", {("orders", 0): 6}, who)
    assert taken == [False]
    assert service.offset("g", "orders", 0) == 6


async def test_a_commit_that_is_refused_here_ends_its_hold(service):
    who = await service.member("g")
    with pytest.raises(KafkaError):
        await service.commit("g", {("t", n): (1, -1, "x" * 4_096) for n in range(300)}, who)
    assert service.log.commit("g", "orders", 0, 5)


async def test_a_group_that_leaves_the_table_keeps_what_the_engine_committed(service):
    who = await service.member("g")
    assert service.log.commit("g", "orders", 0, 5)
    assert service.coordinator.leave("g", [(who.member_id, None)]) == [ErrorCode.NONE]
    assert not service.log.commit("g", "orders", 0, 6), "its members are gone"
    assert service.offset("g", "orders", 0) == 5
    assert service.coordinator.delete_group("g") is ErrorCode.NONE
    assert service.offset("g", "orders", 0) is None
    assert (await service.restarted()).offset("g", "orders", 0) is None


async def test_offsets_of_the_engine_are_deleted_where_asked_for(service):
    await service.member("g")
    assert service.log.commit("g", "others", 0, 5)
    assert service.log.commit("g", "orders", 0, 6)
    answer = service.coordinator.delete_offsets("g", {"others": [0], "orders": [0]})
    assert answer == {"others": ErrorCode.NONE, "orders": ErrorCode.GROUP_SUBSCRIBED_TO_TOPIC}
    other = await service.restarted()
    for one in (service, other):
        assert (one.offset("g", "others", 0), one.offset("g", "orders", 0)) == (None, 6)
    assert service.log.commit("g", "others", 0, 7), "the hold has ended"


async def test_a_deleted_topic_takes_along_what_the_engine_committed(service):
    await service.member("g")
    await service.member("h")
    assert service.log.commit("g", "orders", 0, 5)
    assert service.log.commit("h", "orders", 0, 6)
    assert service.log.commit("h", "others", 0, 7)
    service.coordinator.forget_topics(["orders"])
    other = await service.restarted()
    for one in (service, other):
        assert [one.offset(*at) for at in (("g", "orders", 0), ("h", "orders", 0), ("h", "others", 0))] == [
            None,
            None,
            7,
        ]


async def test_offsets_of_the_engine_expire_by_the_time_of_their_commit(service):
    who = await service.member("g")
    service.coordinator.describe("g").members.by_id[who.member_id].session_timeout_ms = 10 * RETENTION_MS
    assert service.coordinator.heartbeat("g", who) is ErrorCode.NONE
    assert service.log.commit("g", "others", 0, 5)
    assert service.log.commit("g", "orders", 0, 6)
    await service.clock.advance(RETENTION_MS - CHECK_MS)
    assert service.log.commit("g", "others", 1, 7)
    await service.clock.advance(2 * CHECK_MS)
    for one in (service, await service.restarted()):
        assert [one.offset("g", *at) for at in (("others", 0), ("others", 1), ("orders", 0))] == [None, 7, 6]
    assert service.log.commit("g", "others", 0, 8), "the hold has ended"


async def test_a_log_that_failed_leaves_nothing_to_the_engine(service):
    who = await service.member("g")
    assert service.log.commit("g", "orders", 0, 5)
    service.log.offline = True
    with pytest.raises(LogDirOfflineError):
        service.log.commit("g", "orders", 0, 6)
    with pytest.raises(KafkaError) as raised:
        await service.commit("g", {("orders", 0): 6}, who)
    assert raised.value.error_code is ErrorCode.NOT_COORDINATOR
    assert not service.log.settled


async def test_a_stale_member_is_refused_here_without_ending_the_engines_commits(service):
    await service.member("g")
    with pytest.raises(KafkaError) as raised:
        await service.commit("g", {("orders", 0): 6}, Identity("nobody", None, 1))
    assert raised.value.error_code is ErrorCode.UNKNOWN_MEMBER_ID
    assert service.log.commit("g", "orders", 0, 5)
    assert service.offset("g", "orders", 0) == 5
