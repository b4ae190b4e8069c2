"""What `send` takes, where a record goes, and what its future says."""

from __future__ import annotations

import itertools
import time

import pytest

import odradek
from odradek import errors
from odradek.types import RecordMetadata


def test_a_record_is_stored_as_it_was_given(producer, stored, unique):
    topic = unique("whole")
    future = producer.send(
        topic, b"value", b"key", partition=1, headers=[("a", b"1"), ("b", None)], timestamp_ms=1_700_000_000_123
    )
    assert future.result(10) == RecordMetadata(topic, 1, 0, 1_700_000_000_123)
    (record,) = stored(topic, 1)
    assert (record.key, record.value, record.timestamp_ms) == (b"key", b"value", 1_700_000_000_123)
    assert record.headers == (("a", b"1"), ("b", None))
    assert future.done()
    assert future.exception() is None


def test_offsets_follow_the_order_of_sending_within_a_partition(producer, stored, unique):
    topic = unique("order")
    futures = [producer.send(topic, b"%d" % at, partition=at % 3) for at in range(3_000)]
    producer.flush(20)
    assert [future.result(0).offset for future in futures] == [at // 3 for at in range(3_000)]
    for partition in range(3):
        assert [record.value for record in stored(topic, partition)] == [
            b"%d" % at for at in range(partition, 3_000, 3)
        ]


def test_everything_bytes_like_is_taken_and_none_is_a_tombstone(producer, stored, unique):
    topic = unique("bytes")
    mutable = bytearray(b"mutable")
    for value in (b"bytes", mutable, memoryview(b"view")[1:], None, b""):
        producer.send(topic, value, b"k", partition=0)
    mutable[:] = b"changed"
    producer.flush(10)
    assert [record.value for record in stored(topic, 0)] == [b"bytes", b"mutable", b"iew", None, b""]


def test_now_is_the_time_of_a_record_without_one(producer, unique):
    before = time.time_ns() // 1_000_000
    stamped = producer.send(unique("now"), b"x").result(10).timestamp_ms
    assert before <= stamped <= time.time_ns() // 1_000_000


def test_headers_may_be_a_mapping(producer, stored, unique):
    topic = unique("headers")
    producer.send(topic, b"x", partition=0, headers={"trace": b"1", "empty": None}).result(10)
    assert stored(topic, 0)[0].headers == (("trace", b"1"), ("empty", None))


@pytest.mark.parametrize(
    ("arguments", "keywords", "error", "said"),
    [
        ((b"topic", b"x"), {}, TypeError, "topic is bytes"),
        (("t", "text"), {}, TypeError, "value_serializer='str'"),
        (("t", 5), {}, TypeError, "value is int"),
        (("t", b"x", "key"), {}, TypeError, "key_serializer='str'"),
        (("t", b"x"), {"partition": -1}, ValueError, "partition is -1"),
        (("t", b"x"), {"timestamp_ms": -5}, ValueError, "timestamp_ms is -5"),
        (("t", b"x"), {"headers": [("a", 1)]}, TypeError, "headers"),
        (("t", b"x"), {"headers": 5}, TypeError, "headers are pairs"),
        (("t", b"x"), {"headers": {"a": "text"}}, TypeError, "value is str; it must be bytes-like or None; encode it$"),
        (("t", b"x" * 1_100_000), {}, errors.RecordTooLargeError, "max_request_size"),
        (("no/slash", b"x"), {}, errors.InvalidTopicError, "no/slash"),
    ],
)
def test_what_is_no_record_is_refused_and_harms_nothing(producer, arguments, keywords, error, said):
    with pytest.raises(error, match=said):
        producer.send(*arguments, **keywords)
    assert producer.send("t", b"still working").result(10).offset >= 0


def test_a_partition_that_does_not_exist_is_an_error_within_max_block(embedded, unique):
    topic = unique("few")
    with odradek.Producer(embedded.bootstrap_servers, max_block_ms=300) as producer:
        producer.send(topic, b"x").result(10)
        with pytest.raises(errors.TimeoutError, match="3 partitions and 7 was asked for"):
            producer.send(topic, b"x", partition=7)


def test_records_of_one_key_go_where_every_kafka_client_puts_them(producer, unique):
    topic = unique("keys")
    # Kafka's murmur2 of these keys, positive, modulo 3.
    hashes = {b"21": -973_932_308, b"foobar": -790_332_482, b"abc": 479_470_107}
    for key, hashed in hashes.items():
        expected = (hashed & 0x7FFFFFFF) % 3
        assert {producer.send(topic, b"x", key).result(10).partition for _ in range(3)} == {expected}


def test_records_without_a_key_are_spread_by_batches(embedded, unique):
    topic = unique("sticky")
    with odradek.Producer(embedded.bootstrap_servers, batch_size=1_000) as producer:
        futures = [producer.send(topic, b"x" * 100) for _ in range(3_000)]
        partitions = [future.result(10).partition for future in futures]
    counts = [partitions.count(partition) for partition in range(3)]
    assert min(counts) > 300, counts
    changes = sum(left != right for left, right in itertools.pairwise(partitions))
    assert changes < 1_000, "records of one batch go together"


def test_round_robin_takes_partitions_in_turn(embedded, unique):
    topic = unique("turn")
    with odradek.Producer(embedded.bootstrap_servers, partitioner="round-robin") as producer:
        partitions = [producer.send(topic, b"x", b"same key") for _ in range(30)]
        counts = [[future.result(10).partition for future in partitions].count(at) for at in range(3)]
    assert counts == [10, 10, 10]


def test_a_function_chooses_the_partition(embedded, unique):
    topic, seen = unique("chosen"), []

    def choose(topic: str, key: bytes | None, value: bytes | None, count: int) -> int:
        seen.append((topic, key, value, count))
        return 9 if value == b"lost" else 2

    with odradek.Producer(embedded.bootstrap_servers, partitioner=choose) as producer:
        assert producer.send(topic, b"v", b"k").result(10).partition == 2
        assert producer.send(topic, b"v", partition=0).result(10).partition == 0
        with pytest.raises(ValueError, match="returned 9"):
            producer.send(topic, b"lost")
    assert seen[0] == (topic, b"k", b"v", 3)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("str", "ü", "ü".encode()),
        ("int", -2, b"\xff" * 7 + b"\xfe"),
        ("float", 1.0, b"\x3f\xf0" + b"\0" * 6),
        ("json", {"a": 1}, b'{"a":1}'),
    ],
)
def test_serializers_by_name(embedded, stored, unique, name, value, expected):
    topic = unique(name)
    with odradek.Producer(embedded.bootstrap_servers, value_serializer=name, key_serializer=str.encode) as producer:
        producer.send(topic, value, "k", partition=0)
        producer.send(topic, None, "k", partition=0)
    assert [(record.key, record.value) for record in stored(topic, 0)] == [(b"k", expected), (b"k", None)]


def test_a_failing_serializer_names_the_topic_and_keeps_its_cause(embedded, unique):
    topic = unique("poison")
    with (
        odradek.Producer(embedded.bootstrap_servers, value_serializer="json") as producer,
        pytest.raises(errors.SerializationError, match=topic) as caught,
    ):
        producer.send(topic, {1, 2})
    assert caught.value.topic == topic
    assert isinstance(caught.value.__cause__, TypeError)


@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
def test_compressed_records_are_read_back(embedded, stored, unique, codec):
    topic = unique(codec)
    with odradek.Producer(embedded.bootstrap_servers, compression_type=codec) as producer:
        for at in range(500):
            producer.send(topic, b"%d" % at * 20, partition=0)
        producer.flush(10)
        assert producer.metrics()["compression_rate_avg"] < 0.9
    assert [record.value for record in stored(topic, 0)] == [b"%d" % at * 20 for at in range(500)]


@pytest.mark.parametrize("acks", ["0", "1", "all", 0, 1, -1])
def test_acks_of_every_kind_deliver(embedded, unique, acks):
    topic = unique("acks")
    with odradek.Producer(embedded.bootstrap_servers, acks=acks) as producer:
        offsets = [producer.send(topic, b"x", partition=0).result(10).offset for _ in range(3)]
    assert offsets == ([-1] * 3 if str(acks) == "0" else [0, 1, 2])


def test_a_batch_too_large_for_the_topic_is_split_and_nothing_is_lost(embedded, stored, unique):
    topic = unique("split")
    with odradek.Producer(embedded.bootstrap_servers, batch_size=900_000, linger_ms=100) as producer:
        futures = [producer.send(topic, b"%06d" % at * 1_000, partition=0) for at in range(120)]
        producer.flush(20)
        assert [future.result(0).offset for future in futures] == list(range(120))
        assert producer.metrics()["batch_split_total"] > 0
    assert [record.value[:6] for record in stored(topic, 0)] == [b"%06d" % at for at in range(120)]


def test_a_record_too_large_for_the_topic_fails_alone(embedded, unique):
    topic = unique("large")
    with odradek.Producer(embedded.bootstrap_servers, linger_ms=0) as producer:
        before = producer.send(topic, b"x", partition=0)
        large = producer.send(topic, b"x" * 300_000, partition=0)
        after = producer.send(topic, b"x", partition=0)
        error = large.exception(10)
        assert isinstance(error, errors.KafkaError)
        assert error.error_code is errors.ErrorCode.MESSAGE_TOO_LARGE
        assert "max.message.bytes" in str(error)
        assert (before.result(10).offset, after.result(10).offset) == (0, 1)
