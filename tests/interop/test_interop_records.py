"""Records through real clients: what one library writes, every other reads, in every codec, byte for byte."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from drivers import CODECS, DRIVERS, Driver
from support import topics
from support.batches import NOW, Entry
from support.wire import Wire

pytestmark = pytest.mark.brokers("odradek", "kafka")

ENTRIES = [
    Entry(b"plain value", b"key", NOW),
    Entry(b"", b"", NOW + 1),
    Entry(b"null key", None, NOW + 2),
    Entry(None, b"null value", NOW + 3),
    Entry(bytes(range(256)) * 8, b"\x00\xff", NOW + 4),
    Entry(b"with headers", b"h", NOW + 5, (("one", b"1"), ("two", b""), ("one", b"again"), ("bytes", b"\xff\x00"))),
    *[Entry(b"filling %d " % n * 20, b"k%d" % n, NOW + 10 + n) for n in range(60)],
]


def content(entries: list[Entry]) -> list[tuple[object, ...]]:
    """Return what must survive, without offsets."""
    return [(entry.value, entry.key, entry.timestamp, entry.headers) for entry in entries]


@pytest.mark.parametrize("codec", CODECS)
def test_every_client_reads_what_every_client_writes(
    codec: str, driver: Driver, reader: Driver, bootstrap: str, make_topic: Callable[..., str]
) -> None:
    name = make_topic()
    sent = driver.produce(bootstrap, name, ENTRIES, codec=codec, partition=0)
    assert [row.offset for row in sent] == list(range(len(ENTRIES)))
    found = reader.consume(bootstrap, name, len(ENTRIES))
    assert [entry.offset for entry in found] == list(range(len(ENTRIES)))
    assert content(found) == content(ENTRIES)


@pytest.mark.parametrize("writer", [name for name in DRIVERS if name != "kafka-python"])  # which refuses to send them
def test_every_client_reads_headers_without_value_or_name(
    writer: str, reader: Driver, bootstrap: str, topic: str
) -> None:
    headers = (("none", None), ("none", b""), ("none", None), ("", b"no name"))
    entries = [Entry(b"v", None, NOW, headers), Entry(None, b"k", NOW + 1, headers[:1])]
    DRIVERS[writer].produce(bootstrap, topic, entries, partition=0)
    assert content(reader.consume(bootstrap, topic, 2)) == content(entries)


@pytest.mark.parametrize("codec", CODECS)
def test_topic_codec_repacks_what_arrives_in_another(
    codec: str, driver: Driver, bootstrap: str, make_topic: Callable[..., str], wire: Wire
) -> None:
    stored = "uncompressed" if codec == "none" else codec
    name = make_topic(compression_type=stored)
    driver.produce(bootstrap, name, ENTRIES, codec="gzip" if codec != "gzip" else "lz4", partition=0)
    assert content(driver.consume(bootstrap, name, len(ENTRIES))) == content(ENTRIES)
    raw = topics.try_fetch(wire, name, 0).records
    assert raw[22] & 0x07 == CODECS.index(codec)


@pytest.mark.parametrize("acks", ["0", "1", "all"])
def test_each_kind_of_acknowledgement(acks: str, driver: Driver, bootstrap: str, topic: str) -> None:
    driver.produce(bootstrap, topic, ENTRIES, acks=acks, partition=0)
    assert content(driver.consume(bootstrap, topic, len(ENTRIES))) == content(ENTRIES)


def test_log_append_time_is_the_brokers(driver: Driver, bootstrap: str, make_topic: Callable[..., str]) -> None:
    name = make_topic(message_timestamp_type="LogAppendTime")
    driver.produce(bootstrap, name, [Entry(b"v", timestamp=NOW - 500_000_000)] * 3, partition=0)
    stamps = [entry.timestamp for entry in driver.consume(bootstrap, name, 3)]
    assert all(stamp >= NOW - 60_000 for stamp in stamps)
    assert stamps == sorted(stamps)


@pytest.mark.parametrize("codec", CODECS)
def test_records_just_under_the_limit_pass(codec: str, driver: Driver, bootstrap: str, topic: str) -> None:
    noise = bytes((n * n * 31 + n // 251) % 256 for n in range(900_000))
    driver.produce(bootstrap, topic, [Entry(noise, b"large")], codec=codec)
    (entry,) = driver.consume(bootstrap, topic, 1)
    assert entry.value == noise


def test_many_partitions_by_key_keep_each_key_in_order(
    driver: Driver, reader: Driver, bootstrap: str, make_topic: Callable[..., str]
) -> None:
    name = make_topic(partitions=50)
    entries = [Entry(b"%d" % n, b"key-%d" % (n % 97)) for n in range(2_000)]
    sent = driver.produce(bootstrap, name, entries)
    assert len({row.partition for row in sent}) > 25
    found = reader.consume(bootstrap, name, len(entries))
    by_key: dict[bytes | None, list[int]] = {}
    for entry in found:
        by_key.setdefault(entry.key, []).append(int(entry.value or b""))
    assert len(by_key) == 97
    assert all(numbers == sorted(numbers) for numbers in by_key.values())


def test_topic_is_made_by_the_first_record_sent_to_it(
    driver: Driver, bootstrap: str, unique: Callable[[str], str]
) -> None:
    name = unique("auto")
    driver.produce(bootstrap, name, ENTRIES[:3])
    assert content(driver.consume(bootstrap, name, 3)) == content(ENTRIES[:3])


def test_all_clients_write_one_partition_at_once_without_loss(bootstrap: str, topic: str) -> None:
    def send(library: Driver) -> None:
        library.produce(bootstrap, topic, [Entry(f"{library.name}-{n}".encode()) for n in range(500)], partition=0)

    with ThreadPoolExecutor() as pool:
        list(pool.map(send, DRIVERS.values()))
    values = [entry.value or b"" for entry in DRIVERS["confluent"].consume(bootstrap, topic, 500 * len(DRIVERS))]
    for name in DRIVERS:
        mine = [value for value in values if value.startswith(name.encode() + b"-")]
        assert mine == [f"{name}-{n}".encode() for n in range(500)]
