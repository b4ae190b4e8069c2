"""What polls return: records as they were written, in order, once; positions, lag and figures beside them."""

from __future__ import annotations

import os
import pickle
import select
import signal
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from support import batches

from odradek import errors
from odradek.client.native import ClusterClient, ConsumerRecord, Fetcher
from odradek.types import TopicPartition

if TYPE_CHECKING:
    from conftest import Reader

pytestmark = pytest.mark.brokers("odradek", "kafka")

EARLIEST, LATEST, BY_POLICY = -3, -2, -4


@pytest.mark.parametrize("codec", ["none", "gzip", "snappy", "lz4", "zstd"])
def test_records_come_as_they_were_written(
    reader: Callable[..., Reader], fill: Callable[..., None], topic: str, codec: str
) -> None:
    written = [
        batches.Entry(b"value", key=b"key", timestamp=batches.NOW),
        batches.Entry(None, key=b"", timestamp=batches.NOW + 1),
        batches.Entry(b"", headers=(("a", b"1"), ("a", None), ("\u00e9", b""))),
    ]
    fill(topic, written, codec=codec)
    fetcher = reader()
    fetcher.assign([(topic, 0, 0)])
    read = fetcher.read(3)
    assert [(r.key, r.value, r.timestamp_ms, r.headers) for r in read] == [
        (e.key, e.value, e.timestamp, e.headers) for e in written
    ]
    assert {record.topic_partition for record in read} == {TopicPartition(topic, 0)}
    assert [(r.topic, r.partition, r.offset, r.timestamp_type) for r in read] == [
        (topic, 0, offset, "CreateTime") for offset in range(3)
    ]
    assert read[0].leader_epoch == 0
    assert [(r.key_size, r.value_size) for r in read] == [(3, 5), (0, -1), (-1, 0)]


def test_a_poll_returns_no_more_than_asked_and_the_next_goes_on(
    reader: Callable[..., Reader], make_topic: Callable[..., str], fill: Callable[..., None]
) -> None:
    topic = make_topic(partitions=3)
    for partition in range(3):
        fill(topic, [b"%d" % n for n in range(50)], partition=partition)
    fetcher = reader()
    fetcher.assign([(topic, partition, EARLIEST) for partition in range(3)])
    found: dict[int, list[int]] = {0: [], 1: [], 2: []}
    while sum(map(len, found.values())) < 150:
        polled = fetcher.poll(20_000, 7)
        assert 0 < len(polled) <= 7
        for record in polled:
            assert record.value == b"%d" % record.offset
            found[record.partition].append(record.offset)
    assert all(offsets == list(range(50)) for offsets in found.values())
    assert fetcher.poll(0, 7) == []
    assert fetcher.poll(0, 0) == []


def test_positions_and_lag_follow_what_was_polled(
    reader: Callable[..., Reader], make_topic: Callable[..., str], fill: Callable[..., None]
) -> None:
    topic = make_topic(partitions=2)
    fill(topic, [b"a", b"b", b"c"])
    fetcher = reader()
    fetcher.assign([(topic, 0, 0), (topic, 1, -1)])
    assert fetcher.positions() == {(topic, 0): (0, -1)}
    fetcher.read(2, at_once=2)
    assert (fetcher.position(topic, 0), fetcher.position(topic, 1)) == (2, -1)
    assert fetcher.positions() == {(topic, 0): (2, 0)}
    assert fetcher.lag() == {(topic, 0): 1}
    figures = fetcher.metrics()
    assert (figures["records_lag_max"], figures["records_consumed_total"]) == (1.0, 2.0)
    assert figures["fetch_total"] >= 1
    fetcher.set_position(topic, 0, 0, 0)
    assert fetcher.positions() == {(topic, 0): (0, 0)}
    assert [r.offset for r in fetcher.read(3)] == [0, 1, 2]


def test_the_end_and_the_start_of_the_log_are_found(
    reader: Callable[..., Reader], topic: str, fill: Callable[..., None]
) -> None:
    fill(topic, [b"a", b"b"])
    fetcher = reader()
    fetcher.assign([(topic, 0, LATEST)])
    while fetcher.position(topic, 0) != 2:
        assert fetcher.poll(10, 1) == []
    fill(topic, [b"c"])
    assert fetcher.read(1)[0].value == b"c"
    fetcher.set_position(topic, 0, EARLIEST)
    assert fetcher.read(1)[0].value == b"a"


def test_a_seek_before_the_first_poll_waits_for_no_fetch_of_the_old_position(
    reader: Callable[..., Reader], topic: str, fill: Callable[..., None]
) -> None:
    """A fetch at the end of the log, begun by `assign`, held the seek up for `fetch.max.wait.ms`."""
    fill(topic, [b"a", b"b"])
    fetcher = reader(**{"fetch.max.wait.ms": "30000"})
    fetcher.assign([(topic, 0, LATEST)])
    while fetcher.position(topic, 0) != 2:
        threading.Event().wait(0.01)
    assert fetcher.metrics()["fetch_total"] == 0
    fetcher.set_position(topic, 0, 0)
    assert [record.value for record in fetcher.poll(10_000, 10)] == [b"a", b"b"]


def test_nothing_that_can_be_read_waits_for_a_fetch_that_the_broker_holds(
    reader: Callable[..., Reader], make_topic: Callable[..., str], fill: Callable[..., None]
) -> None:
    """While one partition's buffer was full, the fetch of the others at their end kept it waiting for `fetch.max.wait.ms`."""
    topic = make_topic(partitions=2)
    for _ in range(60):
        fill(topic, [bytes(30_000)])
    fetcher = reader(**{"max.partition.fetch.bytes": "40000", "fetch.max.wait.ms": "60000"})
    fetcher.assign([(topic, 0, 0), (topic, 1, 0)])
    fetcher.read(1)
    while fetcher.metrics()["buffered_bytes"] < 160_000:
        threading.Event().wait(0.001)
    assert [record.offset for record in fetcher.read(59)] == list(range(1, 60))
    fetcher.set_position(topic, 0, 57)
    assert [record.offset for record in fetcher.read(3)] == [57, 58, 59]
    fill(topic, [b"late"])
    assert fetcher.read(1)[0].value == b"late"


def test_paused_partitions_are_silent(
    reader: Callable[..., Reader], make_topic: Callable[..., str], fill: Callable[..., None]
) -> None:
    topic = make_topic(partitions=2)
    for partition in range(2):
        fill(topic, [b"x"] * 10, partition=partition)
    fetcher = reader()
    fetcher.assign([(topic, 0, 0), (topic, 1, 0)])
    fetcher.pause([(topic, 0)])
    assert fetcher.paused() == [(topic, 0)]
    assert {r.partition for r in fetcher.read(10)} == {1}
    fetcher.resume([(topic, 0)])
    assert fetcher.paused() == []
    assert [r.offset for r in fetcher.read(10)] == list(range(10))
    with pytest.raises(ValueError, match=f"{topic}-5 is not assigned"):
        fetcher.pause([(topic, 1), (topic, 5)])
    assert fetcher.paused() == []


def test_a_lost_position_without_a_policy_is_told_with_its_place(
    reader: Callable[..., Reader], topic: str, fill: Callable[..., None]
) -> None:
    fill(topic, [b"a", b"b"])
    fetcher = reader(auto_offset_reset="none")
    fetcher.assign([(topic, 0, 70)])
    with pytest.raises(errors.OffsetOutOfRangeError, match=r"70.*0\.\.2") as caught:
        fetcher.poll(20_000, 1)
    place = caught.value
    assert (place.topic, place.partition, place.offset) == (topic, 0, 70)
    fetcher.set_position(topic, 0, 1)
    assert fetcher.read(1)[0].value == b"b"
    fetcher.set_position(topic, 0, BY_POLICY)
    with pytest.raises(errors.NoOffsetForPartitionError, match=topic) as lost:
        fetcher.poll(20_000, 1)
    assert (lost.value.topic, lost.value.partition) == (topic, 0)


def test_wakeup_ends_a_poll_from_another_thread(reader: Callable[..., Reader], topic: str) -> None:
    fetcher = reader()
    fetcher.assign([(topic, 0, 0)])
    answers: list[Any] = []
    thread = threading.Thread(target=lambda: answers.append(fetcher.poll(30_000, 1)))
    thread.start()
    fetcher.wakeup()
    thread.join(20)
    assert answers == [[]]


def test_a_wakeup_does_not_hide_records_that_are_there(
    reader: Callable[..., Reader], fill: Callable[..., None], topic: str
) -> None:
    """`poll(0)` of a consumer came back empty when the wake-up for a commit or a rebalance had just come."""
    fetcher = reader()
    fill(topic, [b"a", b"b"])
    fetcher.assign([(topic, 0, 0)])
    first = fetcher.poll(20_000, 1)
    fetcher.wakeup()
    assert [record.offset for record in [*first, *fetcher.poll(0, 1)]] == [0, 1]


def test_ctrl_c_ends_a_poll_that_waits(reader: Callable[..., Reader], topic: str) -> None:
    fetcher = reader()
    fetcher.assign([(topic, 0, 0)])
    threading.Timer(0.1, lambda: signal.raise_signal(signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        fetcher.poll(30_000, 1)


def test_the_descriptor_is_readable_while_there_is_something_to_poll(
    reader: Callable[..., Reader], topic: str, fill: Callable[..., None]
) -> None:
    fetcher = reader()
    fd = fetcher.ready_fd()
    fetcher.assign([(topic, 0, 0)])
    assert fetcher.poll(0, 1) == []
    assert select.select([fd], [], [], 0)[0] == []
    fill(topic, [b"a", b"b"])
    assert select.select([fd], [], [], 20)[0] == [fd]
    assert len(fetcher.poll(0, 1)) == 1
    assert select.select([fd], [], [], 0)[0] == [fd]
    fetcher.pause([(topic, 0)])
    assert select.select([fd], [], [], 0)[0] == []
    fetcher.resume([(topic, 0)])
    assert len(fetcher.poll(0, 1)) == 1
    assert select.select([fd], [], [], 0)[0] == []


def test_after_close_calls_say_so_and_closing_twice_is_fine(reader: Callable[..., Reader], topic: str) -> None:
    fetcher = reader()
    fetcher.assign([(topic, 0, 0)])
    fetcher.close()
    fetcher.close()
    for call in (lambda: fetcher.poll(0, 1), lambda: fetcher.assign([]), lambda: fetcher.position(topic, 0)):
        with pytest.raises(errors.ClosedError):
            call()


def test_a_child_of_a_fork_is_refused_and_the_parent_goes_on(
    reader: Callable[..., Reader], topic: str, fill: Callable[..., None]
) -> None:
    fetcher = reader()
    fetcher.assign([(topic, 0, 0)])
    child = os.fork()
    if child == 0:
        try:
            fetcher.poll(0, 1)
        except errors.ForkedError:
            os._exit(7)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    fill(topic, [b"a"])
    assert fetcher.read(1)[0].value == b"a"


def test_a_setting_that_cannot_be_used_is_named() -> None:
    client = ClusterClient({"bootstrap.servers": "127.0.0.1:1"})
    with pytest.raises(errors.ConfigError, match=r"fetch\.max\.bytes"):
        Fetcher(client, {"fetch.max.bytes": "many"})
    client.close(0)


def test_a_record_is_a_value() -> None:
    record = ConsumerRecord("t", 1, 2, 3, "LogAppendTime", b"k", None, (("h", b"x"),), 4)
    again = pickle.loads(pickle.dumps(record))
    assert record == again
    assert hash(record) == hash(again)
    assert record != ConsumerRecord("t", 1, 3)
    assert repr(record) == (
        "ConsumerRecord(topic='t', partition=1, offset=2, timestamp_ms=3, timestamp_type='LogAppendTime', "
        "key=b'k', value=None, headers=(('h', b'x'),), leader_epoch=4)"
    )
    with pytest.raises(ValueError, match="neither CreateTime nor"):
        ConsumerRecord("t", 1, 2, 3, "Noon")
    with pytest.raises(AttributeError):
        record.offset = 9
