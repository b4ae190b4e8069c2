"""A broker that is stopped or killed under real clients: what was acknowledged is there afterwards, once and in order."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import confluent_kafka
import kafka
import pytest
from drivers import DRIVERS, Driver
from support import topics
from support.batches import Entry
from support.broker import BrokerProcess
from support.wire import Wire

SECONDS = 40.0
RECORDS = 3_000


class Writer(threading.Thread):
    """An idempotent producer of the numbers 0, 1, 2, ... that goes on while the broker is away."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        super().__init__(daemon=True)
        self._servers, self._topic = bootstrap, topic
        self.acknowledged: list[int] = []
        self.failed: list[Any] = []
        self.some_acknowledged = threading.Event()
        self.go_on = threading.Event()

    def run(self) -> None:
        config = {
            "bootstrap.servers": self._servers,
            "enable.idempotence": True,
            "linger.ms": 1,
            "batch.num.messages": 20,
            "reconnect.backoff.max.ms": 200,
            "log_level": 0,
        }
        producer = confluent_kafka.Producer(config)
        for number in range(RECORDS):
            producer.produce(self._topic, value=b"%d" % number, partition=0, on_delivery=self._delivered)
            producer.poll(0)
            while number == RECORDS // 2 and not self.go_on.is_set():
                producer.poll(0.1)
        producer.flush(SECONDS)

    def _delivered(self, error: Any, message: Any) -> None:
        if error is not None:
            self.failed.append(error)
            return
        self.acknowledged.append(int(message.value()))
        self.some_acknowledged.set()


@pytest.mark.parametrize("how", ["kill", "stop"])
def test_idempotent_producer_neither_loses_nor_repeats_over_a_restart(
    how: str, own_broker: Callable[..., BrokerProcess], connect: Callable[..., Wire]
) -> None:
    broker = own_broker()
    topics.create_topic(connect(broker.bootstrap), "numbers")
    writer = Writer(broker.bootstrap, "numbers")
    writer.start()
    assert writer.some_acknowledged.wait(SECONDS)
    getattr(broker, how)()
    writer.go_on.set()
    broker.start()
    writer.join(SECONDS)
    assert not writer.is_alive()
    assert writer.failed == []
    assert sorted(writer.acknowledged) == list(range(RECORDS))
    found = [int(entry.value or b"") for entry in DRIVERS["confluent"].consume(broker.bootstrap, "numbers", RECORDS)]
    assert found == list(range(RECORDS))
    with Wire(broker.bootstrap) as wire:
        assert topics.list_offset(wire, "numbers", topics.LATEST)[0] == RECORDS


@pytest.mark.parametrize("acks", ["1", "all"])
def test_acknowledged_records_are_there_after_every_kill(acks: str, own_broker: Callable[..., BrokerProcess]) -> None:
    broker = own_broker()
    sent: list[bytes] = []
    for number, driver in enumerate(DRIVERS.values()):
        entries = [Entry(b"%d-%d" % (number, n)) for n in range(200)]
        driver.produce(broker.bootstrap, "kept", entries, acks=acks, partition=0)
        sent += [entry.value or b"" for entry in entries]
        broker.kill()
        broker.start()
        found = [entry.value for entry in DRIVERS["kafka-python"].consume(broker.bootstrap, "kept", len(sent))]
        assert found == sent


def test_committed_offsets_and_group_survive_a_kill(own_broker: Callable[..., BrokerProcess]) -> None:
    broker = own_broker()
    DRIVERS["confluent"].produce(broker.bootstrap, "kept", [Entry(b"%d" % n) for n in range(10)], partition=0)
    consumer = kafka.KafkaConsumer(
        "kept",
        bootstrap_servers=broker.bootstrap,
        group_id="survivors",
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    )
    topics.until(lambda: consumer.poll(timeout_ms=1_000), seconds=SECONDS)
    partition = kafka.TopicPartition("kept", 0)
    consumer.commit({partition: kafka.OffsetAndMetadata(7, "seven", -1)})
    consumer.close(autocommit=False)
    broker.kill()
    broker.start()
    again = kafka.KafkaConsumer(bootstrap_servers=broker.bootstrap, group_id="survivors")
    try:
        stored = again.committed(partition, metadata=True)
        assert (stored.offset, stored.metadata) == (7, "seven")
    finally:
        again.close()


def test_consumer_goes_on_after_the_broker_is_back(driver: Driver, own_broker: Callable[..., BrokerProcess]) -> None:
    broker = own_broker()
    driver.produce(broker.bootstrap, "kept", [Entry(b"before")], partition=0)
    config = {
        "bootstrap.servers": broker.bootstrap,
        "group.id": "g",
        "auto.offset.reset": "earliest",
        "log_level": 0,
        "session.timeout.ms": 6_000,
    }
    consumer = confluent_kafka.Consumer(config)
    try:
        consumer.subscribe(["kept"])

        def next_value() -> bytes | None:
            message = consumer.poll(0.5)
            return message.value() if message is not None and message.error() is None else None

        assert topics.until(next_value, seconds=SECONDS) == b"before"
        broker.kill()
        broker.start()
        driver.produce(broker.bootstrap, "kept", [Entry(b"after")], partition=0)
        assert topics.until(next_value, seconds=SECONDS) == b"after"
    finally:
        consumer.close()
