"""Committed offsets: stored, fetched, expired, deleted, and the same after a restart."""

import asyncio
import struct
from pathlib import Path

import pytest
from group_harness import SESSION_MS, FakeLog, FakeTopic, Service, join_request, turn

from odradek.broker.coordinator.group.members import Identity
from odradek.broker.coordinator.group.records import OffsetCommit, OffsetKey, Record, encode
from odradek.broker.coordinator.group.service import OFFSETS_TOPIC, partition_of
from odradek.broker.coordinator.group.states import State
from odradek.errors import ErrorCode, KafkaError
from odradek.record import encode_batch

RETENTION_MS = 7 * 86_400_000
CHECK_MS = 600_000


@pytest.fixture
async def service():
    return await Service().start()


async def refused(awaitable):
    with pytest.raises(KafkaError) as raised:
        await awaitable
    return raised.value.error_code


async def test_offset_epoch_and_metadata_come_back_as_committed(service):
    await service.commit("g", {("t", 0): (42, 3, "note ü")})
    commit = service.coordinator.offsets("g")["t"][0]
    assert (commit.offset, commit.leader_epoch, commit.metadata) == (42, 3, "note ü")
    assert (await service.restarted()).coordinator.offsets("g")["t"][0] == commit


async def test_the_last_commit_counts_after_a_restart(service):
    for offset in (5, 9, 2):
        await service.commit("g", {("t", 0): offset, ("t", 1): offset * 10})
    other = await service.restarted()
    assert [other.offset("g", "t", partition) for partition in (0, 1)] == [2, 20]


async def test_groups_do_not_see_each_others_offsets(service):
    same = next(f"g{n}" for n in range(1_000) if partition_of(f"g{n}", 50) == partition_of("g", 50))
    await service.commit("g", {("t", 0): 1})
    await service.commit(same, {("t", 0): 2})
    assert (service.offset("g", "t", 0), service.offset(same, "t", 0)) == (1, 2)
    assert service.coordinator.offsets("nobody") == {}


async def test_metadata_over_the_limit_is_refused_for_its_partition_only(service):
    results = await service.commit("g", {("t", 0): (1, -1, "x" * 4097), ("t", 1): (1, -1, "x" * 4096)})
    assert results == {("t", 0): ErrorCode.OFFSET_METADATA_TOO_LARGE, ("t", 1): ErrorCode.NONE}
    assert (service.offset("g", "t", 0), service.offset("g", "t", 1)) == (None, 1)


async def test_a_commit_larger_than_a_batch_may_be_stores_nothing(service):
    many = {("t", partition): (1, -1, "x" * 4_000) for partition in range(400)}
    assert await refused(service.commit("g", many)) == ErrorCode.INVALID_COMMIT_OFFSET_SIZE
    assert service.coordinator.offsets("g") == {}


async def test_a_member_commits_in_its_generation_only(service):
    who = await service.member()
    await service.commit("g", {("t", 0): 1}, who)
    old = who._replace(generation=0)
    assert await refused(service.commit("g", {("t", 0): 2}, old)) == ErrorCode.ILLEGAL_GENERATION
    stranger = who._replace(member_id="stranger")
    assert await refused(service.commit("g", {("t", 0): 2}, stranger)) == ErrorCode.UNKNOWN_MEMBER_ID
    assert await refused(service.commit("g", {("t", 0): 2})) == ErrorCode.UNKNOWN_MEMBER_ID
    assert service.offset("g", "t", 0) == 1


async def test_a_member_of_a_group_nobody_knows_cannot_commit(service):
    assert await refused(service.commit("g", {("t", 0): 1}, Identity("m", None, 1))) == ErrorCode.GROUP_ID_NOT_FOUND
    assert service.coordinator.groups() == []


async def test_a_group_that_only_commits_is_listed_as_empty_without_protocol(service):
    await service.commit("g", {("t", 0): 1})
    for one in (service, await service.restarted()):
        assert one.coordinator.groups() == [("g", "", State.EMPTY, "classic")]


async def test_offsets_of_a_simple_group_expire_by_the_time_of_the_commit(service):
    await service.commit("g", {("t", 0): 1})
    await service.clock.advance(RETENTION_MS - CHECK_MS)
    await service.commit("g", {("t", 1): 1})
    await service.clock.advance(CHECK_MS)
    assert (service.offset("g", "t", 0), service.offset("g", "t", 1)) == (None, 1)
    await service.clock.advance(RETENTION_MS)
    assert service.coordinator.groups() == []
    assert (await service.restarted()).coordinator.groups() == []


async def test_offsets_in_use_never_expire(service):
    who = await service.member()
    await service.commit("g", {("orders", 0): 1, ("elsewhere", 0): 1}, who)
    end = service.clock.monotonic_ms() + RETENTION_MS + CHECK_MS
    while service.clock.monotonic_ms() < end:
        await service.clock.advance(SESSION_MS * 0.9)
        assert service.coordinator.heartbeat("g", who) == ErrorCode.NONE
        if service.clock.monotonic_ms() < end - 3 * CHECK_MS:
            await skip_to(service, end - 3 * CHECK_MS, who)
    assert service.offset("g", "orders", 0) == 1
    assert service.offset("g", "elsewhere", 0) is None  # nobody consumes it any more


async def skip_to(service, when_ms, who):
    """Let days pass for a member that never misses a heartbeat, without sending 60,000 of them."""
    service.coordinator.describe("g").members.by_id[who.member_id].session_timeout_ms = 10 * RETENTION_MS
    service.coordinator.heartbeat("g", who)
    await service.clock.advance(when_ms - service.clock.monotonic_ms())
    service.coordinator.describe("g").members.by_id[who.member_id].session_timeout_ms = SESSION_MS
    service.coordinator.heartbeat("g", who)


async def test_offsets_of_a_group_that_became_empty_expire_by_that_time(service):
    who = await service.member()
    await service.commit("g", {("orders", 0): 1}, who)
    await service.clock.advance(SESSION_MS)  # it dies; the group is empty from now on
    assert service.coordinator.describe("g").state is State.EMPTY
    other = await service.restarted()
    await other.clock.advance(RETENTION_MS - 1)
    assert other.offset("g", "orders", 0) == 1
    await other.clock.advance(CHECK_MS + 1)
    assert other.coordinator.groups() == []


async def test_an_empty_group_without_offsets_is_forgotten_at_the_next_check(service):
    who = await service.member()
    service.coordinator.leave("g", [(who.member_id, None)])
    await service.clock.advance(CHECK_MS)
    assert service.coordinator.groups() == []


async def test_an_offset_with_a_retention_of_its_own_expires_by_it(service):
    await service.commit("g", {("t", 0): 1}, retention_ms=CHECK_MS)
    await service.clock.advance(CHECK_MS - 1)
    assert service.offset("g", "t", 0) == 1
    await service.clock.advance(CHECK_MS)
    assert service.offset("g", "t", 0) is None


async def test_an_offset_with_the_longest_retention_there_is_never_expires(service):
    await service.commit("g", {("t", 0): 1}, retention_ms=2**63 - 1)
    await service.clock.advance(RETENTION_MS + CHECK_MS)
    assert (await service.restarted()).offset("g", "t", 0) == 1


async def test_offsets_that_can_not_be_expired_do_not_keep_those_of_other_partitions(service, caplog, monkeypatch):
    for group in "ab":
        await service.commit(group, {("t", 0): 1})
    first, _ = service.coordinator._shards()
    monkeypatch.setattr(first, "expired", lambda *_: 1 / 0)
    await service.clock.advance(RETENTION_MS + CHECK_MS)
    assert [line.group_id for line in service.coordinator.groups()] == list(first.groups)
    assert "ZeroDivisionError" in caplog.text


async def test_deleting_a_group_deletes_its_offsets_for_good(service):
    who = await service.member()
    await service.commit("g", {("orders", 0): 1}, who)
    assert service.coordinator.delete_group("g") == ErrorCode.NON_EMPTY_GROUP
    service.coordinator.leave("g", [(who.member_id, None)])
    assert service.coordinator.delete_group("g") == ErrorCode.NONE
    assert service.coordinator.delete_group("g") == ErrorCode.GROUP_ID_NOT_FOUND
    for one in (service, await service.restarted()):
        assert one.coordinator.groups() == []
        assert one.coordinator.offsets("g") == {}


async def test_offsets_of_topics_that_are_not_consumed_can_be_deleted(service):
    who = await service.member()
    await service.commit("g", {("orders", 0): 1, ("old", 0): 2, ("old", 1): 3}, who)
    results = service.coordinator.delete_offsets("g", {"orders": [0], "old": [0, 7]})
    assert results == {"orders": ErrorCode.GROUP_SUBSCRIBED_TO_TOPIC, "old": ErrorCode.NONE}
    for one in (service, await service.restarted()):
        assert [one.offset("g", *at) for at in (("orders", 0), ("old", 0), ("old", 1))] == [1, None, 3]


async def test_deleting_offsets_of_a_group_nobody_knows_says_so(service):
    with pytest.raises(KafkaError) as raised:
        service.coordinator.delete_offsets("g", {"t": [0]})
    assert raised.value.error_code == ErrorCode.GROUP_ID_NOT_FOUND


async def test_offsets_of_a_group_that_is_no_consumer_group_cannot_be_deleted_while_it_has_members(service):
    who = await service.member(protocol_type="connect", protocols={"eager": b"opaque"})
    with pytest.raises(KafkaError) as raised:
        service.coordinator.delete_offsets("g", {"t": [0]})
    assert raised.value.error_code == ErrorCode.NON_EMPTY_GROUP
    service.coordinator.leave("g", [(who.member_id, None)])
    assert service.coordinator.delete_offsets("g", {"t": [0]}) == {"t": ErrorCode.NONE}


async def test_a_consumer_group_that_cannot_be_read_counts_as_subscribed_to_everything(service):
    await service.member(protocols={"range": b"?"})
    assert service.coordinator.delete_offsets("g", {"t": [0]}) == {"t": ErrorCode.GROUP_SUBSCRIBED_TO_TOPIC}


async def test_offsets_go_with_their_topic(service):
    await service.commit("g", {("gone", 0): 1, ("stays", 0): 2})
    await service.commit("other", {("gone", 1): 3})
    service.coordinator.forget_topics(["gone"])
    for one in (service, await service.restarted()):
        assert one.coordinator.offsets("other") == {}
        assert set(one.coordinator.offsets("g")) == {"stays"}


async def test_many_tombstones_are_written_in_batches_the_log_takes(service):
    for start in range(0, 30_000, 5_000):
        await service.commit("g", {("t", partition): 1 for partition in range(start, start + 5_000)})
    service.coordinator.forget_topics(["t"])
    assert service.coordinator.offsets("g") == {}
    assert (await service.restarted()).coordinator.offsets("g") == {}


# What only Kafka writes so far: transactional commits


def _marker(*, commit):
    key = struct.pack(">hh", 0, 1 if commit else 0)
    return encode_batch(
        [(0, key, b"\0\0\0\0\0\0", ())], producer_id=7, producer_epoch=0, is_transactional=True, is_control=True
    )


def _transactional(offset):
    record = encode(Record(OffsetKey("g", "t", 0), OffsetCommit(offset, -1, "", 0)))
    return encode_batch([(0, *record, ())], producer_id=7, producer_epoch=0, base_sequence=0, is_transactional=True)


@pytest.mark.parametrize(("commit", "expected"), [(True, 50), (False, 10), (None, 10)])
async def test_offsets_of_a_transaction_count_when_it_is_committed(service, commit, expected):
    partition = partition_of("g", 50)
    await service.commit("g", {("t", 0): 10})
    service.log.append(OFFSETS_TOPIC, partition, _transactional(50))
    if commit is not None:
        service.log.append(OFFSETS_TOPIC, partition, _marker(commit=commit))
    assert (await service.restarted()).offset("g", "t", 0) == expected


async def test_a_commit_made_after_the_one_in_a_transaction_stays(service):
    partition = partition_of("g", 50)
    await service.commit("g", {("t", 0): 10})
    service.log.append(OFFSETS_TOPIC, partition, _transactional(50))
    await service.commit("g", {("t", 0): 60})
    service.log.append(OFFSETS_TOPIC, partition, _marker(commit=True))
    assert (await service.restarted()).offset("g", "t", 0) == 60


async def test_the_log_of_apache_kafka_is_read_as_kafka_means_it():
    path = Path(__file__).parents[2] / "vectors" / "consumer_offsets" / "00000000000000000000.log"
    log = FakeLog()
    log.partitions[OFFSETS_TOPIC, 0] = [(0, 31, path.read_bytes())]
    service = await Service(log=log, topic=FakeTopic(1)).start()
    assert {group.group_id: (group.protocol_type, group.state) for group in service.coordinator.groups()} == {
        "eager": ("consumer", State.EMPTY),
        "static": ("consumer", State.EMPTY),
        "simple": ("", State.EMPTY),
        "javagroup": ("consumer", State.EMPTY),
        "txn-group": ("consumer", State.EMPTY),
    }
    assert service.coordinator.describe("eager").generation == 3
    assert [service.offset("static", "orders", partition) for partition in range(3)] == [7, 8, None]
    assert service.offset("txn-group", "orders", 0) == 11
    assert service.coordinator.offsets("eager")["orders"][0].metadata == "metadata ü\0"  # librdkafka sends the NUL
    assert service.coordinator.offsets("gone") == {}


async def test_a_fetch_in_the_middle_of_a_rebalance_gives_the_old_offsets(service):
    who = await service.member()
    await service.commit("g", {("orders", 0): 5}, who)
    joining = asyncio.ensure_future(service.coordinator.join("g", join_request(needs_member_id=False)))
    await turn()
    assert service.offset("g", "orders", 0) == 5
    await service.coordinator.stop()
    await joining
