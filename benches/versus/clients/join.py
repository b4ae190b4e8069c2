"""A new classic group: time from subscribe until every member has its first record.   ADDRESS TOPIC MEMBERS."""

from __future__ import annotations

import json
import sys
import threading
import time
import uuid

from confluent_kafka import Consumer, Producer

TIMEOUT_S = 30


def main(address: str, topic: str, count: int) -> None:
    """Put a record into each partition, then let all members subscribe at once."""
    producer = Producer({"bootstrap.servers": address})
    for partition in producer.list_topics(topic, timeout=10).topics[topic].partitions:
        producer.produce(topic, b"x" * 100, partition=partition)
    producer.flush(10)
    config = {
        "bootstrap.servers": address,
        "group.id": f"join-{uuid.uuid4()}",
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
    }
    consumers = [Consumer(config) for _ in range(count)]
    for consumer in consumers:
        consumer.list_topics(topic, timeout=10)
    done = threading.Event()
    seen: dict[int, float] = {}
    since = time.monotonic()

    def member(index: int) -> None:
        consumers[index].subscribe([topic])
        while not done.is_set() and time.monotonic() - since < TIMEOUT_S:
            record = consumers[index].poll(0.02)
            if record is not None and record.error() is None and index not in seen:
                seen[index] = time.monotonic() - since
                if len(seen) == count:
                    done.set()
        consumers[index].close()

    threads = [threading.Thread(target=member, args=(index,)) for index in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if len(seen) < count:
        raise SystemExit(f"{len(seen)} of {count} members got a record")
    print(json.dumps({"first_s": min(seen.values()), "all_members_s": max(seen.values())}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
