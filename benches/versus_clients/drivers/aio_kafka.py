"""aiokafka."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from benches.versus.clients.measure import Pace, Stretch
from benches.versus_clients.job import FLUSH_S, LINGER_MS, POLL_RECORDS, Sizes

if TYPE_CHECKING:
    from benches.versus_clients.job import Job

KEY_BYTES = 8


def send(job: Job) -> None:
    """Await send() as fast as it takes records; futures dropped."""

    async def run() -> None:
        producer = AIOKafkaProducer(bootstrap_servers=job.address, acks="all", linger_ms=LINGER_MS)
        await producer.start()
        values, topic, sent = job.values(), job.topic, 0
        stretch = Stretch()
        for _ in job.rounds(stretch):
            for value in values:
                await producer.send(topic, value)
            sent += len(values)
        await asyncio.wait_for(producer.flush(), FLUSH_S)
        stretch.count(sent)
        stretch.print(job.size)
        await producer.stop()

    asyncio.run(run())


def poll(job: Job) -> None:
    """Read key and value of what getmany() brings."""

    async def run() -> None:
        consumer = AIOKafkaConsumer(
            job.topic, bootstrap_servers=job.address, enable_auto_commit=False, auto_offset_reset="earliest"
        )
        await consumer.start()
        pace, sizes, going = Pace(job.seconds), Sizes(KEY_BYTES, job.size), True
        while going:
            count = 0
            for records in (await consumer.getmany(timeout_ms=500, max_records=POLL_RECORDS)).values():
                for record in records:
                    key, value = record.key, record.value
                sizes.check(key, value)
                count += len(records)
            going = pace.took(count)
        await consumer.stop()
        pace.end(job.size)

    asyncio.run(run())


WORKLOADS = {"aio-send": send, "aio-poll": poll}
