"""Consume a topic from its start for some seconds, without a group.   ADDRESS TOPIC LIBRARY SIZE SECONDS.

Counts from the first records on: connecting is not consuming. Ends early when the topic does.
"""

from __future__ import annotations

import asyncio
import sys

from benches.versus.clients.measure import Pace


def confluent_kafka(address: str, topic: str, seconds: float) -> Pace:
    """Read with librdkafka; its local queue is large enough not to fill, which would pause it for a second."""
    from confluent_kafka import Consumer, TopicPartition

    consumer = Consumer(
        {
            "bootstrap.servers": address,
            "group.id": "none",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "queued.min.messages": 1_000_000,
            "queued.max.messages.kbytes": 524_288,
            "fetch.queue.backoff.ms": 5,
        }
    )
    partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
    consumer.assign([TopicPartition(topic, partition, 0) for partition in partitions])
    pace = Pace(seconds)
    while pace.took(len(consumer.consume(1000, 0.5))):
        pass
    consumer.close()
    return pace


def kafka_python(address: str, topic: str, seconds: float) -> Pace:
    """Read with kafka-python."""
    from kafka import KafkaConsumer, TopicPartition

    consumer = KafkaConsumer(bootstrap_servers=address, enable_auto_commit=False, max_poll_records=1000)
    consumer.assign([TopicPartition(topic, each) for each in consumer.partitions_for_topic(topic)])
    consumer.seek_to_beginning()
    pace = Pace(seconds)
    while pace.took(sum(map(len, consumer.poll(timeout_ms=500).values()))):
        pass
    consumer.close()
    return pace


def aiokafka(address: str, topic: str, seconds: float) -> Pace:
    """Read with aiokafka."""

    async def run() -> Pace:
        from aiokafka import AIOKafkaConsumer

        consumer = AIOKafkaConsumer(
            topic, bootstrap_servers=address, enable_auto_commit=False, auto_offset_reset="earliest"
        )
        await consumer.start()
        pace = Pace(seconds)
        while pace.took(sum(map(len, (await consumer.getmany(timeout_ms=500, max_records=1000)).values()))):
            pass
        await consumer.stop()
        return pace

    return asyncio.run(run())


LIBRARIES = {"confluent-kafka": confluent_kafka, "kafka-python": kafka_python, "aiokafka": aiokafka}

if __name__ == "__main__":
    _, address, topic, library, size, seconds = sys.argv
    LIBRARIES[library](address, topic, float(seconds)).end(int(size))
