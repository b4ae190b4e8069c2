"""`send_arrow`: the rows of anything that hands out Arrow data; here, what our own consumer polled."""

from __future__ import annotations

import pytest

import odradek
from odradek import aio
from odradek.client.native import ClusterClient, Fetcher


@pytest.fixture
def polled(embedded, producer, unique):
    """An Arrow batch of three records, (key, value): (b"a", b"1"), (None, b"2"), (b"c", None)."""
    topic = unique("source")
    for key, value in ((b"a", b"1"), (None, b"2"), (b"c", None)):
        producer.send(topic, value, key, partition=0)
    producer.flush(10)
    # The fetcher is what Consumer.poll_arrow stands on; nothing else in the suite makes Arrow data.
    client = ClusterClient({"bootstrap.servers": embedded.bootstrap_servers})
    fetcher = Fetcher(client, {})
    fetcher.assign([(topic, 0, 0)])
    batch = fetcher.poll_arrow(20_000, 3)
    fetcher.close()
    client.close(0)
    assert batch.num_rows == 3
    return batch


def test_rows_become_records(producer, stored, unique, polled):
    topic = unique("rows")
    many = producer.send_arrow(topic, polled, key="key", partition=1, headers={"h": b"1"}, timestamp_ms=9)
    assert [(place.partition, place.offset) for place in many.result(10)] == [(1, 0), (1, 1), (1, 2)]
    records = stored(topic, 1)
    assert [(record.key, record.value) for record in records] == [(b"a", b"1"), (None, b"2"), (b"c", None)]
    assert {(record.timestamp_ms, record.headers) for record in records} == {(9, (("h", b"1"),))}


def test_columns_are_chosen_by_name(producer, stored, unique, polled):
    topic = unique("columns")
    producer.send_arrow(topic, polled, value="key", partition=0).result(10)
    assert [(record.key, record.value) for record in stored(topic, 0)] == [(None, b"a"), (None, None), (None, b"c")]


@pytest.mark.parametrize("kind", ["string", "large_string", "string_view", "binary", "large_binary", "binary_view"])
def test_every_kind_of_text_and_bytes_column_is_taken(producer, stored, unique, kind):
    arrow = pytest.importorskip("pyarrow")
    topic = unique("kinds")
    long = "a value that is longer than what a view keeps in itself"
    values = arrow.array(["ab", None, long]).cast(getattr(arrow, kind.removesuffix("_view"))())
    if kind.endswith("_view"):
        values = arrow.array(values.to_pylist(), getattr(arrow, kind)())
    producer.send_arrow(topic, arrow.table({"value": values}), partition=0).result(10)
    assert [record.value for record in stored(topic, 0)] == [b"ab", None, long.encode()]


def test_a_wrong_column_is_named_with_those_there_are(producer, polled):
    with pytest.raises(ValueError, match=r"no_such.*there are topic, partition, offset"):
        producer.send_arrow("t", polled, value="no_such")
    with pytest.raises(TypeError, match=r"offset.*Int64"):
        producer.send_arrow("t", polled, value="offset")
    with pytest.raises(TypeError, match="no Arrow table"):
        producer.send_arrow("t", [b"x"])


def test_a_function_chooses_the_partition_of_each_row(embedded, unique, polled):
    with odradek.Producer(embedded.bootstrap_servers, partitioner=lambda *record: 2 if record[1] else 0) as producer:
        places = producer.send_arrow(unique("chosen"), polled, key="key").result(10)
    assert [place.partition for place in places] == [2, 0, 2]


async def test_the_asyncio_twin_does_the_same(embedded, unique, polled):
    async with aio.Producer(embedded.bootstrap_servers) as producer:
        many = await producer.send_arrow(unique("aio"), polled, key="key", partition=0)
        assert [place.offset for place in await many] == [0, 1, 2]
