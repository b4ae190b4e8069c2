"""The group coordinator over a log: what outlives a restart, what does not, and what clients are told meanwhile."""

import asyncio

import pytest
from group_harness import SESSION_MS, FakeLog, FakeTopic, Service, join_request, subscription, turn

from odradek.broker.coordinator.group import service as group_service
from odradek.broker.coordinator.group.classic import ClassicGroup
from odradek.broker.coordinator.group.members import Identity
from odradek.broker.coordinator.group.service import OFFSETS_TOPIC, partition_of
from odradek.broker.coordinator.group.states import Limits, State
from odradek.errors import (
    CoordinatorLoadInProgressError,
    CoordinatorNotAvailableError,
    ErrorCode,
    InvalidGroupIdError,
    KafkaError,
    NotCoordinatorError,
)


@pytest.fixture
async def service():
    return await Service().start()


@pytest.mark.parametrize(
    ("group_id", "partition"),
    # as `abs("...".hashCode()) % 50` in Java
    [("", 0), ("g", 3), ("console-consumer-12345", 6), ("gröup", 32), ("😀", 49), ("polygenelubricants", 0)],
)
def test_a_group_belongs_to_the_partition_that_java_computes(group_id, partition):
    assert partition_of(group_id, 50) == partition


def test_every_group_belongs_to_one_of_the_partitions():
    assert {partition_of(f"group-{n}", 50) for n in range(2_000)} == set(range(50))


async def test_ids_that_clients_make_up_cost_little_memory(service):
    group_service._kept_hash.cache_clear()  # the memories themselves: no answer shows them
    long_id = "g" * 250
    assert partition_of(long_id, 50) == partition_of(long_id, 50)
    service.coordinator.announce(long_id, 1)
    assert service.coordinator._lookups.count(long_id, service.clock.monotonic_ms()) == 0
    assert group_service._kept_hash.cache_info().currsize == 0


async def test_an_id_that_no_string_of_the_protocol_can_hold_is_refused(service):
    too_long = "g" * 2**15
    with pytest.raises(InvalidGroupIdError):
        await service.coordinator.join(too_long, join_request())
    with pytest.raises(InvalidGroupIdError):
        service.coordinator.describe(too_long)
    assert (await service.coordinator.join(too_long[1:], join_request())).error == ErrorCode.MEMBER_ID_REQUIRED


async def test_a_group_without_members_is_known_after_a_restart(service):
    task = asyncio.ensure_future(service.coordinator.join("g", join_request()))
    assert (await task).error == ErrorCode.MEMBER_ID_REQUIRED
    other = await service.restarted()
    assert [(group.group_id, group.state) for group in other.coordinator.groups()] == [("g", State.EMPTY)]


async def test_a_stable_group_goes_on_after_a_restart(service):
    who = await service.member()
    other = await service.restarted()
    assert other.coordinator.heartbeat("g", who) == ErrorCode.NONE
    assert (await other.coordinator.sync("g", who, ("consumer", "range"), {})).assignment == b"all"
    group = other.coordinator.describe("g")
    assert (group.state, group.generation, group.protocol_type) == (State.STABLE, 1, "consumer")
    assert group.subscribed_topics == {"orders"}


async def test_members_read_from_the_log_have_a_session_that_ends(service):
    who = await service.member()
    other = await service.restarted()
    await other.clock.advance(SESSION_MS - 1)
    assert other.coordinator.describe("g").state is State.STABLE
    await other.clock.advance(1)
    assert other.coordinator.describe("g").state is State.EMPTY
    assert other.coordinator.heartbeat("g", who) == ErrorCode.UNKNOWN_MEMBER_ID


async def test_heartbeats_cost_no_alarm_each(service):
    who = await service.member()
    alarms = service.clock.alarms
    for _ in range(100):
        await service.clock.advance(SESSION_MS / 10)
        assert service.coordinator.heartbeat("g", who) == ErrorCode.NONE
    assert service.clock.alarms <= alarms


async def test_a_dead_group_leaves_no_alarm(service):
    idle = service.clock.alarms
    who = await service.member()
    assert service.clock.alarms == idle + 1
    service.coordinator.leave("g", [(who.member_id, None)])
    assert service.coordinator.delete_group("g") == ErrorCode.NONE
    await service.clock.advance(SESSION_MS)
    assert service.clock.alarms == idle


async def test_a_group_wakes_up_again_after_a_bug(service, caplog, monkeypatch):
    await service.member()
    with monkeypatch.context() as patched:
        patched.setattr(ClassicGroup, "expire", lambda *_: 1 / 0)
        await service.clock.advance(10 * SESSION_MS)
    assert 1 < caplog.text.count("ZeroDivisionError") < 20
    await service.clock.advance(SESSION_MS)
    assert service.coordinator.describe("g").is_empty


@pytest.mark.parametrize("long", ["client_id", "instance_id"])
@pytest.mark.parametrize("letter", ["c", "€"])
async def test_a_member_id_fits_into_a_record_whatever_it_is_made_of(service, long, letter):
    longest = letter * ((2**15 - 1) // len(letter.encode()))
    who = await service.member(**{long: longest})
    assert len(who.member_id.encode()) < 2**15
    assert (await service.restarted()).coordinator.heartbeat("g", who) == ErrorCode.NONE


@pytest.mark.parametrize("session_ms", [5_999, 1_800_001])
async def test_a_session_time_out_outside_the_limits_is_refused(service, session_ms):
    joined = await service.coordinator.join("g", join_request(session_timeout_ms=session_ms))
    assert joined.error == ErrorCode.INVALID_SESSION_TIMEOUT
    assert service.coordinator.describe("g") is None


async def test_an_empty_group_id_is_invalid_for_members(service):
    who = Identity("m", None, 1)
    with pytest.raises(InvalidGroupIdError):
        await service.coordinator.join("", join_request())
    with pytest.raises(InvalidGroupIdError):
        await service.coordinator.sync("", who, (None, None), {})
    with pytest.raises(InvalidGroupIdError):
        service.coordinator.heartbeat("", who)
    with pytest.raises(InvalidGroupIdError):
        service.coordinator.leave("", [("m", None)])


async def test_a_member_of_a_group_nobody_knows_is_unknown(service):
    who = Identity("m", None, 1)
    assert (await service.coordinator.join("g", join_request("m"))).error == ErrorCode.UNKNOWN_MEMBER_ID
    assert (await service.coordinator.sync("g", who, (None, None), {})).error == ErrorCode.UNKNOWN_MEMBER_ID
    assert service.coordinator.heartbeat("g", who) == ErrorCode.UNKNOWN_MEMBER_ID
    assert service.coordinator.leave("g", [("m", None)]) == [ErrorCode.UNKNOWN_MEMBER_ID]
    assert service.coordinator.groups() == []


async def test_the_topic_is_made_when_the_first_group_needs_it():
    service = await Service(topic=FakeTopic(exists=False)).start()
    assert service.coordinator.groups() == []
    assert service.coordinator.offsets("g") == {}
    with pytest.raises(CoordinatorNotAvailableError):
        service.coordinator.heartbeat("g", Identity("m", None, 1))
    await service.commit("g", {("t", 0): 1})
    assert service.topic.exists
    assert service.offset("g", "t", 0) == 1


async def test_a_topic_made_by_somebody_else_is_noticed():
    service = await Service(topic=FakeTopic(exists=False)).start()
    await service.topic.create()
    assert service.coordinator.heartbeat("g", Identity("m", None, 1)) == ErrorCode.UNKNOWN_MEMBER_ID


async def test_two_hundred_members_rebalance_together():
    service = await Service(limits=Limits(initial_rebalance_delay_ms=3_000)).start()
    join = service.coordinator.join
    tasks = [asyncio.ensure_future(join("g", join_request(needs_member_id=False))) for _ in range(200)]
    await turn()
    await service.clock.advance(10_000)
    answers = await asyncio.gather(*tasks)
    leader = answers[0].leader
    assert {answer.generation for answer in answers} == {1}
    assert [len(answer.members) for answer in answers if answer.member_id == leader] == [200]
    assignments = {answer.member_id: answer.member_id.encode() for answer in answers}
    syncs = [
        asyncio.ensure_future(
            service.coordinator.sync(
                "g", Identity(a.member_id, None, 1), (None, None), assignments if a.member_id == leader else {}
            )
        )
        for a in answers
    ]
    for answer, sync in zip(answers, syncs, strict=True):
        assert (await sync).assignment == answer.member_id.encode()


async def test_requests_are_told_to_wait_while_the_log_is_being_read():
    log = BlockedLog()
    first = await Service(log=log).start()
    await first.commit("g", {("t", 0): 7})
    log.blocked = True
    service = Service(log=log)
    await service.coordinator.start(budget_s=0)
    with pytest.raises(CoordinatorLoadInProgressError):
        service.coordinator.heartbeat("g", Identity("m", None, 1))
    with pytest.raises(CoordinatorLoadInProgressError):
        service.coordinator.offsets("g")
    with pytest.raises(KafkaError) as refused:
        service.coordinator.groups()
    assert refused.value.error_code == ErrorCode.COORDINATOR_LOAD_IN_PROGRESS
    # other partitions are there already
    assert service.coordinator.heartbeat("another group", Identity("m", None, 1)) == ErrorCode.UNKNOWN_MEMBER_ID
    log.blocked = False
    await turn()
    assert service.offset("g", "t", 0) == 7


class BlockedLog(FakeLog):
    """A log that gives nothing new while it is blocked; the reader keeps asking."""

    blocked = False

    def read(self, topic, partition, offset, max_bytes):
        if self.blocked:
            return super().read(topic, partition, 0, max_bytes) if offset else self._padding()
        return super().read(topic, partition, offset, max_bytes)

    def _padding(self):
        from odradek.record import encode_batch

        return encode_batch([(0, b"\0\x63", None, ())], base_offset=-1)


async def test_a_failed_log_is_given_up_and_everybody_who_waits_is_told(service):
    who = await service.member()
    joining = asyncio.ensure_future(service.coordinator.join("g", join_request(needs_member_id=False)))
    await turn()
    assert not joining.done()
    service.log.offline = True
    with pytest.raises(NotCoordinatorError):
        await service.commit("g", {("t", 0): 1}, who)
    assert (await joining).error == ErrorCode.NOT_COORDINATOR
    with pytest.raises(CoordinatorNotAvailableError):
        service.coordinator.heartbeat("g", who)


async def test_stopping_answers_everybody_who_waits(service):
    await service.member()
    joining = asyncio.ensure_future(service.coordinator.join("g", join_request(needs_member_id=False)))
    await turn()
    await service.coordinator.stop()
    assert (await joining).error == ErrorCode.NOT_COORDINATOR
    assert service.clock.alarms == 0
    with pytest.raises(NotCoordinatorError):
        await service.coordinator.join("g", join_request())


async def test_a_generation_too_large_for_the_log_is_refused_and_the_group_lives(service):
    blob = subscription("orders") + bytes(2_000_000)
    joined = asyncio.ensure_future(
        service.coordinator.join("g", join_request(needs_member_id=False, protocols={"range": blob}))
    )
    await turn()
    await service.clock.advance(0)
    who = Identity((await joined).member_id, None, 1)
    synced = await service.coordinator.sync("g", who, (None, None), {})
    assert synced.error == ErrorCode.UNKNOWN_SERVER_ERROR
    assert service.coordinator.heartbeat("g", who) == ErrorCode.REBALANCE_IN_PROGRESS
    await service.member("other")


async def test_a_group_larger_than_a_lowered_limit_rebalances_when_it_is_read():
    log = FakeLog()
    first = await Service(log=log).start()
    one = await first.member(instance_id="a")
    joining = asyncio.ensure_future(first.coordinator.join("g", join_request(instance_id="b")))
    await turn()
    again = asyncio.ensure_future(first.coordinator.join("g", join_request(one.member_id, instance_id="a")))
    leader, follower = await again, await joining
    await first.coordinator.sync("g", Identity(leader.member_id, "a", 2), (None, None), {})
    assert len(follower.member_id) > 0
    second = await Service(log=log, limits=Limits(0, max_size=1)).start()
    assert second.coordinator.describe("g").state is State.PREPARING_REBALANCE


def test_the_settings_are_the_brokers():
    from odradek.broker.coordinator.group.settings import GroupSettings
    from odradek.config.broker import BrokerSettings

    assert GroupSettings.from_broker(BrokerSettings({})) == GroupSettings()
    changed = BrokerSettings({"offsets.retention.minutes": "1", "group.max.size": "7"})
    settings = GroupSettings.from_broker(changed)
    assert (settings.offsets_retention_ms, settings.limits.max_size) == (60_000, 7)


async def test_records_nobody_can_read_cost_only_themselves(service, caplog):
    from odradek.record import encode_batch

    await service.commit("g", {("t", 0): 7})
    partition = partition_of("g", 50)
    key = service.log.records()[0][0]
    service.log.append(OFFSETS_TOPIC, partition, encode_batch([(0, key[:-1] + b"\x05", b"\0\x09rubbish", ())]))
    service.log.append(OFFSETS_TOPIC, partition, encode_batch([(0, b"\0\x63whatever", b"newer kind", ())]))
    other = await service.restarted()
    assert other.offset("g", "t", 0) == 7
    assert "1 records skipped" in caplog.text
