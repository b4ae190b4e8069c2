"""Write the partition folder in `vectors/` with Apache Kafka's own broker.

Not a test: run by hand against a broker of the wanted version, then stop the broker cleanly and copy its folder
`odradek.vectors-0` here (the storage tests say what is in it). Read next: `rust/odradek-core/tests/storage_kafka_files.rs`.

    python make_kafka_vectors.py 127.0.0.1:9092
"""

import sys

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

TOPIC = "odradek.vectors"
START_MS = 1_700_000_000_000
CODECS = ("none", "gzip", "snappy", "lz4", "zstd")


def produce(servers: str, first: int, count: int, timestamp_ms: int, **config: object) -> int:
    """Send `value-N` for N in first..first+count as one batch; return the next N."""
    producer = Producer({"bootstrap.servers": servers, "linger.ms": 50, **config})
    for number in range(first, first + count):
        producer.produce(
            TOPIC, key=f"key-{number}", value=f"value-{number}", partition=0, timestamp=timestamp_ms + number
        )
    producer.flush()
    return first + count


def transact(servers: str, name: str, first: int, count: int, timestamp_ms: int, *, end: str) -> int:
    """Send `value-N` in a transaction that commits, aborts or stays open."""
    producer = Producer({"bootstrap.servers": servers, "transactional.id": name, "transaction.timeout.ms": 600_000})
    producer.init_transactions()
    producer.begin_transaction()
    for number in range(first, first + count):
        producer.produce(
            TOPIC, key=f"key-{number}", value=f"value-{number}", partition=0, timestamp=timestamp_ms + number
        )
    producer.flush()
    if end == "commit":
        producer.commit_transaction()
    elif end == "abort":
        producer.abort_transaction()
    return first + count


def main(servers: str) -> None:
    """Make the topic and fill it: plain, each codec, idempotent, and three transactions, over several segments."""
    config = {"segment.ms": "60000", "index.interval.bytes": "200", "retention.ms": "-1"}
    admin = AdminClient({"bootstrap.servers": servers})
    for future in admin.create_topics([NewTopic(TOPIC, 1, 1, config=config)]).values():
        future.result()
    number = 0
    for step, codec in enumerate(CODECS):
        timestamp_ms = START_MS + step * 40_000
        for _ in range(4):
            number = produce(servers, number, 10, timestamp_ms, **{"compression.type": codec})
    timestamp_ms = START_MS + 300_000
    number = produce(servers, number, 10, timestamp_ms, **{"enable.idempotence": True})
    number = transact(servers, "committed", number, 10, timestamp_ms, end="commit")
    number = transact(servers, "aborted-1", number, 10, timestamp_ms, end="abort")
    number = produce(servers, number, 10, timestamp_ms + 100_000)
    number = transact(servers, "aborted-2", number, 10, timestamp_ms + 100_000, end="abort")
    number = transact(servers, "open", number, 5, timestamp_ms + 100_000, end="open")
    number = produce(servers, number, 10, timestamp_ms + 100_000)


if __name__ == "__main__":
    main(sys.argv[1])
