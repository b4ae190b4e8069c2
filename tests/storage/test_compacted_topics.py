"""A compacted topic of a running broker shrinks on disk, keeps the last value of every key, and stays a file of Apache Kafka's."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from support import kafka_tools

import odradek

KEYS = 30
ROUNDS = 20
VALUE_BYTES = 10_000
TOMBSTONE = 1
FIRST = 2
END = FIRST + KEYS * ROUNDS
PATIENCE_S = 60.0
SEGMENT_BYTES = 1 << 20
CONFIG = {"cleanup.policy": "compact", "segment.bytes": str(SEGMENT_BYTES), "min.cleanable.dirty.ratio": "0.01"}


def value(round_: int, key: int) -> bytes:
    """Bytes that no codec makes smaller, different for each round and key."""
    return random.Random(round_ * KEYS + key).randbytes(VALUE_BYTES)


def last_values() -> dict[bytes, bytes]:
    """What a table made of the topic holds."""
    return {b"k%d" % key: value(ROUNDS - 1, key) for key in range(KEYS)}


def produce(broker: odradek.Broker) -> None:
    producer = Producer({"bootstrap.servers": broker.bootstrap_servers, "batch.size": 30_000})
    for text in (b"value", None):
        producer.produce("t", key="gone", value=text)
        assert producer.flush(30) == 0
    for round_ in range(ROUNDS):
        for key in range(KEYS):
            producer.produce("t", key=f"k{key}", value=value(round_, key))
        assert producer.flush(30) == 0


def cleaned_to_the_active_segment(partition: Path) -> bool:
    """Whether the cleaner's checkpoint says that nothing but the active segment is left to it."""
    checkpoint = partition.parent / "cleaner-offset-checkpoint"
    active = max(int(path.stem) for path in partition.glob("*.log"))
    return checkpoint.is_file() and checkpoint.read_text() == f"0\n1\nt 0 {active}\n"


def read_to_end(broker: odradek.Broker, until: int) -> list[tuple[int, bytes, bytes | None]]:
    """Offset, key and value of every record below an offset."""
    consumer = Consumer(
        {"bootstrap.servers": broker.bootstrap_servers, "group.id": "unused", "enable.auto.commit": False}
    )
    consumer.assign([TopicPartition("t", 0, OFFSET_BEGINNING)])
    records = []
    try:
        while not records or records[-1][0] < until - 1:
            [message] = consumer.consume(1, timeout=30) or [None]
            assert message is not None, f"no record within 30 s after {records[-1:]}"
            assert message.error() is None
            records.append((message.offset(), message.key(), message.value()))
    finally:
        consumer.close()
    return records


@pytest.fixture
def compacted(tmp_path: Path) -> Iterator[tuple[odradek.Broker, Path]]:
    """A broker whose topic `t` was written to and has been compacted, and the partition's folder."""
    settings = {"log_cleaner_backoff_ms": 50, "log_cleaner_dedupe_buffer_size": 1 << 20}
    with odradek.Broker(tmp_path / "data", **settings) as broker:
        admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers})
        [created] = admin.create_topics([NewTopic("t", 1, 1, config=CONFIG)]).values()
        created.result(30)
        produce(broker)
        partition = tmp_path / "data" / "t-0"
        end = time.monotonic() + PATIENCE_S
        while not cleaned_to_the_active_segment(partition):
            assert time.monotonic() < end, "the cleaner has not come to the active segment"
            admin.list_topics("t", timeout=30)  # a round trip, not a sleep
        yield broker, partition


def test_a_compacted_topic_shrinks_and_a_consumer_sees_the_last_value_of_every_key(
    compacted: tuple[odradek.Broker, Path],
) -> None:
    broker, partition = compacted
    left = sum(path.stat().st_size for path in partition.glob("*.log"))
    assert left < KEYS * VALUE_BYTES + 2 * SEGMENT_BYTES, "the clean part, what a pass leaves, and the active segment"
    records = read_to_end(broker, END)
    assert len(records) < KEYS * ROUNDS / 2
    offsets = [offset for offset, _, _ in records]
    assert offsets == sorted(set(offsets))
    assert records[0] == (TOMBSTONE, b"gone", None), "a tombstone lives for delete.retention.ms"
    assert {key: text for _, key, text in records[1:]} == last_values()
    assert all(text == value((at - FIRST) // KEYS, (at - FIRST) % KEYS) for at, _, text in records[1:]), (
        "offsets never change"
    )


def test_a_restart_finds_what_the_cleaner_left(compacted: tuple[odradek.Broker, Path]) -> None:
    broker, partition = compacted
    broker.close()
    assert re.fullmatch(r"0\n1\nt 0 \d+\n", (partition.parent / "cleaner-offset-checkpoint").read_text())
    assert not list(partition.glob("*.cleaned"))
    assert not list(partition.glob("*.swap"))
    with odradek.Broker(partition.parent) as again:
        records = read_to_end(again, END)
    assert {key: text for _, key, text in records[1:]} == last_values()


@pytest.mark.peer
def test_kafka_dump_log_reads_the_cleaned_segments_and_their_indexes(compacted: tuple[odradek.Broker, Path]) -> None:
    broker, partition = compacted
    records = read_to_end(broker, END)
    broker.close()
    files = sorted(str(path) for suffix in ("log", "index", "timeindex") for path in partition.glob(f"*.{suffix}"))
    dump = kafka_tools.run("DumpLogSegments", "--print-data-log", "--deep-iteration", "--files", ",".join(files))
    headers = [line for line in dump.splitlines() if line.startswith("baseOffset")]
    assert headers
    assert all("isvalid: true" in line for line in headers)
    assert re.search(r"deleteHorizonMs: OptionalLong\[\d+\]", headers[0]), "the batch of the tombstone has its horizon"
    assert "Mismatches" not in dump
    assert "Found timestamp mismatch" not in dump
    assert {int(offset) for offset in re.findall(r"^\| offset: (\d+) ", dump, re.MULTILINE)} == {
        offset for offset, _, _ in records
    }
