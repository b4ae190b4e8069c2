"""The thread that makes a producer's calls: they are made before `close` returns, and the thread ends with the producer.

It once slept through the end of each producer: a thread was left behind by each, and leaving the interpreter took 5 s.
"""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest

import odradek
from odradek import errors


def delivering() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "odradek-delivery"]


def test_every_callback_has_been_called_when_close_returns(embedded: odradek.Broker) -> None:
    for turn in range(100):
        called: list[tuple[object, object]] = []
        with odradek.Producer(
            embedded.bootstrap_servers, on_delivery=lambda *said, to=called: to.append(said)
        ) as producer:
            for _ in range(turn % 3 + 1):
                producer.send("called", b"v")
        assert len(called) == turn % 3 + 1
    assert delivering() == []


def test_every_callback_has_returned_when_flush_does(embedded: odradek.Broker) -> None:
    called: list[object] = []
    with odradek.Producer(embedded.bootstrap_servers) as producer:
        for turn in range(1, 101):
            producer.send("flushed", b"v", on_delivery=lambda *said: called.append(said))
            producer.send("flushed", b"v").add_done_callback(called.append)
            producer.flush(20)
            assert len(called) == 2 * turn


def test_flush_and_close_say_that_a_callback_is_still_running(embedded: odradek.Broker) -> None:
    release, ended = threading.Event(), threading.Event()

    def hold(metadata: object, error: object) -> None:
        release.wait(30)
        ended.set()

    producer = odradek.Producer(embedded.bootstrap_servers, linger_ms=0)
    future = producer.send("held", b"v", on_delivery=hold)
    future.result(20)
    with pytest.raises(errors.TimeoutError, match="callbacks for them are still running"):
        producer.flush(0.05)
    with pytest.raises(errors.TimeoutError, match="calls for what is delivered were not all made"):
        producer.close(0.05)
    release.set()
    assert ended.wait(20)


def test_flush_in_a_callback_waits_for_records_and_not_for_itself(embedded: odradek.Broker) -> None:
    flushed: list[bool] = []
    with odradek.Producer(embedded.bootstrap_servers, linger_ms=60_000) as producer:

        def flush(metadata: object, error: object) -> None:
            later = producer.send("within", b"later")
            producer.flush(20)
            flushed.append(later.done())

        producer.send("within", b"v", on_delivery=flush)
        producer.flush(20)
    assert flushed == [True]


def test_a_producer_may_be_closed_by_its_own_callback(embedded: odradek.Broker) -> None:
    closed = threading.Event()
    producer = odradek.Producer(embedded.bootstrap_servers)

    def close(metadata: object, error: object) -> None:
        producer.close()
        closed.set()

    producer.send("closing", b"v", on_delivery=close)
    assert closed.wait(30)


def test_forgetting_a_producer_ends_its_thread_at_exit(embedded: odradek.Broker) -> None:
    script = (
        "import sys, odradek, threading, atexit; "
        "p = odradek.Producer(sys.argv[1]); p.send('left', b'v', on_delivery=lambda m, e: None).result(10); "
        "t = [t for t in threading.enumerate() if t.name == 'odradek-delivery'][0]; "
        "from odradek.client.producer import dispatcher; dispatcher._EXIT_SECONDS = 1000.0"
    )
    # The join at exit has no bound worth the name here: it returns because the thread ends.
    subprocess.run([sys.executable, "-c", script, embedded.bootstrap_servers], check=True, timeout=40)
