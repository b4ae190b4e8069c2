"""Everything that waits: futures, callbacks, flush, room for records, topics."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time

import pytest
from support.broker import free_port

import odradek
from odradek import errors

NOBODY = f"127.0.0.1:{free_port()}"


def test_a_waited_for_record_does_not_linger(embedded, unique):
    topic = unique("hurry")
    with odradek.Producer(embedded.bootstrap_servers, linger_ms=60_000) as producer:
        assert producer.send(topic, b"x").result(20).offset == 0
        future = producer.send(topic, b"y")
        with pytest.raises(errors.TimeoutError, match=topic):
            future.result(0)
        assert future.result(20).offset >= 0


def test_callbacks_come_in_the_order_of_the_partition(producer, unique):
    topic, seen, done = unique("callbacks"), [], threading.Event()

    def delivered(metadata, error):
        seen.append((metadata.offset, error, threading.current_thread().name))
        if len(seen) == 2_000:
            done.set()

    for _ in range(2_000):
        producer.send(topic, b"x", partition=0, on_delivery=delivered)
    assert done.wait(20)
    assert [offset for offset, _, _ in seen] == list(range(2_000))
    assert {error for _, error, _ in seen} == {None}
    assert {name for _, _, name in seen} == {"odradek-delivery"}


def test_a_producers_own_callback_sees_every_record(embedded, unique):
    seen = []
    done = threading.Event()

    def delivered(metadata, error):
        seen.append(metadata)
        if len(seen) == 3:
            done.set()

    with odradek.Producer(embedded.bootstrap_servers, on_delivery=delivered) as producer:
        for _ in range(3):
            producer.send(unique("own"), b"x")
        assert done.wait(20)


def test_a_callback_that_raises_is_logged_and_the_next_one_comes(producer, unique, caplog):
    topic, reached = unique("raises"), threading.Event()
    with caplog.at_level(logging.ERROR, "odradek.client.producer"):
        producer.send(topic, b"x", partition=0, on_delivery=lambda *_: 1 / 0)
        producer.send(topic, b"y", partition=0, on_delivery=lambda *_: reached.set())
        assert reached.wait(20)
    assert caplog.records[0].exc_info[0] is ZeroDivisionError


def test_done_callbacks_are_called_once_before_and_after_delivery(producer, unique):
    topic, calls, reached = unique("done"), [], threading.Event()
    future = producer.send(topic, b"x")
    future.add_done_callback(lambda done: (calls.append(done), reached.set()))
    assert reached.wait(20)
    future.add_done_callback(calls.append)
    assert calls == [future, future]


def test_on_delivery_is_told_of_failure(embedded, unique):
    told = threading.Event()
    seen = []
    producer = odradek.Producer(embedded.bootstrap_servers, linger_ms=60_000)
    producer.send(unique("fails"), b"x", on_delivery=lambda *both: (seen.append(both), told.set()))
    with pytest.raises(errors.TimeoutError, match="1 records"):
        producer.close(timeout=1e-9)
    assert told.wait(20)
    assert seen[0][0] is None
    assert isinstance(seen[0][1], errors.ClosedError)


def test_flush_says_how_many_records_are_left(embedded, own_broker, unique):
    broker = own_broker()
    with odradek.Producer(broker.bootstrap, linger_ms=0) as producer:
        producer.send("t", b"x").result(20)
        broker.pause()
        try:
            for _ in range(5):
                producer.send("t", b"x")
            with pytest.raises(errors.TimeoutError, match="5 records"):
                producer.flush(0.2)
        finally:
            broker.go_on()
        producer.flush(20)


def test_records_that_close_gives_up_are_counted_as_failed(own_broker):
    broker = own_broker()
    producer = odradek.Producer(broker.bootstrap, linger_ms=0)
    producer.send("t", b"x").result(20)
    broker.pause()
    try:
        futures = [producer.send("t", b"x") for _ in range(5)]
        with pytest.raises(errors.TimeoutError, match="5 records"):
            producer.close(0.2)
    finally:
        broker.go_on()
    assert [type(future.exception(0)) for future in futures] == [errors.ClosedError] * 5
    metrics = producer.metrics()
    assert (metrics["record_send_total"], metrics["record_error_total"]) == (1, 5)


def test_a_full_buffer_blocks_then_raises_and_takes_records_again_when_there_is_room(own_broker):
    broker = own_broker()
    with odradek.Producer(broker.bootstrap, buffer_memory=64_000, batch_size=8_000, max_block_ms=300) as producer:
        producer.partitions_for(
            "t", 20
        )  # a topic takes longer to make than this producer waits, where much else goes on
        producer.send("t", b"x").result(20)
        broker.pause()
        taken = []

        def fill() -> None:
            for _ in range(1_000):
                taken.append(producer.send("t", b"x" * 1_000, partition=0))  # noqa: PERF401 - what came before an error counts

        try:
            with pytest.raises(errors.BufferFullError, match="buffer_memory"):
                fill()
        finally:
            broker.go_on()
        assert 30 < len(taken) < 80
        producer.flush(20)
        for _ in range(20):  # each time as many as there is room for, whatever the broker's pace
            more = [producer.send("t", b"x" * 1_000, partition=0) for _ in range(25)]
            producer.flush(20)
        assert [future.result(0).offset for future in more][-1] >= 500


def test_records_nobody_takes_fail_at_their_time(own_broker):
    broker = own_broker()
    options = {"request_timeout_ms": 200, "delivery_timeout_ms": 600, "linger_ms": 0}
    with odradek.Producer(broker.bootstrap, **options) as producer:
        producer.send("t", b"x").result(20)
        broker.kill()
        error = producer.send("t", b"x").exception(20)
        assert isinstance(error, errors.TimeoutError)
        assert "delivery_timeout_ms" in str(error)
        assert broker.bootstrap in str(error)


def test_nobody_there_is_an_error_that_names_the_address():
    with (
        odradek.Producer(NOBODY, max_block_ms=300) as producer,
        pytest.raises((errors.NoBrokersAvailableError, errors.TimeoutError)) as caught,
    ):
        producer.send("t", b"x")
    assert NOBODY in str(caught.value)


@pytest.mark.parametrize("where", ["topic", "result", "flush", "room"])
def test_ctrl_c_works_at_once(own_broker, where):
    broker = own_broker()
    bootstrap = NOBODY if where == "topic" else broker.bootstrap
    producer = odradek.Producer(bootstrap, buffer_memory=32_000, batch_size=8_000)
    if where != "topic":
        producer.send("t", b"x").result(20)
        broker.pause()
    future = producer.send("t", b"x") if where != "topic" else None
    calls = {
        "topic": lambda: producer.send("t", b"x"),
        "result": future.result if future else None,
        "flush": producer.flush,
        "room": lambda: [producer.send("t", b"x" * 1_000) for _ in range(1_000)],
    }
    timer = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    began = time.monotonic()
    try:
        with pytest.raises(KeyboardInterrupt):
            calls[where]()
        # The other ways out of these calls take 60 s.
        assert time.monotonic() - began < 20
    finally:
        timer.join()
        if where != "topic":
            broker.go_on()
        producer._shut()


def test_many_threads_send_at_once_and_nothing_is_lost(embedded, stored, unique):
    topic = unique("threads")
    with odradek.Producer(embedded.bootstrap_servers, buffer_memory=200_000, batch_size=4_000) as producer:

        def work(name: int) -> None:
            for at in range(2_000):
                producer.send(topic, b"%d %d" % (name, at), b"key of %d" % name)

        threads = [threading.Thread(target=work, args=(name,)) for name in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    seen = {name: [] for name in range(6)}
    for partition in range(3):
        for record in stored(topic, partition):
            name, at = map(int, record.value.split())
            seen[name].append(at)
    assert all(numbers == list(range(2_000)) for numbers in seen.values())
