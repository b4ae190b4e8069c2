"""kafka-python."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benches.versus.clients.measure import Pace, Stretch
from benches.versus_clients.job import FLUSH_S, LINGER_MS, POLL_RECORDS, Latencies, Sizes
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

if TYPE_CHECKING:
    from benches.versus_clients.job import Job

KEY_BYTES = 8


def _producer(job: Job, linger_ms: int) -> Any:
    producer = KafkaProducer(bootstrap_servers=job.address, acks="all", linger_ms=linger_ms)
    producer.partitions_for(job.topic)
    return producer


def send(job: Job) -> None:
    """Call send() as fast as it takes records; futures dropped."""
    producer, values = _producer(job, LINGER_MS), job.values()
    stretch, sent, topic = Stretch(), 0, job.topic
    for _ in job.rounds(stretch):
        for value in values:
            producer.send(topic, value)
        sent += len(values)
    producer.flush(FLUSH_S)
    stretch.count(sent)
    stretch.print(job.size)
    producer.close(5)


def poll(job: Job) -> None:
    """Read key and value of what poll() brings."""
    consumer = KafkaConsumer(
        bootstrap_servers=job.address, enable_auto_commit=False, max_poll_records=POLL_RECORDS
    )  # fmt: skip
    consumer.assign([TopicPartition(job.topic, each) for each in consumer.partitions_for_topic(job.topic)])
    consumer.seek_to_beginning()
    pace, sizes, going = Pace(job.seconds), Sizes(KEY_BYTES, job.size), True
    while going:
        count = 0
        for records in consumer.poll(timeout_ms=500).values():
            for record in records:
                key, value = record.key, record.value
            sizes.check(key, value)
            count += len(records)
        going = pace.took(count)
    consumer.close()
    pace.end(job.size)


def round_trip(job: Job) -> None:
    """send().get(), one at a time."""
    producer, value = _producer(job, 0), job.values()[0]
    latencies = Latencies(job.seconds)
    for _ in latencies.rounds():
        producer.send(job.topic, value).get(10)
    latencies.print()
    producer.close(5)


WORKLOADS = {"send": send, "poll": poll, "round-trip": round_trip}
