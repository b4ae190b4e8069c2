"""Fixtures of the integration tests: topics with records in them, members that are closed at the end."""

import pytest
from confluent_kafka import Producer
from group_members import Librdkafka


@pytest.fixture
def produce():
    """Return a function that writes `count` records `PREFIX-N` round the partitions, and waits until they are there."""

    def write(bootstrap, topic, partitions, count, prefix="v"):
        producer = Producer({"bootstrap.servers": bootstrap})
        for number in range(count):
            producer.produce(topic, f"{prefix}-{number}".encode(), partition=number % partitions)
        assert producer.flush(30) == 0
        return {f"{prefix}-{number}".encode() for number in range(count)}

    return write


@pytest.fixture
def member():
    """Return a function that starts a member; all are closed in the end."""
    started = []

    def start(bootstrap, group, topic, kind=Librdkafka, **config):
        one = kind(bootstrap, group, topic, **config)
        started.append(one)
        return one

    yield start
    for one in started:
        one.close()
