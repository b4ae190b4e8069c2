"""Options that nothing else shows the effect of: that they are taken is one thing, that they do something another."""

import random
import time

import pytest

import odradek
from odradek import NewTopic, TopicPartition
from odradek.errors import TimeoutError  # noqa: A004


def log_bytes(odradek_broker, topic):
    """Return the size of the topic's only log."""
    with odradek.Admin(odradek_broker.bootstrap_servers) as admin:
        (directory,) = admin.describe_log_dirs()[1].values()
        return directory.partitions[TopicPartition(topic, 0)].size_bytes


@pytest.mark.parametrize(("codec", "low", "high"), [("gzip", 1, 9), ("zstd", -50, 19)])
def test_a_higher_level_compresses_better(odradek_broker, codec, low, high):
    words = [b"%x" % random.Random(number).getrandbits(20) for number in range(300)]
    values = [b" ".join(random.Random(number).choices(words, k=200)) for number in range(200)]
    sizes = []
    for level in (low, high):
        topic = f"{codec}{level}"
        options = {"compression_type": codec, f"compression_{codec}_level": level, "batch_size": 1_000_000}
        with odradek.Producer(odradek_broker.bootstrap_servers, linger_ms=200, **options) as producer:
            producer.send_many(topic, values, partition=0).result(30)
        sizes.append(log_bytes(odradek_broker, topic))
    assert sizes[1] < sizes[0]


def test_calls_end_by_default_api_timeout_ms(odradek_broker):
    options = {"default_api_timeout_ms": 200, "request_timeout_ms": 100, "fetch_max_wait_ms": 50}
    nowhere = TopicPartition("nowhere", 0)
    with odradek.Consumer(odradek_broker.bootstrap_servers, **options) as consumer:
        began = time.monotonic()
        with pytest.raises(TimeoutError):
            consumer.end_offsets(nowhere)
        assert time.monotonic() - began < 30, "Kafka's default is a minute"


def test_too_few_replicas_in_sync_refuse_a_record_that_wants_all_and_keep_nothing_of_it(odradek_broker):
    with odradek.Admin(odradek_broker.bootstrap_servers) as admin:
        admin.create_topics(NewTopic("two", partitions=1, configs={"min.insync.replicas": "2"}))
    short = {"delivery_timeout_ms": 300, "request_timeout_ms": 100, "linger_ms": 0, "retry_backoff_ms": 10}
    with odradek.Producer(odradek_broker.bootstrap_servers, **short) as producer:
        refused = producer.send("two", b"refused")
        with pytest.raises(TimeoutError, match="NOT_ENOUGH_REPLICAS"):
            refused.result(30)
    with odradek.Producer(odradek_broker.bootstrap_servers, acks=1) as producer:
        assert producer.send("two", b"taken").result(30).offset == 0


def test_a_fetch_waits_for_fetch_min_bytes(odradek_broker):
    with odradek.Producer(odradek_broker.bootstrap_servers, linger_ms=0) as producer:
        producer.send("few", b"first").result(30)
        patient = {"fetch_min_bytes": 10_000, "fetch_max_wait_ms": 300_000, "request_timeout_ms": 600_000}
        with (
            odradek.Consumer(odradek_broker.bootstrap_servers, auto_offset_reset="earliest", **patient) as waiting,
            odradek.Consumer(odradek_broker.bootstrap_servers, auto_offset_reset="earliest") as prompt,
        ):
            for reader in (waiting, prompt):
                reader.assign([TopicPartition("few", 0)])
            assert waiting.position(TopicPartition("few", 0)) == 0
            assert waiting.poll(0.5) == []
            assert [record.value for record in prompt.poll(30)] == [b"first"]
            assert waiting.poll(0) == [], "it has what the other one had at once"
            producer.send("few", b"x" * 10_000).result(30)
            assert [len(record.value) for record in waiting.poll(30)] == [5, 10_000]
