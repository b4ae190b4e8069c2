"""Produce for some seconds with acks=all and 5 ms of linger.   ADDRESS TOPIC LIBRARY SIZE SECONDS."""

from __future__ import annotations

import asyncio
import sys
import time

from benches.versus.clients.measure import Stretch, payloads


def confluent_kafka(address: str, topic: str, size: int, seconds: float) -> None:
    """Send with librdkafka, delivery reports counted."""
    from confluent_kafka import Producer

    config = {"bootstrap.servers": address, "acks": "all", "linger.ms": 5, "queue.buffering.max.messages": 200_000}
    producer, values, failed = Producer(config), payloads(size), 0
    producer.list_topics(topic, timeout=10)

    def delivered(error: object, _: object) -> None:
        nonlocal failed
        failed += error is not None

    stretch = Stretch()
    end, sent = time.perf_counter() + seconds, 0
    while time.perf_counter() < end:
        for value in values:
            try:
                producer.produce(topic, value, on_delivery=delivered)
                sent += 1
            except BufferError:
                producer.poll(0.01)
        producer.poll(0)
    left = producer.flush(30)
    stretch.count(sent)
    _end(stretch, size, failed + left)


def kafka_python(address: str, topic: str, size: int, seconds: float) -> None:
    """Send with kafka-python."""
    from kafka import KafkaProducer

    producer = KafkaProducer(bootstrap_servers=address, acks="all", linger_ms=5)
    producer.partitions_for(topic)
    values = payloads(size)
    failures: list[object] = []
    stretch = Stretch()
    end, sent = time.perf_counter() + seconds, 0
    while time.perf_counter() < end:
        for value in values:
            producer.send(topic, value).add_errback(failures.append)
        sent += len(values)
    producer.flush(30)
    stretch.count(sent)
    _end(stretch, size, len(failures))
    producer.close(5)


def aiokafka(address: str, topic: str, size: int, seconds: float) -> None:
    """Send with aiokafka."""

    async def run() -> None:
        from aiokafka import AIOKafkaProducer

        producer = AIOKafkaProducer(bootstrap_servers=address, acks="all", linger_ms=5)
        await producer.start()
        values = payloads(size)
        stretch = Stretch()
        end, sent, last = time.perf_counter() + seconds, 0, []
        while time.perf_counter() < end:
            last = [await producer.send(topic, value) for value in values]
            sent += len(values)
        await asyncio.wait_for(producer.flush(), 30)
        stretch.count(sent)
        _end(stretch, size, sum(future.exception() is not None for future in last))
        await producer.stop()

    asyncio.run(run())


def _end(stretch: Stretch, size: int, failed: int) -> None:
    if failed:
        raise SystemExit(f"{failed} records were not delivered")
    stretch.print(size)


LIBRARIES = {"confluent-kafka": confluent_kafka, "kafka-python": kafka_python, "aiokafka": aiokafka}

if __name__ == "__main__":
    _, address, topic, library, size, seconds = sys.argv
    LIBRARIES[library](address, topic, int(size), float(seconds))
