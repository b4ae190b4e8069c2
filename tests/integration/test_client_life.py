"""The life of a client: brokers that restart, servers that are none, cancelling, Ctrl-C, forks, closing, the interpreter's end."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable

import pytest
from support.broker import BrokerProcess, free_port
from support.impostors import NO_BROKERS, peer

import odradek
import odradek.aio
from odradek.client.cluster import Cluster
from odradek.errors import ClosedError, ConfigError, ForkedError, NoBrokersAvailableError
from odradek.protocol.api_keys import ApiKey

pytestmark = pytest.mark.brokers("odradek", "kafka")

QUICK = {"retry.backoff.ms": "1", "reconnect.backoff.ms": "1", "reconnect.backoff.max.ms": "50"}


def run_script(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", script, *arguments], capture_output=True, text=True, timeout=40, check=False
    )


def test_a_broker_that_restarts_is_waited_for(own_broker: Callable[..., BrokerProcess]) -> None:
    broker = own_broker()
    with odradek.Admin(broker.bootstrap, retry_backoff_ms=5, reconnect_backoff_ms=5) as admin:
        admin.create_topics("kept")
        broker.kill()
        starter = threading.Thread(target=broker.start)
        starter.start()
        try:
            assert "kept" in admin.list_topics(timeout=50)
            assert admin.list_group_offsets("nobody", timeout=50) == {}
        finally:
            starter.join()


def test_a_bootstrap_server_that_is_away_does_no_harm(bootstrap: str) -> None:
    with odradek.Admin([f"127.0.0.1:{free_port()}", bootstrap]) as admin:
        assert admin.describe_cluster().brokers


@pytest.mark.parametrize(("answer", "said"), NO_BROKERS)
def test_what_is_no_broker_is_said_without_waiting(answer: bytes, said: str) -> None:
    with peer(answer) as (address, _), odradek.Admin(address) as admin:
        with pytest.raises(NoBrokersAvailableError, match=said) as caught:
            admin.list_topics(timeout=600)
        assert address in str(caught.value)


def test_where_nobody_is_every_server_is_listed_when_the_time_is_over() -> None:
    first, second = (f"127.0.0.1:{free_port()}" for _ in range(2))
    with odradek.Admin(f"{first},{second}") as admin, pytest.raises(NoBrokersAvailableError, match="refused") as caught:
        admin.list_topics(timeout=0.3)
    assert first in str(caught.value)
    assert second in str(caught.value)


async def test_cancelling_a_request_leaves_the_client_as_it_was(bootstrap: str) -> None:
    cluster = Cluster({"bootstrap.servers": bootstrap, **QUICK})
    try:
        for _ in range(20):
            task = asyncio.ensure_future(cluster.versions())
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert ApiKey.METADATA in await cluster.versions()
    finally:
        await cluster.close()


async def test_closing_fails_what_waits_and_again_is_fine() -> None:
    with peer(None) as (address, came):
        cluster = Cluster({"bootstrap.servers": address, **QUICK})
        waiting = asyncio.ensure_future(cluster.versions())
        assert await asyncio.to_thread(came.wait, 20)
        await cluster.close()
        await cluster.close()
        with pytest.raises(ClosedError):
            await waiting
        with pytest.raises(ClosedError):
            await cluster.versions()


def test_ctrl_c_ends_a_blocking_call_at_once() -> None:
    with peer(None) as (address, came), odradek.Admin(address) as admin:

        def interrupt() -> None:
            assert came.wait(20)
            os.kill(os.getpid(), signal.SIGINT)

        thread = threading.Thread(target=interrupt)
        thread.start()
        with pytest.raises(KeyboardInterrupt):
            admin.list_topics(timeout=600)
        thread.join()


def test_a_forked_child_is_told_and_the_parent_goes_on(bootstrap: str) -> None:
    with odradek.Admin(bootstrap) as admin:
        admin.list_topics()
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                admin.list_topics()
            except ForkedError as error:
                os.write(writing, str(error).encode())
            finally:
                admin.close()
                os._exit(0)
        os.close(writing)
        assert os.waitpid(child, 0)[1] == 0
        with os.fdopen(reading) as said:
            assert "fork" in said.read()
        admin.list_topics()


async def test_the_transport_itself_refuses_a_forked_child(bootstrap: str) -> None:
    cluster = Cluster({"bootstrap.servers": bootstrap})
    try:
        await cluster.versions()
        child = os.fork()
        if child == 0:
            try:
                cluster.native.versions(-1, 1, 1000)
            except ForkedError:
                cluster.native.close(0)
                os._exit(7)
            os._exit(1)
        status = await asyncio.to_thread(os.waitpid, child, 0)
        assert os.waitstatus_to_exitcode(status[1]) == 7
        await cluster.versions()
    finally:
        await cluster.close()


def test_the_interpreter_ends_with_an_open_client(bootstrap: str) -> None:
    script = "import sys, odradek; admin = odradek.Admin(sys.argv[1]); print(len(admin.describe_cluster().brokers))"
    done = run_script(script, bootstrap)
    assert (done.returncode, done.stdout) == (0, "1\n"), done.stderr


def test_the_interpreter_ends_with_a_call_under_way() -> None:
    script = """
import sys, threading, odradek
admin = odradek.Admin(sys.argv[1])
threading.Thread(target=admin.list_topics, daemon=True).start()
sys.stdin.readline()
print("ends")
"""
    with peer(None) as (address, came):
        with subprocess.Popen(
            [sys.executable, "-c", script, address], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process:
            assert came.wait(20)
            said, _ = process.communicate("\n", timeout=40)
        assert (process.returncode, said) == (0, "ends\n")


def test_a_client_that_a_forked_child_drops_is_the_parents_to_close(bootstrap: str) -> None:
    admin = odradek.Admin(bootstrap)
    admin.describe_cluster()
    child = os.fork()
    if child == 0:
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            del admin
            gc.collect()
        os._exit(len(told))
    ended = os.waitpid(child, 0)[1]
    admin.close()
    assert ended == 0


def test_an_election_of_no_kind_names_those_there_are(bootstrap: str) -> None:
    with odradek.Admin(bootstrap) as admin, pytest.raises(ConfigError, match="'x' is none of preferred, unclean"):
        admin.elect_leaders(election="x")  # type: ignore[arg-type]


def test_a_client_that_nobody_closed_warns(bootstrap: str) -> None:
    admin = odradek.Admin(bootstrap)
    admin.describe_cluster()
    with pytest.warns(ResourceWarning, match="was not closed"):
        del admin
