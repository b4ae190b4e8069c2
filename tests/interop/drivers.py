"""Three client libraries behind one small interface: what a test sends with one it can read with another.

Each call makes its own client, as a user's program would, with the library's defaults but for what the test asks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import aiokafka
import confluent_kafka
import kafka
from support.batches import Entry

CODECS = ("none", "gzip", "snappy", "lz4", "zstd")
SECONDS = 30.0


@dataclass(frozen=True)
class Sent:
    """Where a record went."""

    partition: int
    offset: int


class Driver(Protocol):
    """Produce and read back with one library."""

    name: str

    def produce(
        self,
        bootstrap: str,
        topic: str,
        entries: Sequence[Entry],
        *,
        codec: str = "none",
        acks: str = "all",
        partition: int | None = None,
    ) -> list[Sent]:
        """Send the records in order and return where each went; offsets are -1 with acks=0."""

    def consume(self, bootstrap: str, topic: str, count: int, *, group: str | None = None) -> list[Entry]:
        """Return `count` records from the beginning: by a group, or without one."""


class Confluent:
    """confluent-kafka, on librdkafka."""

    name = "confluent"

    def produce(
        self,
        bootstrap: str,
        topic: str,
        entries: Sequence[Entry],
        *,
        codec: str = "none",
        acks: str = "all",
        partition: int | None = None,
    ) -> list[Sent]:
        config: dict[str, Any] = {
            "bootstrap.servers": bootstrap,
            "acks": acks,
            "compression.type": codec,
            "enable.idempotence": acks == "all",
            "linger.ms": 5,
        }
        producer = confluent_kafka.Producer(config)
        sent: dict[int, Sent] = {}

        def delivered(index: int, error: Any, message: Any) -> None:
            assert error is None, error
            sent[index] = Sent(message.partition(), message.offset() if message.offset() is not None else -1)

        for index, entry in enumerate(entries):
            producer.produce(
                topic,
                value=entry.value,
                key=entry.key,
                headers=list(entry.headers),
                timestamp=entry.timestamp,
                partition=-1 if partition is None else partition,
                on_delivery=lambda error, message, index=index: delivered(index, error, message),
            )
        assert producer.flush(SECONDS) == 0
        return [sent[index] for index in range(len(entries))]

    def consume(self, bootstrap: str, topic: str, count: int, *, group: str | None = None) -> list[Entry]:
        config = {
            "bootstrap.servers": bootstrap,
            "group.id": group or "none",
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "check.crcs": True,
        }
        consumer = confluent_kafka.Consumer(config)
        try:
            if group:
                consumer.subscribe([topic])
            else:
                partitions = consumer.list_topics(topic, SECONDS).topics[topic].partitions
                consumer.assign([confluent_kafka.TopicPartition(topic, number, 0) for number in partitions])
            found: list[Entry] = []
            while len(found) < count:
                messages = consumer.consume(count - len(found), SECONDS)
                assert messages, f"{len(found)} of {count} records within {SECONDS} s"
                found += [self._entry(message) for message in messages]
            return found
        finally:
            consumer.close()

    @staticmethod
    def _entry(message: Any) -> Entry:
        assert message.error() is None, message.error()
        headers = tuple((name, value) for name, value in message.headers() or ())
        return Entry(message.value(), message.key(), message.timestamp()[1], headers, message.offset())


class KafkaPython:
    """kafka-python, pure Python."""

    name = "kafka-python"

    def produce(
        self,
        bootstrap: str,
        topic: str,
        entries: Sequence[Entry],
        *,
        codec: str = "none",
        acks: str = "all",
        partition: int | None = None,
    ) -> list[Sent]:
        options: dict[str, Any] = {
            "acks": acks if acks == "all" else int(acks),
            "compression_type": None if codec == "none" else codec,
            "linger_ms": 5,
        }
        if acks != "all":
            options["enable_idempotence"] = False
        producer = kafka.KafkaProducer(bootstrap_servers=bootstrap, **options)
        try:
            futures = [
                producer.send(
                    topic,
                    value=entry.value,
                    key=entry.key,
                    headers=list(entry.headers),
                    timestamp_ms=entry.timestamp,
                    partition=partition,
                )
                for entry in entries
            ]
            producer.flush(SECONDS)
            rows = [future.get(SECONDS) for future in futures]
            return [Sent(row.partition, row.offset) for row in rows]
        finally:
            producer.close(timeout=SECONDS)

    def consume(self, bootstrap: str, topic: str, count: int, *, group: str | None = None) -> list[Entry]:
        consumer = kafka.KafkaConsumer(
            topic, bootstrap_servers=bootstrap, group_id=group, auto_offset_reset="earliest", enable_auto_commit=False
        )
        try:
            found: list[Entry] = []
            while len(found) < count:
                polled = consumer.poll(timeout_ms=int(SECONDS * 1000), max_records=count - len(found))
                assert polled, f"{len(found)} of {count} records within {SECONDS} s"
                found += [self._entry(record) for records in polled.values() for record in records]
            return found
        finally:
            consumer.close()

    @staticmethod
    def _entry(record: Any) -> Entry:
        return Entry(
            record.value, record.key, record.timestamp, tuple(tuple(pair) for pair in record.headers), record.offset
        )


class Aiokafka:
    """aiokafka, on asyncio."""

    name = "aiokafka"

    def produce(
        self,
        bootstrap: str,
        topic: str,
        entries: Sequence[Entry],
        *,
        codec: str = "none",
        acks: str = "all",
        partition: int | None = None,
    ) -> list[Sent]:
        async def send() -> list[Sent]:
            producer = aiokafka.AIOKafkaProducer(
                bootstrap_servers=bootstrap,
                acks=acks if acks == "all" else int(acks),
                compression_type=None if codec == "none" else codec,
                enable_idempotence=acks == "all",
                linger_ms=5,
            )
            await producer.start()
            try:
                futures = [
                    await producer.send(
                        topic,
                        value=entry.value,
                        key=entry.key,
                        headers=list(entry.headers),
                        timestamp_ms=entry.timestamp,
                        partition=partition,
                    )
                    for entry in entries
                ]
                rows = await asyncio.wait_for(asyncio.gather(*futures), SECONDS)
                return [Sent(row.partition, row.offset) for row in rows] if acks != "0" else []
            finally:
                await producer.stop()

        return asyncio.run(send())

    def consume(self, bootstrap: str, topic: str, count: int, *, group: str | None = None) -> list[Entry]:
        async def read() -> list[Entry]:
            consumer = aiokafka.AIOKafkaConsumer(
                topic,
                bootstrap_servers=bootstrap,
                group_id=group,
                auto_offset_reset="earliest",
                enable_auto_commit=False,
            )
            await consumer.start()
            try:
                found: list[Entry] = []
                while len(found) < count:
                    polled = await consumer.getmany(timeout_ms=int(SECONDS * 1000), max_records=count - len(found))
                    assert polled, f"{len(found)} of {count} records within {SECONDS} s"
                    found += [self._entry(record) for records in polled.values() for record in records]
                return found
            finally:
                await consumer.stop()

        return asyncio.run(read())

    @staticmethod
    def _entry(record: Any) -> Entry:
        return Entry(
            record.value, record.key, record.timestamp, tuple(tuple(pair) for pair in record.headers), record.offset
        )


DRIVERS: dict[str, Driver] = {driver.name: driver for driver in (Confluent(), KafkaPython(), Aiokafka())}
