"""confluent-kafka (librdkafka)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benches.versus.clients.measure import Pace, Stretch
from benches.versus_clients.job import FLUSH_S, LINGER_MS, POLL_RECORDS, Hold, Latencies, Sizes
from confluent_kafka import Consumer, Producer, TopicPartition

if TYPE_CHECKING:
    from benches.versus_clients.job import Job

MANY = 1_000_000
KEY_BYTES = 8


def _producer(job: Job, **settings: Any) -> Producer:
    producer = Producer(
        {
            "bootstrap.servers": job.address,
            "acks": "all",
            "compression.type": job.codec,
            "linger.ms": LINGER_MS,
            "queue.buffering.max.messages": 200_000,
            **settings,
        }
    )
    producer.list_topics(job.topic, timeout=10)
    return producer


def send(job: Job) -> None:
    """Call produce() as fast as it takes records; no delivery callback."""
    producer, values = _producer(job), job.values()
    stretch, sent, topic = Stretch(), 0, job.topic
    for _ in job.rounds(stretch):
        for value in values:
            while True:
                try:
                    producer.produce(topic, value)
                    break
                except BufferError:
                    producer.poll(0.01)
        sent += len(values)
        producer.poll(0)
    if left := producer.flush(FLUSH_S):
        raise SystemExit(f"{left} records were not delivered")
    stretch.count(sent)
    stretch.print(job.size)


def fill(job: Job) -> None:
    """Write a gigabyte of keyed records for others to read."""
    producer, values = _producer(job), job.values()
    for number in range((1 << 30) // job.size):
        while True:
            try:
                producer.produce(job.topic, values[number % len(values)], key=b"%08d" % number)
                break
            except BufferError:
                producer.poll(0.01)
    if left := producer.flush(FLUSH_S):
        raise SystemExit(f"{left} records were not delivered")


def _consumer(job: Job, **settings: Any) -> Consumer:
    return Consumer(
        {
            "bootstrap.servers": job.address,
            "group.id": "none",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            **settings,
        }
    )


def _partitions(consumer: Consumer, topic: str) -> list[TopicPartition]:
    return [
        TopicPartition(topic, number, 0) for number in consumer.list_topics(topic, timeout=10).topics[topic].partitions
    ]


def poll(job: Job) -> None:
    """Read key and value of what consume(n) brings; its local queue is large enough not to fill, which would pause it."""
    large = {"queued.min.messages": MANY, "queued.max.messages.kbytes": 524_288, "fetch.queue.backoff.ms": 5}
    consumer, pace, sizes = _consumer(job, **large), Pace(job.seconds), Sizes(KEY_BYTES, job.size)
    consumer.assign(_partitions(consumer, job.topic))
    going = True
    while going:
        records = consumer.consume(POLL_RECORDS, 0.5)
        for record in records:
            key, value = record.key(), record.value()
        if records:
            sizes.check(key, value)
        going = pace.took(len(records))
    consumer.close()
    pace.end(job.size)


def round_trip(job: Job) -> None:
    """produce(), then poll() until its delivery report has come."""
    producer, value = _producer(job, **{"linger.ms": 0}), job.values()[0]
    delivered = False

    def report(error: object, _: object) -> None:
        nonlocal delivered
        if error is not None:
            raise SystemExit(str(error))
        delivered = True

    latencies = Latencies(job.seconds)
    for _ in latencies.rounds():
        delivered = False
        producer.produce(job.topic, value, on_delivery=report)
        while not delivered:
            producer.poll(1)
    latencies.print()


def memory(job: Job) -> None:
    """A slow reader of a wide topic."""
    consumer = _consumer(job, **{"queued.max.messages.kbytes": job.bound >> 10})
    partitions = _partitions(consumer, job.topic)
    hold = Hold()
    consumer.assign(partitions)
    while hold.took(len(consumer.consume(hold.RECORDS, 0.1))):
        pass
    consumer.close()
    hold.print()


WORKLOADS = {"send": send, "fill": fill, "poll": poll, "round-trip": round_trip, "memory": memory}
