"""Rust serves before Python decides: what is answered when, and what becomes of a control plane that does not come up."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from support.wire import Wire

import odradek
from odradek.broker.control import ControlPlane
from odradek.broker.control_thread import ControlThread
from odradek.broker.coordinator.group.service import GroupCoordinator
from odradek.broker.server import Server
from odradek.config.broker import BrokerSettings
from odradek.errors import OdradekError, StorageError

TOPIC = {"topics": [{"name": "t", "num_partitions": 1, "replication_factor": 1, "assignments": [], "configs": []}]}
COMMIT = {
    "group_id": "g",
    "generation_id_or_member_epoch": -1,
    "member_id": "",
    "topics": [
        {"name": "t", "partitions": [{"partition_index": 0, "committed_offset": 5, "committed_metadata": "note"}]}
    ],
}
COMMITTED = {"group_id": "g", "topics": [{"name": "t", "partition_indexes": [0]}]}


@pytest.fixture
def server(tmp_path):
    """A server without a control plane."""
    server = Server(BrokerSettings({"listeners": "PLAINTEXT://127.0.0.1:0", "log.dirs": str(tmp_path)}))
    server.start()
    yield server
    server.close()


def until_waiting(server, count):
    while server.engine.metrics()["control_queue_depth"] < count:
        os.sched_yield()


def in_a_process(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=50, check=False)


def test_before_there_is_a_control_plane_rust_answers_and_the_rest_waits_for_it(server):
    address = str(server.advertised)
    with Wire(address) as early, Wire(address) as other:
        creating = early.send("create_topics", 5, TOPIC)
        asked = other.send("find_coordinator", 3, {"key": "g", "key_type": 0})
        until_waiting(server, 2)
        with Wire(address) as third:
            assert third.call("metadata", 1, {"topics": None}).topics == ()
            assert 19 in third.advertised()
        control = ControlThread(server, lambda _: None)
        control.start()
        try:
            (created,) = early.receive("create_topics", 5, creating).topics
            assert created.error_code == 0
            assert other.receive("find_coordinator", 3, asked).error_code == 0
        finally:
            control.stop()


def test_what_groups_have_committed_is_read_before_the_first_early_request_about_it_is_answered(tmp_path):
    with odradek.Broker(tmp_path) as broker, Wire(broker.bootstrap_servers) as wire:
        assert wire.call("create_topics", 5, TOPIC).topics[0].error_code == 0
        assert wire.call("offset_commit", 7, COMMIT).topics[0].partitions[0].error_code == 0
    server = Server(BrokerSettings({"listeners": "PLAINTEXT://127.0.0.1:0", "log.dirs": str(tmp_path)}))
    server.start()
    control = ControlThread(server, lambda _: None)
    with Wire(str(server.advertised)) as wire:
        asked = wire.send("offset_fetch", 5, COMMITTED)
        until_waiting(server, 1)
        control.start()
        answer = wire.receive("offset_fetch", 5, asked)
        control.stop()
    (row,) = answer.topics[0].partitions
    assert (answer.error_code, row.error_code, row.committed_offset, row.metadata) == (0, 0, 5, "note")


def test_a_control_plane_that_fails_closes_the_broker_and_says_so_to_everybody(monkeypatch, caplog):
    gate = threading.Event()

    async def fail(self):
        import asyncio

        await asyncio.to_thread(gate.wait)
        raise StorageError("no such luck")

    monkeypatch.setattr(GroupCoordinator, "start", fail)
    broker = odradek.Broker().start()
    directory = broker.data_dir
    with Wire(broker.bootstrap_servers) as wire:
        wire.send("find_coordinator", 3, {"key": "g", "key_type": 0})
        gate.set()
        assert wire.closed_by_broker()
    with pytest.raises(StorageError, match="no such luck"):
        broker.snapshot()
    assert "no such luck" in caplog.text
    assert not directory.exists()
    with pytest.raises(OdradekError, match="isn't running"):
        _ = broker.bootstrap_servers
    broker.close()


def test_close_says_why_a_broker_has_failed_but_only_once(monkeypatch):
    async def fail(self):
        raise StorageError("no such luck")

    monkeypatch.setattr(GroupCoordinator, "start", fail)
    broker = odradek.Broker().start()
    with pytest.raises(StorageError):
        broker._control.wait()
    with pytest.raises(OdradekError, match="failed and is closed: no such luck"):
        _ = broker.bootstrap_servers
    with pytest.raises(StorageError, match="no such luck"):
        broker.close()
    broker.close()
    monkeypatch.undo()
    with broker, Wire(broker.bootstrap_servers) as wire:
        assert wire.call("create_topics", 5, TOPIC).topics[0].error_code == 0


def test_a_broker_that_is_closed_at_once_leaves_nothing_behind():
    ended = in_a_process(
        "import odradek, threading; broker = odradek.Broker().start(); directory = broker.data_dir; broker.close();"
        "print(directory.exists(), threading.active_count())"
    )
    assert (ended.stdout, ended.stderr) == ("False 1\n", "")


@pytest.mark.parametrize("before_the_end", ["", "broker._control.wait();"], ids=["at_once", "when_it_is_up"])
def test_a_broker_that_nobody_closes_is_closed_without_a_word_when_the_interpreter_ends(before_the_end):
    ended = in_a_process(
        "import odradek; broker = odradek.Broker().start(); directory = broker.data_dir;"
        f"{before_the_end} print(directory)"
    )
    assert ended.stderr == ""
    assert ended.stdout.startswith("/")
    assert not Path(ended.stdout.strip()).exists()


def test_what_the_caller_of_a_first_broker_waits_for_loads_none_of_what_only_deciding_needs():
    """The first broker of a process took 139 ms, most of them imports; a module named here costs 3 to 45 ms."""
    ended = in_a_process(
        "import sys\n"
        "from odradek.broker.server import Server\n"
        "from odradek.config.broker import BrokerSettings\n"
        "from odradek.broker.embedded import _temporary_directory\n"
        "directory = _temporary_directory()\n"
        "try:\n"
        "    server = Server(BrokerSettings({'listeners': 'PLAINTEXT://127.0.0.1:0', 'log.dirs': directory}))\n"
        "    server.start()\n"
        "    loaded = sys.modules.keys() & {'asyncio', 'concurrent', 'dataclasses', 'inspect', 'kio', 'logging',"
        " 'odradek.kafka_errors', 'socket', 'sqlite3', 'subprocess', 'typing', 'uuid'}\n"
        "    server.close()\n"
        "finally:\n"
        "    import shutil; shutil.rmtree(directory)\n"
        "print(sorted(loaded))"
    )
    assert (ended.stdout, ended.stderr) == ("[]\n", "")


def test_what_a_user_can_get_wrong_is_raised_by_start_itself(tmp_path):
    with odradek.Broker() as broker, pytest.raises(OSError, match="in use"):
        odradek.Broker(listeners=f"PLAINTEXT://{broker.bootstrap_servers}").start()
    (tmp_path / "metadata.db").write_bytes(b"not a database, but long enough to be looked at" * 100)
    with pytest.raises(StorageError, match=r"metadata\.db"):
        odradek.Broker(tmp_path).start()
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="not a directory"):
        odradek.Broker(tmp_path / "file").start()


def test_ctrl_c_in_a_start_leaves_nothing_behind_and_the_broker_can_be_started_again(tmp_path, monkeypatch):
    def press(*_):
        raise KeyboardInterrupt

    monkeypatch.setenv("TMPDIR", str(tmp_path))
    broker = odradek.Broker()
    with monkeypatch.context() as pressed:
        pressed.setattr("odradek.broker.server._bind", press)
        with pytest.raises(KeyboardInterrupt):
            broker.start()
    assert list(tmp_path.iterdir()) == []
    with broker, Wire(broker.bootstrap_servers) as wire:
        assert wire.call("create_topics", 5, TOPIC).topics[0].error_code == 0


_FORK = """
import os, sys, threading
importing, forking = threading.Event(), threading.Event()

class Slow:
    def find_spec(self, name, path=None, target=None):
        if name == "asyncio.base_events":
            importing.set()
            forking.wait()

sys.meta_path.insert(0, Slow())
import odradek
with odradek.Broker() as broker:
    os.register_at_fork(before=forking.set)
    importing.wait()
    child = os.fork()
    if not child:
        import asyncio
        asyncio.run(asyncio.sleep(0))
        os._exit(7)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_a_child_that_is_forked_while_the_control_plane_loads_can_use_what_was_being_loaded():
    """It had a module that was half there, locked by a thread that it does not have."""
    ended = in_a_process(_FORK)
    assert ended.stdout == "7\n"


async def test_a_failure_of_the_engine_s_stop_is_told_and_everything_is_closed_all_the_same(server):
    control = ControlPlane(server)
    await control.start()
    with pytest.raises(ValueError, match="over an hour"):
        await control.stop(grace_ms=3_600_001)
    again = Server(server.settings)  # the directory is free again
    again.start()
    again.close()


@pytest.mark.parametrize(("policy", "warned"), [("bidirectional", True), ("UPGRADE", True), ("disabled", False)])
def test_a_migration_policy_of_kafkas_starts_the_broker_with_a_warning(policy, warned, caplog):
    with (
        odradek.Broker(group_consumer_migration_policy=policy) as broker,
        Wire(broker.bootstrap_servers) as wire,
    ):
        assert wire.call("list_groups", 3, {}).error_code == 0  # by who decides: it has started
    assert (f"group.consumer.migration.policy={policy} is not served" in caplog.text) is warned
