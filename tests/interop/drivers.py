"""The client libraries, others' and ours, behind one small interface: what a test sends with one it can read with another.

Each call makes its own client, as a user's program would, with the library's defaults but for what the test asks.
"""

from __future__ import annotations

import abc
import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

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


@dataclass(frozen=True)
class Sending:
    """What `Driver.produce` was asked for."""

    bootstrap: str
    topic: str
    entries: Sequence[Entry]
    codec: str
    acks: str
    partition: int | None

    @property
    def number_of_acks(self) -> str | int:
        """As the libraries want it that count."""
        return self.acks if self.acks == "all" else int(self.acks)

    @property
    def codec_or_none(self) -> str | None:
        """As the libraries want it whose "none" is None."""
        return None if self.codec == "none" else self.codec

    def fields(self, entry: Entry) -> dict[str, Any]:
        """Return the arguments of `send`, on which all but librdkafka agree."""
        return {
            "value": entry.value,
            "key": entry.key,
            "headers": list(entry.headers),
            "timestamp_ms": entry.timestamp,
            "partition": self.partition,
        }


@dataclass(frozen=True)
class Reading:
    """What `Driver.consume` was asked for."""

    bootstrap: str
    topic: str
    count: int
    group: str | None
    commit: bool

    @property
    def options(self) -> dict[str, Any]:
        """Return the consumer's options, on which all but librdkafka agree."""
        return {
            "bootstrap_servers": self.bootstrap,
            "group_id": self.group,
            "auto_offset_reset": "earliest",
            "enable_auto_commit": False,
        }


class Driver(abc.ABC):
    """Produce and read back with one library."""

    name: ClassVar[str]

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
        return self._send(Sending(bootstrap, topic, entries, codec, acks, partition))

    def consume(
        self, bootstrap: str, topic: str, count: int, *, group: str | None = None, commit: bool = False
    ) -> list[Entry]:
        """Return `count` records: from where the group has committed, if it has, or from the beginning.

        With `commit` the group commits what was returned, no more.
        """
        return self._read(Reading(bootstrap, topic, count, group, commit))

    @abc.abstractmethod
    def consume_since(self, bootstrap: str, topic: str, timestamp: int, count: int) -> list[Entry]:
        """Look up the offset of a time in partition 0, seek to it and return `count` records from there."""

    @abc.abstractmethod
    def _send(self, asked: Sending) -> list[Sent]: ...

    @abc.abstractmethod
    def _read(self, asked: Reading) -> list[Entry]: ...


class AsyncDriver(Driver):
    """A library on asyncio: a loop for each call."""

    def consume_since(self, bootstrap: str, topic: str, timestamp: int, count: int) -> list[Entry]:
        return asyncio.run(self._since(bootstrap, odradek.TopicPartition(topic, 0), timestamp, count))

    def _send(self, asked: Sending) -> list[Sent]:
        return asyncio.run(self._send_on_a_loop(asked))

    def _read(self, asked: Reading) -> list[Entry]:
        return asyncio.run(self._read_on_a_loop(asked))

    async def _taken(self, consumer: Any, asked: Reading) -> list[Entry]:
        found = await take_on_a_loop(self._poll(consumer), asked.count)
        if asked.commit:
            await consumer.commit()
        return found

    @staticmethod
    @abc.abstractmethod
    def _poll(consumer: Any) -> Callable[[int], Awaitable[list[Entry]]]: ...

    @abc.abstractmethod
    async def _send_on_a_loop(self, asked: Sending) -> list[Sent]: ...

    @abc.abstractmethod
    async def _read_on_a_loop(self, asked: Reading) -> list[Entry]: ...

    @abc.abstractmethod
    async def _since(
        self, bootstrap: str, partition: odradek.TopicPartition, timestamp: int, count: int
    ) -> list[Entry]: ...


def take(poll: Callable[[int], Sequence[Entry]], count: int) -> list[Entry]:
    """Poll, for at most as many as are missing, until there are so many."""
    found: list[Entry] = []
    while len(found) < count:
        more = poll(count - len(found))
        assert more, f"{len(found)} of {count} records within {SECONDS} s"
        found += more
    return found


async def take_on_a_loop(poll: Callable[[int], Awaitable[Sequence[Entry]]], count: int) -> list[Entry]:
    """Do what `take` does with a poll that is awaited."""
    found: list[Entry] = []
    while len(found) < count:
        more = await poll(count - len(found))
        assert more, f"{len(found)} of {count} records within {SECONDS} s"
        found += more
    return found


def flat(polled: dict[Any, Sequence[Any]]) -> list[Entry]:
    """Return as entries what kafka-python and aiokafka poll: records by partition."""
    return [
        Entry(one.value, one.key, one.timestamp, tuple(tuple(pair) for pair in one.headers), one.offset)
        for records in polled.values()
        for one in records
    ]


class Confluent(Driver):
    """confluent-kafka, on librdkafka."""

    name = "confluent"

    def _send(self, asked: Sending) -> list[Sent]:
        config: dict[str, Any] = {
            "bootstrap.servers": asked.bootstrap,
            "acks": asked.acks,
            "compression.type": asked.codec,
            "enable.idempotence": asked.acks == "all",
            "linger.ms": 5,
        }
        producer = confluent_kafka.Producer(config)
        sent: dict[int, Sent] = {}

        def delivered(index: int, error: Any, message: Any) -> None:
            assert error is None, error
            sent[index] = Sent(message.partition(), message.offset() if message.offset() is not None else -1)

        for index, entry in enumerate(asked.entries):
            producer.produce(
                asked.topic,
                value=entry.value,
                key=entry.key,
                headers=list(entry.headers),
                timestamp=entry.timestamp,
                partition=-1 if asked.partition is None else asked.partition,
                on_delivery=lambda error, message, index=index: delivered(index, error, message),
            )
        assert producer.flush(SECONDS) == 0
        return [sent[index] for index in range(len(asked.entries))]

    def _read(self, asked: Reading) -> list[Entry]:
        config = {
            "bootstrap.servers": asked.bootstrap,
            "group.id": asked.group or "none",
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "check.crcs": True,
        }
        consumer = confluent_kafka.Consumer(config)
        try:
            if asked.group:
                consumer.subscribe([asked.topic])
            else:
                partitions = consumer.list_topics(asked.topic, SECONDS).topics[asked.topic].partitions
                consumer.assign([confluent_kafka.TopicPartition(asked.topic, number, 0) for number in partitions])
            found = take(self._poll(consumer), asked.count)
            if asked.commit:
                consumer.commit(asynchronous=False)
            return found
        finally:
            consumer.close()

    def consume_since(self, bootstrap: str, topic: str, timestamp: int, count: int) -> list[Entry]:
        consumer = confluent_kafka.Consumer({"bootstrap.servers": bootstrap, "group.id": "none"})
        try:
            asked = [confluent_kafka.TopicPartition(topic, 0, timestamp)]
            consumer.assign([confluent_kafka.TopicPartition(topic, 0, 0)])
            take(self._poll(consumer), 1)  # librdkafka can seek only in what it fetches already
            consumer.seek(consumer.offsets_for_times(asked, SECONDS)[0])
            return take(self._poll(consumer), count)
        finally:
            consumer.close()

    def _poll(self, consumer: confluent_kafka.Consumer) -> Callable[[int], list[Entry]]:
        return lambda count: [self._entry(message) for message in consumer.consume(count, SECONDS)]

    @staticmethod
    def _entry(message: Any) -> Entry:
        assert message.error() is None, message.error()
        headers = tuple((name, value) for name, value in message.headers() or ())
        return Entry(message.value(), message.key(), message.timestamp()[1], headers, message.offset())


class KafkaPython(Driver):
    """kafka-python, pure Python."""

    name = "kafka-python"

    def _send(self, asked: Sending) -> list[Sent]:
        options: dict[str, Any] = {
            "acks": asked.number_of_acks,
            "compression_type": asked.codec_or_none,
            "linger_ms": 5,
        }
        if asked.acks != "all":
            options["enable_idempotence"] = False
        producer = kafka.KafkaProducer(bootstrap_servers=asked.bootstrap, **options)
        try:
            futures = [producer.send(asked.topic, **asked.fields(entry)) for entry in asked.entries]
            producer.flush(SECONDS)
            rows = [future.get(SECONDS) for future in futures]
            return [Sent(row.partition, row.offset) for row in rows]
        finally:
            producer.close(timeout=SECONDS)

    def _read(self, asked: Reading) -> list[Entry]:
        consumer = kafka.KafkaConsumer(asked.topic, **asked.options)
        try:
            found = take(self._poll(consumer), asked.count)
            if asked.commit:
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
            return take(self._poll(consumer), count)
        finally:
            consumer.close()

    @staticmethod
    def _poll(consumer: kafka.KafkaConsumer) -> Callable[[int], list[Entry]]:
        return lambda count: flat(consumer.poll(timeout_ms=int(SECONDS * 1000), max_records=count))


class Aiokafka(AsyncDriver):
    """aiokafka, on asyncio."""

    name = "aiokafka"

    async def _send_on_a_loop(self, asked: Sending) -> list[Sent]:
        producer = aiokafka.AIOKafkaProducer(
            bootstrap_servers=asked.bootstrap,
            acks=asked.number_of_acks,
            compression_type=asked.codec_or_none,
            enable_idempotence=asked.acks == "all",
            linger_ms=5,
        )
        async with producer:
            futures = [await producer.send(asked.topic, **asked.fields(entry)) for entry in asked.entries]
            rows = await asyncio.wait_for(asyncio.gather(*futures), SECONDS)
            return [Sent(row.partition, row.offset) for row in rows] if asked.acks != "0" else []

    async def _read_on_a_loop(self, asked: Reading) -> list[Entry]:
        async with aiokafka.AIOKafkaConsumer(asked.topic, **asked.options) as consumer:
            return await self._taken(consumer, asked)

    async def _since(
        self, bootstrap: str, partition: odradek.TopicPartition, timestamp: int, count: int
    ) -> list[Entry]:
        theirs = aiokafka.TopicPartition(partition.topic, partition.partition)
        async with aiokafka.AIOKafkaConsumer(bootstrap_servers=bootstrap) as consumer:
            consumer.assign([theirs])
            consumer.seek(theirs, (await consumer.offsets_for_times({theirs: timestamp}))[theirs].offset)
            return await take_on_a_loop(self._poll(consumer), count)

    @staticmethod
    def _poll(consumer: aiokafka.AIOKafkaConsumer) -> Callable[[int], Awaitable[list[Entry]]]:
        async def poll(count: int) -> list[Entry]:
            return flat(await consumer.getmany(timeout_ms=int(SECONDS * 1000), max_records=count))

        return poll


class Odradek(Driver):
    """Our own client, for threads."""

    name = "odradek"

    def _send(self, asked: Sending) -> list[Sent]:
        with odradek.Producer(asked.bootstrap, acks=asked.acks, compression_type=asked.codec) as producer:
            futures = [producer.send(asked.topic, **asked.fields(entry)) for entry in asked.entries]
            rows = [future.result(SECONDS) for future in futures]
        return [Sent(row.partition, row.offset) for row in rows]

    def _read(self, asked: Reading) -> list[Entry]:
        with odradek.Consumer(**asked.options) as consumer:
            if asked.group:
                consumer.subscribe(asked.topic)
            else:
                numbers = consumer.partitions_for(asked.topic)
                consumer.assign(odradek.TopicPartition(asked.topic, number) for number in numbers)
            found = take(self._poll(consumer), asked.count)
            if asked.commit:
                consumer.commit()
            return found

    def consume_since(self, bootstrap: str, topic: str, timestamp: int, count: int) -> list[Entry]:
        partition = odradek.TopicPartition(topic, 0)
        with odradek.Consumer(bootstrap) as consumer:
            consumer.assign([partition])
            found = consumer.offsets_for_times({partition: timestamp})[partition]
            assert found is not None
            consumer.seek(partition, found.offset)
            return take(self._poll(consumer), count)

    @staticmethod
    def _poll(consumer: odradek.Consumer) -> Callable[[int], list[Entry]]:
        return lambda count: [our_entry(record) for record in consumer.poll(SECONDS, count)]


class OdradekAio(AsyncDriver):
    """Our own client, on asyncio."""

    name = "odradek.aio"

    async def _send_on_a_loop(self, asked: Sending) -> list[Sent]:
        async with aio.Producer(asked.bootstrap, acks=asked.acks, compression_type=asked.codec) as producer:
            futures = [await producer.send(asked.topic, **asked.fields(entry)) for entry in asked.entries]
            rows = await asyncio.wait_for(asyncio.gather(*futures), SECONDS)
        return [Sent(row.partition, row.offset) for row in rows]

    async def _read_on_a_loop(self, asked: Reading) -> list[Entry]:
        async with aio.Consumer(**asked.options) as consumer:
            if asked.group:
                await consumer.subscribe(asked.topic)
            else:
                numbers = await consumer.partitions_for(asked.topic)
                await consumer.assign(odradek.TopicPartition(asked.topic, number) for number in numbers)
            return await self._taken(consumer, asked)

    async def _since(
        self, bootstrap: str, partition: odradek.TopicPartition, timestamp: int, count: int
    ) -> list[Entry]:
        async with aio.Consumer(bootstrap) as consumer:
            await consumer.assign([partition])
            found = (await consumer.offsets_for_times({partition: timestamp}))[partition]
            assert found is not None
            consumer.seek(partition, found.offset)
            return await take_on_a_loop(self._poll(consumer), count)

    @staticmethod
    def _poll(consumer: aio.Consumer) -> Callable[[int], Awaitable[list[Entry]]]:
        async def poll(count: int) -> list[Entry]:
            return [our_entry(record) for record in await consumer.poll(SECONDS, count)]

        return poll


def our_entry(record: Any) -> Entry:
    """Return a record of odradek's consumers as an entry."""
    return Entry(record.value, record.key, record.timestamp_ms, tuple(record.headers), record.offset)


OURS = (Odradek.name, OdradekAio.name)
DRIVERS: dict[str, Driver] = {
    driver.name: driver for driver in (Confluent(), KafkaPython(), Aiokafka(), Odradek(), OdradekAio())
}
