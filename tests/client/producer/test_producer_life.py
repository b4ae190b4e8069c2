"""A producer's beginning and end: closing, forgetting, forking, the interpreter's exit, dotted names."""

from __future__ import annotations

import gc
import multiprocessing
import os
import subprocess
import sys
import textwrap

import pytest

import odradek
from odradek import errors


def test_closing_delivers_and_closing_twice_is_fine(embedded, stored, unique):
    topic = unique("close")
    producer = odradek.Producer(embedded.bootstrap_servers, linger_ms=60_000)
    future = producer.send(topic, b"x", partition=0)
    producer.close()
    producer.close()
    assert (future.result(0).offset, len(stored(topic, 0))) == (0, 1)
    with pytest.raises(errors.ClosedError):
        producer.send(topic, b"x")


def test_a_forgotten_producer_warns_and_what_was_flushed_is_kept(embedded, stored, unique):
    topic = unique("forgotten")
    producer = odradek.Producer(embedded.bootstrap_servers, linger_ms=60_000)
    producer.send(topic, b"flushed", partition=0)
    producer.flush(20)
    left = producer.send(topic, b"never flushed", partition=0)
    kept = [producer]
    del producer
    with pytest.warns(ResourceWarning, match="was not closed"):
        kept.clear()
    gc.collect()
    assert [record.value for record in stored(topic, 0)] == [b"flushed"]
    assert isinstance(left.exception(10), errors.ClosedError)


def test_from_config_takes_kafkas_names(embedded, unique):
    config = {"bootstrap.servers": embedded.bootstrap_servers, "linger.ms": "1", "compression.type": "lz4"}
    with odradek.Producer.from_config(config) as producer:
        assert producer.send(unique("dotted"), b"x").result(10).offset == 0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"linger": 5}, "linger"),
        ({"acks": 7}, "acks"),
        ({"compression_type": "rar"}, "compression_type"),
        ({"transactional_id": "mine"}, "transactional"),
        ({"on_delivery": 5}, "on_delivery"),
        ({"value_serializer": "pickle"}, "value_serializer"),
    ],
)
def test_a_wrong_option_is_named(options, said):
    with pytest.raises(errors.ConfigError, match=said):
        odradek.Producer("localhost:1", **options)


def test_a_forked_child_is_told_and_the_parent_goes_on(embedded, unique):
    topic = unique("fork")
    with odradek.Producer(embedded.bootstrap_servers) as producer:
        future = producer.send(topic, b"x", partition=0)
        future.result(10)
        context = multiprocessing.get_context("fork")
        receiver, sender = context.Pipe(duplex=False)

        def child() -> None:
            said = []
            for call in (lambda: producer.send(topic, b"child"), lambda: producer.flush(1)):
                try:
                    call()
                except errors.OdradekError as error:
                    said.append(type(error).__name__)
            producer.close()
            sender.send(said)
            os._exit(0)

        process = context.Process(target=child)
        process.start()
        assert receiver.poll(20)
        assert receiver.recv() == ["ForkedError", "ForkedError"]
        process.join(20)
        assert process.exitcode == 0
        assert producer.send(topic, b"y", partition=0).result(10).offset == 1


@pytest.mark.parametrize("ending", ["pass", "raise SystemExit(0)", "del producer"])
def test_an_interpreter_that_ends_with_records_under_way_neither_hangs_nor_crashes(embedded, ending):
    script = f"""
        import odradek
        producer = odradek.Producer({embedded.bootstrap_servers!r}, linger_ms=60_000)
        for _ in range(1000):
            producer.send("exit", b"x" * 100, on_delivery=lambda *_: None)
        producer.send("exit", b"y").add_done_callback(print)
        {ending}
    """
    command = [sys.executable, "-W", "ignore", "-c", textwrap.dedent(script)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
