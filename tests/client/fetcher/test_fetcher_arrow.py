"""Polls that return columns: the same records, read by Arrow's own libraries without a copy."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from support import batches

pytestmark = pytest.mark.brokers("odradek", "kafka")

pa = pytest.importorskip("pyarrow")

if TYPE_CHECKING:
    from conftest import Reader


def columns(fetcher: Reader, count: int, at_once: int = 1 << 20) -> pa.Table:
    """Poll until there are `count` rows; every batch is checked in full by Arrow itself."""
    parts = []
    while sum(part.num_rows for part in parts) < count:
        polled = fetcher.poll_arrow(20_000, at_once)
        assert 0 < polled.num_rows <= at_once
        part = pa.record_batch(polled)
        part.validate(full=True)
        parts.append(part)
    return pa.Table.from_batches(parts)


def test_columns_hold_what_records_hold(
    reader: Callable[..., Reader], make_topic: Callable[..., str], fill: Callable[..., None]
) -> None:
    topic = make_topic(partitions=2)
    entries = [
        batches.Entry(b"value", key=b"key", timestamp=1_700_000_000_123),
        batches.Entry(None, key=b""),
        batches.Entry(b"", headers=(("a", b"1"), ("a", None), ("\u00e9", b""))),
        *(batches.Entry(b"%d" % n, key=None if n % 3 else b"k") for n in range(30)),
    ]
    fill(topic, entries)
    fill(topic, entries, partition=1, codec="zstd")
    fetcher = reader()
    fetcher.assign([(topic, 0, 0), (topic, 1, 0)])
    table = columns(fetcher, 66)
    fetcher.assign([])
    fetcher.assign([(topic, 0, 0), (topic, 1, 0)])
    expected = [
        {
            "topic": r.topic,
            "partition": r.partition,
            "offset": r.offset,
            "timestamp": datetime.datetime.fromtimestamp(r.timestamp_ms / 1000, datetime.UTC),
            "key": r.key,
            "value": r.value,
            "headers": [{"key": name, "value": value} for name, value in r.headers],
        }
        for r in fetcher.read(66)
    ]
    order = [("partition", "ascending"), ("offset", "ascending")]
    rows = table.sort_by(order).to_pylist()
    for row in rows:
        row["timestamp"] = row["timestamp"].astimezone(datetime.UTC)
    assert rows == sorted(expected, key=lambda row: (row["partition"], row["offset"]))


def test_the_schema_is_the_documented_one_also_without_rows(reader: Callable[..., Reader], topic: str) -> None:
    fetcher = reader()
    fetcher.assign([(topic, 0, 0)])
    batch = fetcher.poll_arrow(0, 10)
    assert (batch.num_rows, len(batch), batch.num_columns) == (0, 0, 7)
    header = pa.struct([pa.field("key", pa.string(), nullable=False), pa.field("value", pa.binary())])
    assert pa.schema(batch) == pa.schema(
        [
            pa.field("topic", pa.dictionary(pa.int32(), pa.string()), nullable=False),
            pa.field("partition", pa.int32(), nullable=False),
            pa.field("offset", pa.int64(), nullable=False),
            pa.field("timestamp", pa.timestamp("ms", "UTC"), nullable=False),
            pa.field("key", pa.binary()),
            pa.field("value", pa.binary()),
            pa.field("headers", pa.list_(pa.field("item", header, nullable=False)), nullable=False),
        ]
    )
    assert batch.column_names == pa.schema(batch).names


def test_rows_of_several_topics_and_small_polls_add_up(
    reader: Callable[..., Reader], make_topic: Callable[..., str], fill: Callable[..., None]
) -> None:
    names = [make_topic(), make_topic()]
    for name in names:
        fill(name, [b"%d" % n for n in range(20)])
    fetcher = reader()
    fetcher.assign([(name, 0, 0) for name in names])
    table = columns(fetcher, 40, at_once=3)
    for name in names:
        rows = [row for row in table.to_pylist() if row["topic"] == name]
        assert [row["offset"] for row in rows] == list(range(20))
        assert [row["value"] for row in rows] == [b"%d" % n for n in range(20)]


def test_arrow_and_record_polls_share_one_position(
    reader: Callable[..., Reader], topic: str, fill: Callable[..., None]
) -> None:
    fill(topic, [b"%d" % n for n in range(10)])
    fetcher = reader()
    fetcher.assign([(topic, 0, 0)])
    assert [r.offset for r in fetcher.read(3, at_once=3)] == [0, 1, 2]
    assert columns(fetcher, 3, at_once=3)["offset"].to_pylist() == [3, 4, 5]
    assert fetcher.position(topic, 0) == 6
    assert fetcher.read(1)[0].offset == 6


def test_columns_outlive_the_fetcher_and_reach_polars_and_duckdb(
    reader: Callable[..., Reader], topic: str, fill: Callable[..., None]
) -> None:
    polars = pytest.importorskip("polars")
    fill(topic, [batches.Entry(b"%d" % n, key=b"k") for n in range(100)])
    fetcher = reader()
    fetcher.assign([(topic, 0, 0)])
    batch = fetcher.poll_arrow(20_000, 100)
    fetcher.stop()
    del fetcher
    frame = polars.DataFrame(batch)
    assert frame["value"].to_list() == [b"%d" % n for n in range(100)]
    assert frame["offset"].sum() == 4950
    duckdb = pytest.importorskip("duckdb")
    assert duckdb.sql('select count(*), max("offset") from batch').fetchall() == [(100, 99)]
