"""odradek's own client: the loops that its users write, by its public names only."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from benches.versus.clients.measure import Pace, Stretch
from benches.versus_clients.job import FLUSH_S, LINGER_MS, POLL_RECORDS, Hold, Latencies, Sizes

import odradek
from odradek import aio

if TYPE_CHECKING:
    from benches.versus_clients.job import Job

KEY_BYTES = 8
ARROW_RECORDS = 10_000


def _options(job: Job) -> dict[str, Any]:
    return {"acks": "all", "linger_ms": LINGER_MS, "compression_type": job.codec}


def send(job: Job) -> None:
    """Call send() as fast as it takes records; futures dropped."""
    with odradek.Producer(job.address, **_options(job)) as producer:
        producer.partitions_for(job.topic)
        values, topic, sent = job.values(), job.topic, 0
        stretch = Stretch()
        for _ in job.rounds(stretch):
            for value in values:
                producer.send(topic, value)
            sent += len(values)
        producer.flush(FLUSH_S)
        stretch.count(sent)
        stretch.print(job.size)


def send_many(job: Job) -> None:
    """Call send_many() of 1,000 values a call."""
    with odradek.Producer(job.address, **_options(job)) as producer:
        producer.partitions_for(job.topic)
        values, sent = job.values() * 2, 0
        stretch = Stretch()
        for _ in job.rounds(stretch):
            producer.send_many(job.topic, values)
            sent += len(values)
        producer.flush(FLUSH_S)
        stretch.count(sent)
        stretch.print(job.size)


def send_arrow(job: Job) -> None:
    """Call send_arrow() with a batch of records that was read from the topic itself, over and over."""
    with odradek.Consumer(job.address, auto_offset_reset="earliest") as consumer:
        consumer.assign(_partitions(consumer, job.topic))
        batch = consumer.poll_arrow(timeout=10, max_records=ARROW_RECORDS)
    if not batch.num_rows:
        raise SystemExit("the topic is empty")
    producer: Any
    with odradek.Producer(job.address, **_options(job)) as producer:
        producer.partitions_for(job.topic)
        sent = 0
        stretch = Stretch()
        for _ in job.rounds(stretch):
            producer.send_arrow(job.topic, batch, value="value")
            sent += batch.num_rows
        producer.flush(FLUSH_S)
        stretch.count(sent)
        stretch.print(job.size)


def _partitions(consumer: Any, topic: str) -> list[odradek.TopicPartition]:
    return [odradek.TopicPartition(topic, number) for number in consumer.partitions_for(topic)]


def _consumer(job: Job, **options: Any) -> odradek.Consumer:
    consumer = odradek.Consumer(job.address, auto_offset_reset="earliest", enable_auto_commit=False, **options)
    consumer.assign(_partitions(consumer, job.topic))
    return consumer


def poll(job: Job) -> None:
    """Read key and value of what poll() brings."""
    with _consumer(job) as consumer:
        pace, sizes, going = Pace(job.seconds), Sizes(KEY_BYTES, job.size), True
        while going:
            records = consumer.poll(timeout=0.5, max_records=POLL_RECORDS)
            for record in records:
                key, value = record.key, record.value
            if records:
                sizes.check(key, value)
            going = pace.took(len(records))
        pace.end(job.size)


def poll_arrow(job: Job) -> None:
    """Take record batches; nothing looks into them."""
    with _consumer(job) as consumer:
        pace = Pace(job.seconds)
        while pace.took(consumer.poll_arrow(timeout=0.5, max_records=100 * POLL_RECORDS).num_rows):
            pass
        pace.end(job.size)


def round_trip(job: Job) -> None:
    """send().result(), one at a time."""
    with odradek.Producer(job.address, **_options(job) | {"linger_ms": 0}) as producer:
        value = job.values()[0]
        latencies = Latencies(job.seconds)
        for _ in latencies.rounds():
            producer.send(job.topic, value).result(10)
        latencies.print()


def memory(job: Job) -> None:
    """A slow reader of a wide topic, told how much it may hold."""
    with odradek.Consumer(job.address, auto_offset_reset="earliest", buffer_max_bytes=job.bound) as consumer:
        partitions = _partitions(consumer, job.topic)
        hold = Hold()
        consumer.assign(partitions)
        while hold.took(len(consumer.poll(timeout=0.1, max_records=hold.RECORDS))):
            pass
    hold.print()


def aio_send(job: Job) -> None:
    """Await send() as fast as it takes records; futures dropped."""

    async def run() -> None:
        async with aio.Producer(job.address, **_options(job)) as producer:
            await producer.partitions_for(job.topic)
            values, topic, sent = job.values(), job.topic, 0
            stretch = Stretch()
            for _ in job.rounds(stretch):
                for value in values:
                    await producer.send(topic, value)
                sent += len(values)
            await producer.flush(FLUSH_S)
            stretch.count(sent)
            stretch.print(job.size)

    asyncio.run(run())


def aio_poll(job: Job) -> None:
    """Read key and value of what poll() brings."""

    async def run() -> None:
        async with aio.Consumer(job.address, auto_offset_reset="earliest", enable_auto_commit=False) as consumer:
            numbers = await consumer.partitions_for(job.topic)
            await _settle(consumer.assign([odradek.TopicPartition(job.topic, number) for number in numbers]))
            pace, sizes, going = Pace(job.seconds), Sizes(KEY_BYTES, job.size), True
            while going:
                records = await consumer.poll(timeout=0.5, max_records=POLL_RECORDS)
                for record in records:
                    key, value = record.key, record.value
                if records:
                    sizes.check(key, value)
                going = pace.took(len(records))
            pace.end(job.size)

    asyncio.run(run())


async def _settle(answer: Any) -> None:
    if asyncio.iscoroutine(answer):
        await answer


WORKLOADS = {
    "send": send,
    "send-many": send_many,
    "send-arrow": send_arrow,
    "poll": poll,
    "poll-arrow": poll_arrow,
    "round-trip": round_trip,
    "memory": memory,
    "aio-send": aio_send,
    "aio-poll": aio_poll,
}
