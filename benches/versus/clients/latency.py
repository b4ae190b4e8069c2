"""Time from produce() to poll().   ADDRESS consume TOPIC COUNT  |  ADDRESS produce TOPIC COUNT RATE ACKS.

Both run on one machine and share its monotonic clock; the first fifth of the records is not counted.
"""

from __future__ import annotations

import json
import struct
import sys
import time

from benches.versus.clients.measure import cpu_seconds
from confluent_kafka import Consumer, Producer, TopicPartition

STAMP = struct.Struct("<q")
PADDING = b"x" * (100 - STAMP.size)
TIMEOUT_S = 60


def consume(address: str, topic: str, count: int) -> None:
    """Print `ready`, take `count` records, print how old they were."""
    consumer = Consumer({"bootstrap.servers": address, "group.id": "none", "enable.auto.commit": False})
    _, end = consumer.get_watermark_offsets(TopicPartition(topic, 0), timeout=10)
    consumer.assign([TopicPartition(topic, 0, end)])
    consumer.poll(0.5)
    print("ready", flush=True)
    ages: list[int] = []
    give_up = time.monotonic() + TIMEOUT_S
    while len(ages) < count and time.monotonic() < give_up:
        record = consumer.poll(0.5)
        if record is not None and record.error() is None:
            ages.append(time.monotonic_ns() - STAMP.unpack_from(record.value() or b"")[0])
    consumer.close()
    if len(ages) < count:
        raise SystemExit(f"{len(ages)} of {count} records arrived")
    ages = sorted(ages[count // 5 :])
    quantiles = {f"p{name}_us": ages[int(share * (len(ages) - 1))] / 1e3 for name, share in QUANTILES.items()}
    print(json.dumps({**quantiles, "cpu_s": cpu_seconds()}), flush=True)


QUANTILES = {"50": 0.5, "99": 0.99, "999": 0.999}


def produce(address: str, topic: str, count: int, rate: float, acks: str) -> None:
    """Send `count` records at `rate` a second."""
    producer = Producer({"bootstrap.servers": address, "acks": acks, "linger.ms": 0})
    producer.list_topics(topic, timeout=10)
    since = time.monotonic()
    for number in range(count):
        early = since + number / rate - time.monotonic()
        if early > 0:
            time.sleep(early)
        producer.produce(topic, STAMP.pack(time.monotonic_ns()) + PADDING, partition=0)
        producer.poll(0)
    sent_s = count / (time.monotonic() - since)
    if producer.flush(10):
        raise SystemExit("not all records were delivered")
    print(json.dumps({"records_s": sent_s}), flush=True)


if __name__ == "__main__":
    _, address, role, topic, count, *rest = sys.argv
    if role == "consume":
        consume(address, topic, int(count))
    else:
        produce(address, topic, int(count), float(rest[0]), rest[1])
