"""What a fetcher lives through: brokers that die, topics that change, batches that are broken, more data than room."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support import batches, topics
from support.broker import BrokerProcess

from odradek import errors

if TYPE_CHECKING:
    from conftest import Reader
    from support.wire import Wire

pytestmark = pytest.mark.brokers("odradek", "kafka")


def test_a_broker_killed_and_started_again_is_ridden_through(
    reader: Callable[..., Reader], own_broker: Callable[..., BrokerProcess], connect: Callable[..., Wire]
) -> None:
    process = own_broker()
    wire = connect(process.bootstrap)
    topics.create_topic(wire, "orders", partitions=2)
    fetcher = reader(process.bootstrap, retry_backoff_ms="10", reconnect_backoff_ms="10", reconnect_backoff_max_ms="50")
    fetcher.assign([("orders", 0, 0), ("orders", 1, 0)])
    for round_ in range(3):
        for partition in range(2):
            topics.produce(wire, "orders", batches.batch([b"%d" % round_] * 5), partition=partition)
        assert [r.value for r in fetcher.read(10)] == [b"%d" % round_] * 10
        process.kill()
        assert fetcher.poll(100, 1) == []
        process.start()
        wire = connect(process.bootstrap)
    assert [fetcher.position("orders", partition) for partition in range(2)] == [15, 15]


def test_a_topic_deleted_and_made_anew_goes_on_by_the_policy(
    reader: Callable[..., Reader], wire: Wire, make_topic: Callable[..., str], fill: Callable[..., None]
) -> None:
    topic = make_topic()
    fill(topic, [b"old"] * 5)
    fetcher = reader(auto_offset_reset="earliest", retry_backoff_ms="10", allow_auto_create_topics="false")
    fetcher.assign([(topic, 0, 0)])
    fetcher.read(5)
    response = wire.call("delete_topics", 5, {"topic_names": [topic], "timeout": 20_000})
    assert int(response.responses[0].error_code) == 0
    assert fetcher.poll(50, 1) == []
    topics.create_topic(wire, topic)
    fill(topic, [b"new"])
    assert [(r.offset, r.value) for r in fetcher.read(1)] == [(0, b"new")]


def test_a_partition_added_later_is_read(
    reader: Callable[..., Reader], wire: Wire, topic: str, fill: Callable[..., None]
) -> None:
    fetcher = reader(retry_backoff_ms="10", metadata_max_age_ms="200")
    fetcher.assign([(topic, 0, 0), (topic, 1, 0)])
    fill(topic, [b"first"])
    assert fetcher.read(1)[0].partition == 0
    fields = {
        "topics": [{"name": topic, "count": 2, "assignments": None}],
        "timeout": 20_000,
        "validate_only": False,
    }
    assert int(wire.call("create_partitions", 3, fields).results[0].error_code) == 0
    topics.until(lambda: topics.try_produce(wire, topic, batches.batch([b"second"]), partition=1).error_code == 0)
    assert [(r.partition, r.value) for r in fetcher.read(1)] == [(1, b"second")]


def test_a_corrupt_batch_is_told_and_stepped_over(
    reader: Callable[..., Reader], own_broker: Callable[..., BrokerProcess], connect: Callable[..., Wire]
) -> None:
    process = own_broker()
    wire = connect(process.bootstrap)
    topics.create_topic(wire, "orders")
    for values in ([b"good"], [b"poison", b"beside it"], [b"good again"]):
        topics.produce(wire, "orders", batches.batch(values))
    log = Path(process.data_dir) / "orders-0" / "00000000000000000000.log"
    log.write_bytes(log.read_bytes().replace(b"poison", b"pOison"))
    fetcher = reader(process.bootstrap)
    fetcher.assign([("orders", 0, 0)])
    assert fetcher.read(1)[0].value == b"good"
    with pytest.raises(errors.CorruptRecordError, match=r"orders-0.*offset 1.*seek to offset 3") as caught:
        fetcher.poll(20_000, 10)
    error = caught.value
    assert (error.topic, error.partition, error.offset, error.next_offset) == ("orders", 0, 1, 3)
    assert fetcher.position("orders", 0) == 1
    fetcher.set_position("orders", 0, error.offset + 1)
    assert fetcher.read(1)[0].value == b"good again"


def test_a_thousand_partitions_stay_within_the_bound(
    reader: Callable[..., Reader], own_broker: Callable[..., BrokerProcess], connect: Callable[..., Wire]
) -> None:
    process = own_broker()
    wire = connect(process.bootstrap)
    topics.create_topic(wire, "wide", partitions=1000)
    records = batches.batch([bytes(20_000)])
    for partition in range(1000):
        topics.produce(wire, "wide", records, partition=partition, acks=1)
    bound = 4 << 20
    fetcher = reader(process.bootstrap, buffer_max_bytes=str(bound))
    fetcher.assign([("wide", partition, 0) for partition in range(1000)])
    seen = set()
    for _ in range(1000):
        seen.update(r.partition for r in fetcher.read(1, at_once=1))
        assert fetcher.metrics()["buffered_bytes"] <= bound
    assert seen == set(range(1000))


async def test_an_event_loop_learns_of_records_by_the_descriptor(
    reader: Callable[..., Reader], topic: str, fill: Callable[..., None]
) -> None:
    fetcher = reader()
    fetcher.assign([(topic, 0, 0)])
    assert fetcher.poll(0, 1) == []
    loop, ready = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(fetcher.ready_fd(), ready.set)
    try:
        await asyncio.to_thread(fill, topic, [b"a"])
        await asyncio.wait_for(ready.wait(), 20)
    finally:
        loop.remove_reader(fetcher.ready_fd())
    assert [r.value for r in fetcher.poll(0, 10)] == [b"a"]


def test_an_unknown_server_is_named_with_what_was_seen(reader: Callable[..., Reader]) -> None:
    fetcher = reader("127.0.0.1:1", request_timeout_ms="300")
    fetcher.assign([("orders", 0, 0)])
    with pytest.raises(errors.NoBrokersAvailableError, match=r"127\.0\.0\.1:1"):
        fetcher.poll(20_000, 1)
