"""Consumer groups of real clients: sharing, leaving, dying, committing, seeking."""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import aiokafka
import confluent_kafka
import kafka
import pytest
from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition
from confluent_kafka.admin import AdminClient
from drivers import DRIVERS, Driver
from members import LIBRARIES
from support import topics
from support.batches import NOW, Entry

pytestmark = pytest.mark.brokers("odradek", "kafka")

SECONDS = 40.0
MEMBER = Path(__file__).with_name("members.py")


class Members:
    """Member processes and what they have printed."""

    def __init__(self, bootstrap: str, topic: str, group: str) -> None:
        self._arguments = (bootstrap, topic, group)
        self._selector = selectors.DefaultSelector()
        self._halves: dict[int, bytes] = {}
        self.running: list[subprocess.Popen[bytes]] = []
        self.seen: list[tuple[int, dict[str, Any]]] = []

    def start(self, library: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, str(MEMBER), library, *self._arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            text=True,
        )
        self._selector.register(process.stdout, selectors.EVENT_READ, process)  # type: ignore[arg-type]
        self.running.append(process)
        return process

    def read_until(self, done: Callable[[], bool]) -> None:
        """Take lines as they come until `done`."""
        deadline = time.monotonic() + SECONDS
        while not done():
            left = deadline - time.monotonic()
            assert left > 0, (
                f"not within {SECONDS} s; {len(self.seen)} records seen, by {len({pid for pid, _ in self.seen})} members"
            )
            for key, _ in self._selector.select(left):
                data = os.read(key.fd, 1 << 16)
                if not data:
                    self._selector.unregister(key.fileobj)
                *lines, self._halves[key.fd] = (self._halves.get(key.fd, b"") + data).split(b"\n")
                self.seen += [(key.data.pid, json.loads(line)) for line in lines]

    def values(self) -> set[str]:
        return {row["value"] for _, row in self.seen}

    def partitions_of(self, process: subprocess.Popen[bytes], since: int = 0) -> set[int]:
        return {row["partition"] for pid, row in self.seen[since:] if pid == process.pid}

    def kill(self, process: subprocess.Popen[bytes]) -> None:
        process.kill()
        process.wait()

    def close(self) -> None:
        for process in self.running:
            process.kill()
            process.wait()
            assert process.stdout is not None
            process.stdout.close()
        self._selector.close()


@pytest.fixture
def members(
    bootstrap: str, make_topic: Callable[..., str], unique: Callable[[str], str]
) -> Iterator[tuple[Members, str]]:
    """Members of one group over a topic of four partitions, and the topic."""
    name = make_topic(partitions=4)
    made = Members(bootstrap, name, unique("group"))
    yield made, name
    made.close()


def spread(bootstrap: str, name: str, label: str, count: int = 40, partitions: int = 4) -> set[str]:
    """Produce `count` records over all partitions and return their values."""
    values = [f"{label}-{n}" for n in range(count)]
    for partition in range(partitions):
        mine = [Entry(value.encode()) for value in values[partition::partitions]]
        DRIVERS["confluent"].produce(bootstrap, name, mine, partition=partition)
    return set(values)


@pytest.mark.parametrize("library", list(LIBRARIES))
def test_killed_members_partitions_go_to_the_others_and_no_record_is_lost(
    library: str, bootstrap: str, members: tuple[Members, str]
) -> None:
    group, name = members
    first, second = group.start(library), group.start(library)

    def both_work() -> bool:
        spread_values.update(spread(bootstrap, name, f"warm-{len(spread_values)}", 8))
        return bool(group.partitions_of(first)) and bool(group.partitions_of(second))

    spread_values: set[str] = spread(bootstrap, name, "start", 8)
    group.read_until(lambda: bool(group.seen))
    deadline = time.monotonic() + SECONDS
    while not both_work():
        assert time.monotonic() < deadline
        group.read_until(lambda: spread_values <= group.values())
    group.kill(first)
    expected = spread(bootstrap, name, "after")
    since = len(group.seen)
    group.read_until(lambda: expected | spread_values <= group.values())
    assert group.partitions_of(second, since) == {0, 1, 2, 3}


def test_members_of_different_libraries_follow_one_another(bootstrap: str, members: tuple[Members, str]) -> None:
    group, name = members
    expected: set[str] = set()
    for library in LIBRARIES:
        process = group.start(library)
        expected |= spread(bootstrap, name, library)
        since = len(group.seen)
        group.read_until(lambda wanted=frozenset(expected): wanted <= group.values())
        assert group.partitions_of(process, since) == {0, 1, 2, 3}
        group.kill(process)
    values = [row["value"] for _, row in group.seen]
    # At least once: what was printed but not yet committed when a member was killed comes again, no more.
    assert len(values) - len(expected) <= 2 * 4


def confluent_consumer(bootstrap: str, group: str, **options: Any) -> confluent_kafka.Consumer:
    config = {
        "bootstrap.servers": bootstrap,
        "group.id": group,
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
        "session.timeout.ms": 6_000,
        "heartbeat.interval.ms": 300,
    }
    return confluent_kafka.Consumer({**config, **{name.replace("_", "."): value for name, value in options.items()}})


def settle(consumers: list[confluent_kafka.Consumer], total: int) -> list[set[int]]:
    """Poll all until together they own `total` partitions, each one once, and everyone has polled since."""

    def shares() -> list[set[int]]:
        for consumer in consumers:
            consumer.poll(0.05)
        return [{row.partition for row in consumer.assignment()} for consumer in consumers]

    return topics.until(
        lambda: found if sum(map(len, found := shares())) == total and len(set().union(*found)) == total else [],
        seconds=SECONDS,
    )


@pytest.mark.parametrize("strategy", ["range", "roundrobin", "cooperative-sticky"])
def test_each_partition_has_one_owner_and_spare_members_idle(
    strategy: str, bootstrap: str, make_topic: Callable[..., str], unique: Callable[[str], str]
) -> None:
    name, group = make_topic(partitions=3), unique("group")
    consumers = [confluent_consumer(bootstrap, group, partition_assignment_strategy=strategy) for _ in range(5)]
    try:
        for consumer in consumers:
            consumer.subscribe([name])
        shares = topics.until(
            lambda: found if sorted(map(len, found := settle(consumers, 3))) == [0, 0, 1, 1, 1] else []
        )
        owner = next(number for number, share in enumerate(shares) if share)
        consumers.pop(owner).close()
        assert sorted(map(len, settle(consumers, 3))) == [0, 1, 1, 1]
    finally:
        for consumer in consumers:
            consumer.close()


def test_cooperative_rebalance_leaves_untouched_partitions_alone(
    bootstrap: str, make_topic: Callable[..., str], unique: Callable[[str], str]
) -> None:
    name, group = make_topic(partitions=4), unique("group")
    first, second = (
        confluent_consumer(bootstrap, group, partition_assignment_strategy="cooperative-sticky") for _ in range(2)
    )
    revoked: list[int] = []
    try:
        first.subscribe([name], on_revoke=lambda _, rows: revoked.extend(row.partition for row in rows))
        settle([first], 4)
        second.subscribe([name])
        shares = topics.until(lambda: found if sorted(map(len, found := settle([first, second], 4))) == [2, 2] else [])
        assert sorted(revoked) == sorted(shares[1])
    finally:
        first.close()
        second.close()


def test_static_member_comes_back_to_its_partitions_without_a_rebalance(
    bootstrap: str, make_topic: Callable[..., str], unique: Callable[[str], str]
) -> None:
    name, group = make_topic(partitions=4), unique("group")
    first = confluent_consumer(bootstrap, group, group_instance_id="one", session_timeout_ms=30_000)
    second = confluent_consumer(bootstrap, group, group_instance_id="two", session_timeout_ms=30_000)
    rebalances: list[str] = []
    try:
        first.subscribe([name])
        second.subscribe([name], on_revoke=lambda *_: rebalances.append("revoked"))
        shares = topics.until(lambda: found if sorted(map(len, found := settle([first, second], 4))) == [2, 2] else [])
        rebalances.clear()
        first.close()
        first = confluent_consumer(bootstrap, group, group_instance_id="one", session_timeout_ms=30_000)
        first.subscribe([name])
        assert settle([first, second], 4) == shares
        assert rebalances == []
    finally:
        first.close()
        second.close()


def test_groups_do_not_affect_each_other(
    driver: Driver, bootstrap: str, topic: str, unique: Callable[[str], str]
) -> None:
    entries = [Entry(b"%d" % n) for n in range(20)]
    driver.produce(bootstrap, topic, entries, partition=0)
    for _ in range(2):
        found = driver.consume(bootstrap, topic, 20, group=unique("group"))
        assert [entry.value for entry in found] == [entry.value for entry in entries]


def test_committed_position_is_where_a_restart_goes_on(
    bootstrap: str, topic: str, unique: Callable[[str], str]
) -> None:
    group = unique("group")
    DRIVERS["confluent"].produce(bootstrap, topic, [Entry(b"%d" % n) for n in range(30)], partition=0)
    consumer = confluent_consumer(bootstrap, group)
    consumer.subscribe([topic])
    taken = consumer.consume(10, SECONDS)
    position = taken[-1].offset() + 1
    consumer.commit(offsets=[TopicPartition(topic, 0, position)], asynchronous=False)
    consumer.close()
    again = kafka.KafkaConsumer(topic, bootstrap_servers=bootstrap, group_id=group, auto_offset_reset="earliest")
    partition = kafka.TopicPartition(topic, 0)
    assert again.committed(partition) == position
    first = next(record for records in again.poll(timeout_ms=int(SECONDS * 1000)).values() for record in records)
    assert first.offset == position
    again.close()


def test_auto_commit_on_close_is_kept(bootstrap: str, topic: str, unique: Callable[[str], str]) -> None:
    group = unique("group")
    DRIVERS["confluent"].produce(bootstrap, topic, [Entry(b"%d" % n) for n in range(30)], partition=0)
    consumer = confluent_consumer(bootstrap, group, enable_auto_commit=True)
    consumer.subscribe([topic])
    assert len(consumer.consume(30, SECONDS)) == 30
    consumer.close()
    admin = AdminClient({"bootstrap.servers": bootstrap})
    answer = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)])[group].result(SECONDS)
    assert [(row.partition, row.offset) for row in answer.topic_partitions] == [(0, 30)]


async def test_asynchronous_commit_seek_and_pause_with_aiokafka(
    bootstrap: str, make_topic: Callable[..., str], unique: Callable[[str], str]
) -> None:
    name, group = make_topic(partitions=2), unique("group")
    producer = aiokafka.AIOKafkaProducer(bootstrap_servers=bootstrap)
    await producer.start()
    for n in range(20):
        await producer.send_and_wait(name, b"%d" % n, partition=n % 2)
    await producer.stop()
    consumer = aiokafka.AIOKafkaConsumer(
        name, bootstrap_servers=bootstrap, group_id=group, auto_offset_reset="earliest", enable_auto_commit=False
    )
    await consumer.start()
    try:
        zero, one = (aiokafka.TopicPartition(name, number) for number in (0, 1))
        seen = [await consumer.getone() for _ in range(20)]
        assert {int(record.value or b"") for record in seen} == set(range(20))
        await consumer.commit({zero: (3, "three"), one: (4, "")})
        assert [await consumer.committed(partition) for partition in (zero, one)] == [3, 4]
        consumer.pause(one)
        consumer.seek(zero, 7)
        await consumer.seek_to_beginning(one)
        found = [await consumer.getone() for _ in range(3)]
        assert [(record.partition, record.offset) for record in found] == [(0, 7), (0, 8), (0, 9)]
        consumer.resume(one)
        assert (await consumer.getone()).partition == 1
    finally:
        await consumer.stop()


def test_seek_pause_and_positions_with_confluent(
    bootstrap: str, make_topic: Callable[..., str], unique: Callable[[str], str]
) -> None:
    name = make_topic(partitions=2)
    spread(bootstrap, name, "v", 20, 2)
    consumer = confluent_consumer(bootstrap, unique("group"))
    try:
        zero, one = TopicPartition(name, 0, 0), TopicPartition(name, 1, 0)
        consumer.assign([zero, one])
        assert len(consumer.consume(20, SECONDS)) == 20
        assert [row.offset for row in consumer.position([zero, one])] == [10, 10]
        consumer.pause([one])
        consumer.seek(TopicPartition(name, 0, 6))
        found = consumer.consume(4, SECONDS)
        assert [(message.partition(), message.offset()) for message in found] == [(0, 6), (0, 7), (0, 8), (0, 9)]
        assert consumer.get_watermark_offsets(zero, SECONDS) == (0, 10)
    finally:
        consumer.close()


def test_offsets_for_times_agree_among_the_clients(bootstrap: str, topic: str, unique: Callable[[str], str]) -> None:
    stamps = [NOW + 10 * n for n in range(30)]
    DRIVERS["confluent"].produce(bootstrap, topic, [Entry(b"v", timestamp=stamp) for stamp in stamps], partition=0)
    consumer = confluent_consumer(bootstrap, unique("group"))
    other = kafka.KafkaConsumer(bootstrap_servers=bootstrap)
    partition = kafka.TopicPartition(topic, 0)
    try:
        for asked, expected in ((NOW - 1, 0), (NOW + 95, 10), (NOW + 290, 29)):
            assert consumer.offsets_for_times([TopicPartition(topic, 0, asked)], SECONDS)[0].offset == expected
            found = other.offsets_for_times({partition: asked})[partition]
            assert (found.offset, found.timestamp) == (expected, stamps[expected])
        assert other.offsets_for_times({partition: NOW + 1_000})[partition] is None
        assert other.beginning_offsets([partition]) == {partition: 0}
        assert other.end_offsets([partition]) == {partition: 30}
    finally:
        consumer.close()
        other.close()


def test_pattern_subscription_finds_topics_made_later(
    bootstrap: str, make_topic: Callable[..., str], unique: Callable[[str], str]
) -> None:
    stem = unique("pattern")
    first = make_topic(f"{stem}-a")
    consumer = confluent_consumer(bootstrap, unique("group"), topic_metadata_refresh_interval_ms=500)
    try:
        consumer.subscribe([f"^{stem}-.*"])
        DRIVERS["confluent"].produce(bootstrap, first, [Entry(b"one")])
        message = topics.until(lambda: consumer.poll(0.5), seconds=SECONDS)
        assert (message.topic(), message.value()) == (first, b"one")
        second = make_topic(f"{stem}-b")
        DRIVERS["confluent"].produce(bootstrap, second, [Entry(b"two")])

        def next_of_second() -> bytes | None:
            found = consumer.poll(0.5)
            return found.value() if found is not None and found.topic() == second else None

        assert topics.until(next_of_second, seconds=SECONDS) == b"two"
    finally:
        consumer.close()


def test_auto_offset_reset_none_is_an_error_and_latest_starts_at_the_end(
    bootstrap: str, topic: str, unique: Callable[[str], str]
) -> None:
    DRIVERS["confluent"].produce(bootstrap, topic, [Entry(b"old")], partition=0)
    strict = confluent_consumer(bootstrap, unique("group"), auto_offset_reset="error")
    late = confluent_consumer(bootstrap, unique("group"), auto_offset_reset="latest")
    try:
        strict.subscribe([topic])
        message = topics.until(lambda: strict.poll(0.5), seconds=SECONDS)
        assert message.error().code() == confluent_kafka.KafkaError._AUTO_OFFSET_RESET
        late.assign([TopicPartition(topic, 0, confluent_kafka.OFFSET_END)])
        assert late.poll(0.5) is None
        DRIVERS["confluent"].produce(bootstrap, topic, [Entry(b"new")], partition=0)
        assert topics.until(lambda: late.poll(0.5), seconds=SECONDS).value() == b"new"
    finally:
        strict.close()
        late.close()
