"""Consumer groups as clients that others wrote live them: shares, rebalances, static members, commits."""

import signal
import subprocess
import sys
from pathlib import Path

import group_members
import pytest
from group_members import KafkaPython, Librdkafka, share, until

pytestmark = [pytest.mark.interop, pytest.mark.brokers("odradek", "kafka")]

PARTITIONS = 4
CLIENTS = pytest.mark.parametrize("kind", [Librdkafka, KafkaPython], ids=["librdkafka", "kafka-python"])


@pytest.fixture
def topic(make_topic):
    return make_topic("orders", partitions=PARTITIONS)


@pytest.fixture
def group(unique):
    return unique("group")


@CLIENTS
def test_a_member_that_joins_gets_its_share_and_gives_it_back_when_it_leaves(bootstrap, topic, group, member, kind):
    first = member(bootstrap, group, topic, kind)
    until([first], lambda: share(first, partitions=PARTITIONS), "the first owns everything")
    second = member(bootstrap, group, topic, kind)
    until([first, second], lambda: share(first, second, partitions=PARTITIONS), "both own a share")
    second.close()
    until([first], lambda: share(first, partitions=PARTITIONS), "the first owns everything again")


@CLIENTS
def test_a_group_goes_on_where_it_committed(bootstrap, topic, group, member, produce, *, kind):
    before = produce(bootstrap, topic, PARTITIONS, 40, "before")
    first = member(bootstrap, group, topic, kind)
    until([first], lambda: len(first.values) >= 40, "all records are read")
    first.commit()
    first.close()
    after = produce(bootstrap, topic, PARTITIONS, 20, "after")
    second = member(bootstrap, group, topic, kind)
    until([second], lambda: len(second.values) >= 20, "the new records are read")
    assert set(first.values) == before
    assert sorted(second.values) == sorted(after)
    assert second.committed(topic, PARTITIONS) == [10] * PARTITIONS


def test_two_client_libraries_share_a_group(bootstrap, topic, group, member, produce):
    """Both offer the range strategy; their subscriptions and assignments pass through untouched."""
    written = produce(bootstrap, topic, PARTITIONS, 40)
    from kafka.coordinator.assignors.range import RangePartitionAssignor

    one = member(bootstrap, group, topic, Librdkafka, **{"partition.assignment.strategy": "range"})
    two = member(bootstrap, group, topic, KafkaPython, partition_assignment_strategy=[RangePartitionAssignor])
    until([one, two], lambda: share(one, two, partitions=PARTITIONS), "both own a share")
    until([one, two], lambda: set(one.values) | set(two.values) == written, "every record is read")


def test_more_members_than_partitions_leave_the_rest_idle(bootstrap, topic, group, member):
    members = [member(bootstrap, group, topic) for _ in range(PARTITIONS + 1)]
    owners = lambda: [one for one in members if one.owned()]  # noqa: E731
    until(members, lambda: len(owners()) == PARTITIONS and share(*owners(), partitions=PARTITIONS), "one stays idle")
    idle = next(one for one in members if not one.owned())
    until(members, lambda: idle.generations > 0, "the idle one was told so")


def test_groups_do_not_affect_each_other(bootstrap, topic, unique, member, produce):
    written = produce(bootstrap, topic, PARTITIONS, 20)
    one, other = (member(bootstrap, unique("group"), topic) for _ in range(2))
    until([one, other], lambda: len(one.values) >= 20 and len(other.values) >= 20, "both read everything")
    assert set(one.values) == set(other.values) == written
    one.commit()
    assert one.committed(topic, PARTITIONS) == [5] * PARTITIONS
    assert all(offset < 0 for offset in other.committed(topic, PARTITIONS))


def test_a_cooperative_rebalance_takes_away_only_what_moves(bootstrap, topic, group, member):
    sticky = {"partition.assignment.strategy": "cooperative-sticky"}
    first = member(bootstrap, group, topic, **sticky)
    until([first], lambda: share(first, partitions=PARTITIONS), "the first owns everything")
    second = member(bootstrap, group, topic, **sticky)
    until([first, second], lambda: share(first, second, partitions=PARTITIONS), "both own a share")
    assert sorted(first.revoked) == sorted(second.owned())
    assert len(second.owned()) == PARTITIONS // 2


def test_a_restarted_static_member_gets_its_partitions_back_without_a_rebalance(bootstrap, topic, group, member):
    def named(instance):
        return member(bootstrap, group, topic, **{"group.instance.id": instance})

    one, two = named("one"), named("two")
    until([one, two], lambda: share(one, two, partitions=PARTITIONS), "both own a share")
    kept, rebalances, revoked = sorted(two.owned()), one.generations, len(one.revoked)
    two.close()  # a static member goes without leaving
    again = named("two")
    until([one, again], lambda: sorted(again.owned()) == kept, "the restarted member owns what it owned")
    assert one.generations == rebalances
    assert len(one.revoked) == revoked


def test_the_partitions_of_a_killed_member_move_to_the_others(bootstrap, topic, group, member):
    first = member(bootstrap, group, topic)
    until([first], lambda: share(first, partitions=PARTITIONS), "the first owns everything")
    command = [sys.executable, Path(group_members.__file__), bootstrap, group, topic]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as victim:
        try:
            until([first], lambda: len(first.owned()) == PARTITIONS // 2, "the other process owns its share")
            assert victim.stdout.readline().startswith("owns")
        finally:
            victim.send_signal(signal.SIGKILL)
    until([first], lambda: share(first, partitions=PARTITIONS), "the first owns everything again")


async def test_aiokafka_members_share_and_go_on_where_they_committed(bootstrap, topic, group, produce):
    import asyncio

    from aiokafka import AIOKafkaConsumer

    written = produce(bootstrap, topic, PARTITIONS, 40)

    def consumer():
        return AIOKafkaConsumer(
            topic,
            bootstrap_servers=bootstrap,
            group_id=group,
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            session_timeout_ms=group_members.SESSION_MS,
            heartbeat_interval_ms=500,
        )

    async def drain(*members):
        batches = await asyncio.gather(*(one.getmany(timeout_ms=100) for one in members))
        return [record.value for batch in batches for records in batch.values() for record in records]

    async with asyncio.timeout(group_members.PATIENCE_S):
        async with consumer() as first:
            async with consumer() as second:
                read = set()
                while read != written or not (first.assignment() and second.assignment()):
                    read |= set(await drain(first, second))
                owned = sorted(one.partition for one in first.assignment() | second.assignment())
                assert owned == list(range(PARTITIONS))
                assert not first.assignment() & second.assignment()
            while len(first.assignment()) < PARTITIONS:
                await drain(first)
            while sum([await first.position(one) for one in first.assignment()]) < len(written):
                await drain(first)
            await first.commit()
        after = produce(bootstrap, topic, PARTITIONS, 8, "after")
        async with consumer() as third:
            read = []
            while len(read) < len(after):
                read += await drain(third)
            assert sorted(read) == sorted(after)
