"""A consumer's end, and what may come from outside: closing, forks, Ctrl-C, wake-ups, brokers that are none."""

import gc
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path

import pytest
from consuming import quick, read, until

import odradek
from odradek.errors import ClosedError, ConfigError, ForkedError, NoBrokersAvailableError, TimeoutError  # noqa: A004
from odradek.types import TopicPartition

pytestmark = [pytest.mark.brokers("odradek", "kafka"), pytest.mark.protocols("classic", "consumer")]


def test_closing_twice_is_fine_and_everything_else_is_a_closed_error(consumer, topic, unique):
    one = consumer(unique("group"))
    one.subscribe(topic)
    until(one.assignment, one)
    one.close()
    one.close()
    assert list(one) == []
    for call in (
        lambda: one.poll(0),
        lambda: one.poll_arrow(0),
        lambda: one.subscribe(topic),
        lambda: one.assign([]),
        lambda: one.commit({TopicPartition(topic, 0): 1}),
        one.topics,
    ):
        with pytest.raises(ClosedError):
            call()


def test_a_with_block_closes_and_its_error_comes_through(bootstrap):
    with pytest.raises(ZeroDivisionError), odradek.Consumer(bootstrap) as one:
        raise ZeroDivisionError
    with pytest.raises(ClosedError):
        one.poll(0)


def test_a_forgotten_consumer_warns(bootstrap):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        odradek.Consumer(bootstrap)
        gc.collect()
    assert [one.category for one in caught] == [ResourceWarning]
    assert "was not closed" in str(caught[0].message)


def test_a_consumer_from_kafkas_own_names(bootstrap, topic, produce):
    produce(topic, 3)
    config = {"bootstrap.servers": bootstrap, "auto.offset.reset": "earliest", "value.deserializer": "str"}
    with odradek.Consumer.from_config(config) as one:
        one.assign([TopicPartition(topic, 0)])
        assert [record.value for record in read(one, 3)] == ["v-0", "v-1", "v-2"]


def test_an_unknown_option_says_what_was_meant(bootstrap):
    with pytest.raises(ConfigError, match="group_id"):
        odradek.Consumer(bootstrap, groupid="g")
    with pytest.raises(ConfigError, match="group_id"):
        odradek.Consumer(bootstrap, group_instance_id="g")


def test_a_wakeup_ends_a_poll_and_an_iteration(consumer, topic, unique):
    one = consumer(unique("group"))
    one.subscribe(topic)
    until(one.assignment, one)
    threading.Timer(0.2, one.wakeup).start()
    assert one.poll() == []
    one.wakeup()
    assert list(one) == []


def in_child(one, answers):
    calls = [lambda: one.poll(0), one.topics, one.lag, one.metrics, one.wakeup, one.paused, one.close]
    answers.put([_error_of(call) for call in calls])


def _error_of(call):
    try:
        call()
    except Exception as error:  # noqa: BLE001
        return type(error).__name__
    return None


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_child_is_told_and_the_parent_works_on(consumer, topic, produce, unique):
    one = consumer(unique("group"))
    one.subscribe(topic)
    until(one.assignment, one)
    context = multiprocessing.get_context("fork")
    answers = context.Queue()
    child = context.Process(target=in_child, args=(one, answers))
    child.start()
    assert answers.get(timeout=20) == [ForkedError.__name__] * 6 + [None]
    child.join(20)
    assert child.exitcode == 0
    produce(topic, 3)
    assert len(read(one, 3)) == 3


INTERRUPTED = """
import os, signal, sys, threading, time
import odradek
from odradek.types import TopicPartition
bootstrap, topic, call, protocol = sys.argv[1:]
one = odradek.Consumer(bootstrap, group_id="ctrl-c-" + protocol, group_protocol=protocol)
one.subscribe(topic)
if call == "callback":
    one.subscribe(topic, on_assigned=lambda partitions: threading.Event().wait())
else:
    while not one.assignment():
        one.poll(0.1)
calls = {
    "poll": one.poll,
    "next": lambda: next(one),
    "poll_arrow": one.poll_arrow,
    "callback": one.poll,
    "end_offsets": lambda: one.end_offsets([TopicPartition(topic, 99)]),
}
print("calling", flush=True)
began = time.monotonic()
try:
    calls[call]()
except KeyboardInterrupt:
    print("interrupted", flush=True)
one.close()
"""


@pytest.mark.parametrize("call", ["poll", "next", "poll_arrow", "callback", "end_offsets"])
def test_ctrl_c_ends_every_blocking_call_at_once(bootstrap, topic, call, protocol):
    child = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED, bootstrap, topic, call, protocol], stdout=subprocess.PIPE, text=True
    )
    try:
        assert child.stdout.readline() == "calling\n"
        _wait_until_asleep(child.pid)
        child.send_signal(signal.SIGINT)
        assert child.stdout.readline() == "interrupted\n"
        assert child.wait(20) == 0
    finally:
        child.kill()
        child.wait()
        child.stdout.close()


def _wait_until_asleep(pid):
    """Wait until the main thread has slept for a while: it is in the call."""
    asleep = 0
    while asleep < 2_000:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        asleep = asleep + 1 if state == "S" else 0
        os.sched_yield()


@pytest.fixture
def silent_port():
    """A server that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.mark.protocols
@pytest.mark.parametrize("group_protocol", ["classic", "consumer"])
def test_a_port_where_nobody_listens_is_named_by_the_first_poll(group_protocol):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    options = {**QUICK_HERE, "group_protocol": group_protocol}
    with odradek.Consumer(f"127.0.0.1:{port}", group_id="g", request_timeout_ms=1_500, **options) as one:
        one.subscribe("topic")
        with pytest.raises(NoBrokersAvailableError, match=f"127.0.0.1:{port}"):
            one.poll(20)


@pytest.mark.protocols
@pytest.mark.parametrize("group_protocol", ["classic", "consumer"])
def test_a_server_that_says_nothing_is_named_by_the_first_poll(silent_port, group_protocol):
    options = {**QUICK_HERE, "socket_connection_setup_timeout_ms": 500, "group_protocol": group_protocol}
    with odradek.Consumer(f"127.0.0.1:{silent_port}", group_id="g", request_timeout_ms=1_500, **options) as one:
        one.subscribe("topic")
        with pytest.raises(NoBrokersAvailableError, match=f"127.0.0.1:{silent_port}"):
            one.poll(20)


def test_closing_ends_in_time_when_the_broker_is_gone(own_broker, produce, caplog, protocol):
    broker = own_broker()
    produce("topic", 1, to=broker.bootstrap)
    one = odradek.Consumer(broker.bootstrap, group_id="g", **quick(protocol))
    one.subscribe("topic")
    read(one, 1)
    broker.kill()
    with pytest.raises(TimeoutError, match="commit"):
        one.commit(timeout=0.5)
    began = time.monotonic()
    one.close(timeout=1)
    assert time.monotonic() - began < 10
    assert "may be read again" in caplog.text


def test_a_consumer_rides_through_a_broker_that_comes_back(own_broker, produce, protocol):
    broker = own_broker()
    produce("topic", 1, prefix="before", to=broker.bootstrap)
    with odradek.Consumer(broker.bootstrap, group_id="g", **quick(protocol)) as one:
        one.subscribe("topic")
        assert read(one, 1)[0].value == b"before-0"
        one.commit()
        broker.kill()
        assert one.poll(0.2) == []
        broker.start()
        produce("topic", 1, prefix="after", to=broker.bootstrap)
        assert [record.value for record in read(one, 1)] == [b"after-0"]
        one.commit()


def test_a_group_goes_on_after_the_broker_was_killed_and_reads_nothing_twice(own_broker, produce, protocol):
    broker = own_broker(num_partitions="4")
    produce("topic", 40, partitions=4, to=broker.bootstrap)
    told = []
    options = {"group_id": "g", "enable_auto_commit": False, **quick(protocol)}
    with odradek.Consumer(broker.bootstrap, **options) as one, odradek.Consumer(broker.bootstrap, **options) as two:
        # Either may be alone in the group for a moment, and read what the other is to have.
        one.subscribe("topic", on_lost=told.extend, on_revoked=lambda _: one.commit())
        two.subscribe("topic", on_lost=told.extend, on_revoked=lambda _: two.commit())
        records = until(lambda: len(one.assignment()) == len(two.assignment()) == 2, one, two)
        while len({record.value for record in records}) < 40:
            records += one.poll(0.1) + two.poll(0.1)
        one.commit()
        two.commit()
        owned = one.assignment(), two.assignment()
        broker.kill()
        assert one.poll(0.2) == two.poll(0.2) == []
        broker.start()
        later = produce("topic", 20, partitions=4, first=40, to=broker.bootstrap)
        fresh = []
        until(lambda: len(fresh) >= 20 or fresh.extend(one.poll(0.1) + two.poll(0.1)), what="the new records are read")
        assert sorted(record.value for record in fresh) == sorted(value for part in later.values() for value in part)
        one.commit()
        two.commit()
        if protocol == "consumer":  # the group is in the log; a classic one is joined anew
            assert (one.assignment(), two.assignment(), told) == (*owned, [])


QUICK_HERE = {"metadata_max_age_ms": 1_000, "fetch_max_wait_ms": 200}
