"""The producer against Apache Kafka, and against ours for the same: what arrives is read back by librdkafka."""

from __future__ import annotations

import pytest

import odradek
from odradek import errors

pytestmark = pytest.mark.brokers("odradek", "kafka")


def read_back(bootstrap: str, topic: str, count: int) -> dict[int, list[tuple[bytes | None, bytes | None]]]:
    from confluent_kafka import Consumer, TopicPartition

    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "none", "enable.auto.commit": False})
    partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
    consumer.assign([TopicPartition(topic, number, 0) for number in partitions])
    found: dict[int, list[tuple[bytes | None, bytes | None]]] = {number: [] for number in partitions}
    while sum(map(len, found.values())) < count:
        messages = consumer.consume(1_000, timeout=20)
        assert messages, "records are missing"
        for message in messages:
            assert message.error() is None
            found[message.partition()].append((message.key(), message.value()))
    consumer.close()
    return found


@pytest.mark.parametrize("codec", ["none", "gzip", "snappy", "lz4", "zstd"])
def test_idempotent_batches_of_every_codec_are_taken_and_read_back(bootstrap, unique, codec):
    topic = unique(f"ours-{codec}")
    with odradek.Producer(bootstrap, compression_type=codec) as producer:
        futures = [producer.send(topic, b"%d" % at * 10, b"key %d" % (at % 7)) for at in range(20_000)]
        producer.flush(50)
        assert producer.metrics()["record_error_total"] == 0
    places = [future.result(0) for future in futures]
    found = read_back(bootstrap, topic, 20_000)
    for at, place in enumerate(places):
        assert found[place.partition][place.offset] == (b"key %d" % (at % 7), b"%d" % at * 10)


@pytest.mark.parametrize("acks", ["0", "1", "all"])
def test_it_is_acknowledged_as_asked(bootstrap, unique, acks):
    with odradek.Producer(bootstrap, acks=acks) as producer:
        offset = producer.send(unique("acks"), b"x", partition=0).result(30).offset
    assert offset == (-1 if acks == "0" else 0)


def test_what_the_broker_finds_too_large_is_split(bootstrap, unique):
    topic = unique("split")
    with odradek.Producer(bootstrap, batch_size=4_000_000, max_request_size=8_000_000, linger_ms=200) as producer:
        many = producer.send_many(topic, [b"%06d" % at * 1_000 for at in range(500)], partition=0)
        assert [place.offset for place in many.result(50)] == list(range(500))
        assert producer.metrics()["batch_split_total"] > 0
        error = producer.send(topic, b"x" * 2_000_000, partition=0).exception(30)
        assert isinstance(error, errors.KafkaError)
        assert producer.send(topic, b"after", partition=0).result(30).offset == 500
