"""The client libraries, others' and ours, behind one small interface: what a test sends with one it can read with another.

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

import odradek
from odradek import aio

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

    def consume(
        self, bootstrap: str, topic: str, count: int, *, group: str | None = None, commit: bool = False
    ) -> list[Entry]:
        """Return `count` records: from where the group has committed, if it has, or from the beginning.

        With `commit` the group commits what was returned, no more.
        """

    def consume_since(self, bootstrap: str, topic: str, timestamp: int, count: int) -> list[Entry]:
        """Look up the offset of a time in partition 0, seek to it and return `count` records from there."""


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

    def consume(
        self, bootstrap: str, topic: str, count: int, *, group: str | None = None, commit: bool = False
    ) -> list[Entry]:
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
            found = self._take(consumer, count)
            if commit:
                consumer.commit(asynchronous=False)
            return found
        finally:
            consumer.close()

    def consume_since(self, bootstrap: str, topic: str, timestamp: int, count: int) -> list[Entry]:
        consumer = confluent_kafka.Consumer({"bootstrap.servers": bootstrap, "group.id": "none"})
        try:
            asked = [confluent_kafka.TopicPartition(topic, 0, timestamp)]
            consumer.assign([confluent_kafka.TopicPartition(topic, 0, 0)])
            self._take(consumer, 1)  # librdkafka can seek only in what it fetches already
            consumer.seek(consumer.offsets_for_times(asked, SECONDS)[0])
            return self._take(consumer, count)
        finally:
            consumer.close()

    def _take(self, consumer: confluent_kafka.Consumer, count: int) -> list[Entry]:
        found: list[Entry] = []
        while len(found) < count:
            messages = consumer.consume(count - len(found), SECONDS)
            assert messages, f"{len(found)} of {count} records within {SECONDS} s"
            found += [self._entry(message) for message in messages]
        return found

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

    def consume(
        self, bootstrap: str, topic: str, count: int, *, group: str | None = None, commit: bool = False
    ) -> list[Entry]:
        consumer = kafka.KafkaConsumer(
            topic, bootstrap_servers=bootstrap, group_id=group, auto_offset_reset="earliest", enable_auto_commit=False
        )
        try:
            found = self._take(consumer, count)
            if commit:
                consumer.commit()
            return found
        finally:
            consumer.close()

    def consume_since(self, bootstrap: str, topic: str, timestamp: int, count: int) -> list[Entry]:
        consumer = kafka.KafkaConsumer(bootstrap_servers=bootstrap)
        try:
            partition = kafka.TopicPartition(topic, 0)
            consumer.assign([partition])
            consumer.seek(partition, consumer.offsets_for_times({partition: timestamp})[partition].offset)
            return self._take(consumer, count)
        finally:
            consumer.close()

    def _take(self, consumer: kafka.KafkaConsumer, count: int) -> list[Entry]:
        found: list[Entry] = []
        while len(found) < count:
            polled = consumer.poll(timeout_ms=int(SECONDS * 1000), max_records=count - len(found))
            assert polled, f"{len(found)} of {count} records within {SECONDS} s"
            found += [self._entry(record) for records in polled.values() for record in records]
        return found

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

    def consume(
        self, bootstrap: str, topic: str, count: int, *, group: str | None = None, commit: bool = False
    ) -> list[Entry]:
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
                found = await self._take(consumer, count)
                if commit:
                    await consumer.commit()
                return found
            finally:
                await consumer.stop()

        return asyncio.run(read())

    def consume_since(self, bootstrap: str, topic: str, timestamp: int, count: int) -> list[Entry]:
        async def read() -> list[Entry]:
            consumer = aiokafka.AIOKafkaConsumer(bootstrap_servers=bootstrap)
            await consumer.start()
            try:
                partition = aiokafka.TopicPartition(topic, 0)
                consumer.assign([partition])
                consumer.seek(partition, (await consumer.offsets_for_times({partition: timestamp}))[partition].offset)
                return await self._take(consumer, count)
            finally:
                await consumer.stop()

        return asyncio.run(read())

    async def _take(self, consumer: aiokafka.AIOKafkaConsumer, count: int) -> list[Entry]:
        found: list[Entry] = []
        while len(found) < count:
            polled = await consumer.getmany(timeout_ms=int(SECONDS * 1000), max_records=count - len(found))
            assert polled, f"{len(found)} of {count} records within {SECONDS} s"
            found += [self._entry(record) for records in polled.values() for record in records]
        return found

    @staticmethod
    def _entry(record: Any) -> Entry:
        return Entry(
            record.value, record.key, record.timestamp, tuple(tuple(pair) for pair in record.headers), record.offset
        )


class Odradek:
    """Our own client, for threads."""

    name = "odradek"

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
        with odradek.Producer(bootstrap, acks=acks, compression_type=codec) as producer:
            futures = [
                producer.send(
                    topic,
                    entry.value,
                    entry.key,
                    headers=entry.headers,
                    timestamp_ms=entry.timestamp,
                    partition=partition,
                )
                for entry in entries
            ]
            rows = [future.result(SECONDS) for future in futures]
        return [Sent(row.partition, row.offset) for row in rows]

    def consume(
        self, bootstrap: str, topic: str, count: int, *, group: str | None = None, commit: bool = False
    ) -> list[Entry]:
        with odradek.Consumer(
            bootstrap, group_id=group, auto_offset_reset="earliest", enable_auto_commit=False
        ) as consumer:
            if group:
                consumer.subscribe(topic)
            else:
                consumer.assign(odradek.TopicPartition(topic, number) for number in consumer.partitions_for(topic))
            found = self._take(consumer, count)
            if commit:
                consumer.commit()
            return found

    def consume_since(self, bootstrap: str, topic: str, timestamp: int, count: int) -> list[Entry]:
        partition = odradek.TopicPartition(topic, 0)
        with odradek.Consumer(bootstrap) as consumer:
            consumer.assign([partition])
            found = consumer.offsets_for_times({partition: timestamp})[partition]
            assert found is not None
            consumer.seek(partition, found.offset)
            return self._take(consumer, count)

    @staticmethod
    def _take(consumer: odradek.Consumer, count: int) -> list[Entry]:
        found: list[Entry] = []
        while len(found) < count:
            records = consumer.poll(SECONDS, count - len(found))
            assert records, f"{len(found)} of {count} records within {SECONDS} s"
            found += map(our_entry, records)
        return found


class OdradekAio:
    """Our own client, on asyncio."""

    name = "odradek.aio"

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
            async with aio.Producer(bootstrap, acks=acks, compression_type=codec) as producer:
                futures = [
                    await producer.send(
                        topic,
                        entry.value,
                        entry.key,
                        headers=entry.headers,
                        timestamp_ms=entry.timestamp,
                        partition=partition,
                    )
                    for entry in entries
                ]
                rows = await asyncio.wait_for(asyncio.gather(*futures), SECONDS)
            return [Sent(row.partition, row.offset) for row in rows]

        return asyncio.run(send())

    def consume(
        self, bootstrap: str, topic: str, count: int, *, group: str | None = None, commit: bool = False
    ) -> list[Entry]:
        async def read() -> list[Entry]:
            async with aio.Consumer(
                bootstrap, group_id=group, auto_offset_reset="earliest", enable_auto_commit=False
            ) as consumer:
                if group:
                    await consumer.subscribe(topic)
                else:
                    numbers = await consumer.partitions_for(topic)
                    await consumer.assign(odradek.TopicPartition(topic, number) for number in numbers)
                found = await self._take(consumer, count)
                if commit:
                    await consumer.commit()
                return found

        return asyncio.run(read())

    def consume_since(self, bootstrap: str, topic: str, timestamp: int, count: int) -> list[Entry]:
        async def read() -> list[Entry]:
            partition = odradek.TopicPartition(topic, 0)
            async with aio.Consumer(bootstrap) as consumer:
                await consumer.assign([partition])
                found = (await consumer.offsets_for_times({partition: timestamp}))[partition]
                assert found is not None
                consumer.seek(partition, found.offset)
                return await self._take(consumer, count)

        return asyncio.run(read())

    @staticmethod
    async def _take(consumer: aio.Consumer, count: int) -> list[Entry]:
        found: list[Entry] = []
        while len(found) < count:
            records = await consumer.poll(SECONDS, count - len(found))
            assert records, f"{len(found)} of {count} records within {SECONDS} s"
            found += map(our_entry, records)
        return found


def our_entry(record: Any) -> Entry:
    """Return a record of odradek's consumers as an entry."""
    return Entry(record.value, record.key, record.timestamp_ms, tuple(record.headers), record.offset)


OURS = (Odradek.name, OdradekAio.name)
DRIVERS: dict[str, Driver] = {
    driver.name: driver for driver in (Confluent(), KafkaPython(), Aiokafka(), Odradek(), OdradekAio())
}
