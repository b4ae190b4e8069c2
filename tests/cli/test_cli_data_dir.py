"""`odradek log` and `odradek metadata` on the data directory of a real broker."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from cli_support import run_command
from support.broker import BrokerProcess

LINES = "".join(f"key-{number}:value {number}\n" for number in range(100_000))


@pytest.fixture
def broker(own_broker: Callable[..., BrokerProcess]) -> BrokerProcess:
    """A broker of the test's own with 100,000 records of topic `orders` in several segments."""
    broker = own_broker(log_segment_bytes="1048576")
    there = broker.bootstrap
    assert run_command("topics", "create", "orders", "--config", "retention.ms=777000000", bootstrap=there).code == 0
    settings = ("--property", "enable.idempotence=true", "--property", "batch.size=20000")
    produced = run_command("produce", "orders", "--key-separator", ":", *settings, stdin=LINES, bootstrap=there)
    assert produced.code == 0, produced.err
    return broker


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_files_of_a_broker_are_sound_however_it_ended(broker: BrokerProcess, end: str) -> None:
    getattr(broker, end)()
    checked = run_command("log", "verify", str(broker.data_dir), "--json")
    assert checked.json["damage"] == []
    assert checked.code == 0
    assert checked.json["records"] >= 100_000
    assert len(list((broker.data_dir / "orders-0").glob("*.log"))) > 2


def test_dump_shows_the_records_as_they_were_sent(broker: BrokerProcess) -> None:
    broker.stop()
    dumped = run_command("log", "dump", str(broker.data_dir / "orders-0"), "--records", "--json")
    assert dumped.code == 0, dumped.err
    rows = [json.loads(line) for line in dumped.out.splitlines()]
    records = [row["record"] for row in rows if "record" in row]
    assert "".join(f"{record['key']}:{record['value']}\n" for record in records) == LINES
    assert [record["offset"] for record in records] == list(range(100_000))
    assert any(Path(row["file"]).suffix == ".index" for row in rows)


def test_metadata_tree_is_read_beside_the_running_broker(broker: BrokerProcess) -> None:
    data_dir = ("--data-dir", str(broker.data_dir))
    assert "orders" in run_command("metadata", "ls", "/brokers/topics", *data_dir).out.splitlines()
    config = run_command("metadata", "get", "/config/topics/orders", *data_dir, "--json").json
    assert config["value"]["config"] == {"retention.ms": "777000000"}
    state = run_command("metadata", "get", "/brokers/topics/orders/partitions/0/state", *data_dir, "--json").json
    assert state["value"]["isr"] == [state["value"]["leader"]]
