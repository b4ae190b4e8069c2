"""A topic that changes under a producer: grown, deleted, deleted and made again. Nothing hangs, nothing is lost in silence."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest
from support import topics
from support.wire import Wire

import odradek
from odradek.client.native import DeliveryFuture
from odradek.errors import KafkaError, OdradekError, TimeoutError  # noqa: A004

pytestmark = pytest.mark.brokers("odradek", "kafka")

SECONDS = 30.0
QUICK = {"metadata_max_age_ms": 300, "retry_backoff_ms": 10, "linger_ms": 1}
DELIVERY = {"request_timeout_ms": 2_000, "delivery_timeout_ms": 6_000, "max_block_ms": 6_000}


class Stream:
    """What a thread sends, on and on: each value is its own number."""

    def __init__(self, producer: odradek.Producer, topic: str) -> None:
        self.sent: list[DeliveryFuture] = []
        self.refused: list[OdradekError] = []
        self.done = threading.Event()
        self._producer = producer
        self._topic = topic

    def run(self) -> None:
        for number in itertools.count():
            if self.done.is_set():
                return
            try:
                self.sent.append(self._producer.send(self._topic, b"%d" % number, b"key %d" % number))
            except OdradekError as error:  # where the topic is missing `send` itself may give up
                self.refused.append(error)
            if number % 100 == 99:
                self.sent[-1].exception(SECONDS)  # not faster than the broker

    def arrived(self, since: int = 0) -> list[odradek.RecordMetadata]:
        """Return where those went that have arrived by now, from the number-th on."""
        return [one.result(0) for one in self.sent[since:] if one.done() and one.exception(0) is None]


@contextmanager
def streaming(producer: odradek.Producer, topic: str) -> Iterator[Stream]:
    stream = Stream(producer, topic)
    thread = threading.Thread(target=stream.run)
    thread.start()
    try:
        yield stream
    finally:
        stream.done.set()
        thread.join()


def test_added_partitions_are_used_and_the_records_under_way_arrive(
    bootstrap: str, make_topic: Callable[..., str], wire: Wire
) -> None:
    topic = make_topic(partitions=2)
    with odradek.Producer(bootstrap, **QUICK) as producer, odradek.Admin(bootstrap) as admin:
        with streaming(producer, topic) as stream:
            topics.until(lambda: {one.partition for one in stream.arrived()} == {0, 1})
            admin.create_partitions({topic: 5})
            topics.until(lambda: {one.partition for one in stream.arrived()} == set(range(5)))
        producer.flush(SECONDS)
        assert producer.partitions_for(topic) == [0, 1, 2, 3, 4]
        assert producer.metrics()["record_error_total"] == 0
    places = [one.result(0) for one in stream.sent]
    assert len({(one.partition, one.offset) for one in places}) == len(places)
    ends = [topics.list_offset_row(wire, topic, topics.LATEST, partition=number).offset for number in range(5)]
    assert sum(ends) == len(places)


def test_a_record_for_a_partition_that_is_yet_to_come_waits_for_it(bootstrap: str, topic: str) -> None:
    with odradek.Producer(bootstrap, **QUICK) as producer, odradek.Admin(bootstrap) as admin:
        assert producer.send(topic, b"first", partition=0).result(SECONDS).offset == 0
        places: list[odradek.RecordMetadata] = []
        sender = threading.Thread(
            target=lambda: places.append(producer.send(topic, b"second", partition=1).result(SECONDS))
        )
        sender.start()
        admin.create_partitions({topic: 2})
        sender.join()
    assert [(one.partition, one.offset) for one in places] == [(1, 0)]


def test_records_go_to_the_topic_that_was_made_again_or_fail_and_say_why(
    bootstrap: str, make_topic: Callable[..., str], wire: Wire
) -> None:
    topic = make_topic()
    with odradek.Producer(bootstrap, **QUICK, **DELIVERY) as producer, odradek.Admin(bootstrap) as admin:
        with streaming(producer, topic) as stream:
            topics.until(lambda: len(stream.arrived()) > 500)
            old = admin.describe_topics(topic)[topic].topic_id
            admin.delete_topics(topic)
            topics.until(lambda: made_again(admin, topic, old))
            after = len(stream.sent)
            topics.until(lambda: len(stream.arrived(after)) > 500)
        producer.flush(SECONDS)
    assert all(one.done() for one in stream.sent)
    errors = [error for one in stream.sent if (error := one.exception(0))] + stream.refused
    assert {type(error) for error in errors if not isinstance(error, KafkaError | TimeoutError)} == set()
    assert [error for error in errors if topic not in str(error)] == []
    # What is told to be in the new topic is there, once, in the order in which it was sent.
    held = [int(record.value) for record in topics.read_all(wire, topic)]
    assert held == sorted(set(held))
    told = {number: one.result(0).offset for number, one in enumerate(stream.sent) if one.exception(0) is None}
    assert [held[told[number]] for number in told if number >= after] == [number for number in told if number >= after]


def made_again(admin: odradek.Admin, topic: str, old: object) -> bool:
    """Make the topic, unless the producer's asking for it has; whether it is there and another one than before."""
    with suppress(KafkaError):
        admin.create_topics(topic)
    found = admin.list_topics().get(topic)
    return found is not None and found.topic_id != old


def test_records_for_a_topic_that_is_gone_fail_in_time_and_name_it(own_broker: Callable[..., object]) -> None:
    broker = own_broker(auto_create_topics_enable="false")
    with odradek.Producer(broker.bootstrap, **QUICK, **DELIVERY) as producer, odradek.Admin(broker.bootstrap) as admin:
        admin.create_topics(["gone", "kept"])
        assert producer.send("gone", b"x").result(SECONDS).offset == 0
        admin.delete_topics("gone")
        with pytest.raises((KafkaError, TimeoutError), match="gone"):
            producer.send("gone", b"y", partition=0).result(SECONDS)
        assert producer.send("kept", b"z").result(SECONDS).offset == 0
