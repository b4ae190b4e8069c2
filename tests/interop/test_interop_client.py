"""Our client beside the others': commits passed on within a group, times and seeking, idempotent producers on one topic.

Records in every codec, the matrix of who writes and who reads, are in `test_interop_records.py`; there ours is one more client.
"""

from __future__ import annotations

from collections.abc import Callable

import aiokafka
import confluent_kafka
import kafka
import pytest
from drivers import DRIVERS, OURS
from support.batches import NOW, Entry

import odradek
from odradek import OffsetAndMetadata, TopicPartition

pytestmark = pytest.mark.brokers("odradek", "kafka")

SECONDS = 30.0
NUMBERS = [Entry(b"%d" % n, timestamp=NOW + 10 * n) for n in range(30)]
PAIRS = [(one, other) for one in DRIVERS for other in DRIVERS if (one in OURS) != (other in OURS)]


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_one_client_goes_on_where_another_of_the_group_has_committed(
    first: str, second: str, bootstrap: str, topic: str, unique: Callable[[str], str]
) -> None:
    group = unique("group")
    DRIVERS[first].produce(bootstrap, topic, NUMBERS, partition=0)
    taken = DRIVERS[first].consume(bootstrap, topic, 10, group=group, commit=True)
    taken += DRIVERS[second].consume(bootstrap, topic, 10, group=group, commit=True)
    taken += DRIVERS[first].consume(bootstrap, topic, 10, group=group)
    assert [entry.offset for entry in taken] == list(range(30))


@pytest.mark.parametrize("reader", list(DRIVERS))
@pytest.mark.parametrize("writer", OURS)
def test_every_client_finds_a_time_in_our_compressed_batches_and_seeks_to_it(
    writer: str, reader: str, bootstrap: str, topic: str
) -> None:
    DRIVERS[writer].produce(bootstrap, topic, NUMBERS, codec="zstd", partition=0)
    for asked, expected in ((NOW - 1, 0), (NOW + 95, 10), (NOW + 290, 29)):
        (found,) = DRIVERS[reader].consume_since(bootstrap, topic, asked, 1)
        assert (found.offset, found.timestamp, found.value) == (expected, NOW + 10 * expected, b"%d" % expected)


@pytest.mark.parametrize("writer", [name for name in DRIVERS if name not in OURS])
def test_our_clients_find_times_ends_and_seek_in_what_others_wrote(writer: str, bootstrap: str, topic: str) -> None:
    DRIVERS[writer].produce(bootstrap, topic, NUMBERS, codec="lz4", partition=0)
    for name in OURS:
        found = DRIVERS[name].consume_since(bootstrap, topic, NOW + 95, 20)
        assert [entry.offset for entry in found] == list(range(10, 30))
    one = TopicPartition(topic, 0)
    with odradek.Consumer(bootstrap) as consumer:
        assert consumer.offsets_for_times({one: NOW + 1_000}) == {one: None}
        assert (consumer.beginning_offsets(one), consumer.end_offsets(one)) == ({one: 0}, {one: 30})


def test_a_note_we_commit_is_read_by_another_client(bootstrap: str, topic: str, unique: Callable[[str], str]) -> None:
    group = unique("group")
    with odradek.Consumer(bootstrap, group_id=group, enable_auto_commit=False) as consumer:
        consumer.assign([TopicPartition(topic, 0)])
        consumer.commit({TopicPartition(topic, 0): OffsetAndMetadata(7, "naïve, at seven")})
    other = kafka.KafkaConsumer(bootstrap_servers=bootstrap, group_id=group)
    try:
        # Not by confluent-kafka: 2.x reads past the end of any note but its own, which it ends with a NUL.
        stored = other.committed(kafka.TopicPartition(topic, 0), metadata=True)
        assert (stored.offset, stored.metadata) == (7, "naïve, at seven")
    finally:
        other.close()


async def test_a_note_another_client_commits_is_read_by_ours(
    bootstrap: str, topic: str, unique: Callable[[str], str]
) -> None:
    group = unique("group")
    other = aiokafka.AIOKafkaConsumer(bootstrap_servers=bootstrap, group_id=group, enable_auto_commit=False)
    await other.start()
    try:
        partition = aiokafka.TopicPartition(topic, 0)
        other.assign([partition])
        await other.commit({partition: (7, "naïve, at seven")})
    finally:
        await other.stop()
    with odradek.Consumer(bootstrap, group_id=group) as consumer:
        stored = consumer.committed(TopicPartition(topic, 0))[TopicPartition(topic, 0)]
    assert stored is not None
    assert (stored.offset, stored.metadata) == (7, "naïve, at seven")


def test_idempotent_producers_of_all_clients_take_turns_on_one_partition(bootstrap: str, topic: str) -> None:
    config = {"bootstrap.servers": bootstrap, "enable.idempotence": True, "linger.ms": 0}
    theirs = confluent_kafka.Producer(config)
    other = kafka.KafkaProducer(bootstrap_servers=bootstrap, enable_idempotence=True)
    try:
        with odradek.Producer(bootstrap, linger_ms=0) as ours:
            for turn in range(20):
                assert ours.send(topic, b"%d-ours" % turn, partition=0).result(SECONDS).offset == 3 * turn
                theirs.produce(topic, b"%d-theirs" % turn, partition=0)
                assert theirs.flush(SECONDS) == 0
                assert other.send(topic, b"%d-other" % turn, partition=0).get(SECONDS).offset == 3 * turn + 2
    finally:
        other.close(timeout=SECONDS)
    expected = [b"%d-%s" % (turn, who) for turn in range(20) for who in (b"ours", b"theirs", b"other")]
    for name in OURS:
        assert [entry.value for entry in DRIVERS[name].consume(bootstrap, topic, 60)] == expected
