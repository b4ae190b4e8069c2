"""A group member as a process of its own, so that a test can kill it: `python members.py LIBRARY BOOTSTRAP TOPIC GROUP`.

It commits after every record and prints one JSON line for each: {"partition": ..., "offset": ..., "value": ...}.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

SESSION_MS = 6_000
HEARTBEAT_MS = 500


def tell(partition: int, offset: int, value: bytes) -> None:
    """Print one record."""
    sys.stdout.write(json.dumps({"partition": partition, "offset": offset, "value": value.decode()}) + "\n")
    sys.stdout.flush()


def confluent(bootstrap: str, topic: str, group: str) -> None:
    """Consume for ever with confluent-kafka."""
    import confluent_kafka

    config: dict[str, Any] = {
        "bootstrap.servers": bootstrap,
        "group.id": group,
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
        "session.timeout.ms": SESSION_MS,
        "heartbeat.interval.ms": HEARTBEAT_MS,
    }
    consumer = confluent_kafka.Consumer(config)
    consumer.subscribe([topic])
    while True:
        message = consumer.poll(1.0)
        if message is not None and message.error() is None:
            tell(message.partition(), message.offset(), message.value())
            consumer.commit(message, asynchronous=False)


def kafka_python(bootstrap: str, topic: str, group: str) -> None:
    """Consume for ever with kafka-python."""
    import kafka

    consumer = kafka.KafkaConsumer(
        topic,
        bootstrap_servers=bootstrap,
        group_id=group,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        session_timeout_ms=SESSION_MS,
        heartbeat_interval_ms=HEARTBEAT_MS,
        max_poll_records=1,
    )
    while True:
        for records in consumer.poll(timeout_ms=1_000).values():
            for record in records:
                tell(record.partition, record.offset, record.value)
                consumer.commit()


def aio(bootstrap: str, topic: str, group: str) -> None:
    """Consume for ever with aiokafka."""
    import aiokafka

    async def run() -> None:
        consumer = aiokafka.AIOKafkaConsumer(
            topic,
            bootstrap_servers=bootstrap,
            group_id=group,
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            session_timeout_ms=SESSION_MS,
            heartbeat_interval_ms=HEARTBEAT_MS,
        )
        await consumer.start()
        async for record in consumer:
            tell(record.partition, record.offset, record.value or b"")
            await consumer.commit()

    asyncio.run(run())


def ours(bootstrap: str, topic: str, group: str) -> None:
    """Consume for ever with odradek."""
    import odradek

    consumer = odradek.Consumer(
        bootstrap,
        group_id=group,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        session_timeout_ms=SESSION_MS,
        heartbeat_interval_ms=HEARTBEAT_MS,
        partition_assignment_strategy="range,roundrobin",  # aiokafka knows no other, and a killed member still counts
    )
    consumer.subscribe(topic)
    for record in consumer:
        tell(record.partition, record.offset, record.value)
        consumer.commit(record)


LIBRARIES = {"confluent": confluent, "kafka-python": kafka_python, "aiokafka": aio, "odradek": ours}

if __name__ == "__main__":
    LIBRARIES[sys.argv[1]](*sys.argv[2:5])
