"""Sequence numbers of idempotent producers, on the wire: duplicates, gaps, epochs."""

from __future__ import annotations

import pytest
from kio.schema.errors import ErrorCode
from support import batches, topics
from support.wire import Wire

pytestmark = pytest.mark.brokers("odradek", "kafka")


def producer_id(wire: Wire) -> int:
    """Return a new producer id."""
    response = wire.call("init_producer_id", 4, {"transactional_id": None, "transaction_timeout": 60_000})
    assert response.error_code is ErrorCode.none
    return int(response.producer_id)


def numbered(pid: int, sequence: int, *, epoch: int = 0, count: int = 3) -> bytes:
    """Return a batch with producer state."""
    return batches.batch(
        [b"s%d" % (sequence + n) for n in range(count)], producer_id=pid, producer_epoch=epoch, base_sequence=sequence
    )


def test_duplicate_is_answered_with_its_first_offset_and_not_stored_again(wire: Wire, topic: str) -> None:
    pid = producer_id(wire)
    offsets = [topics.produce(wire, topic, numbered(pid, sequence)) for sequence in (0, 3, 6, 9, 12)]
    assert offsets == [0, 3, 6, 9, 12]
    # Kafka remembers the last five batches of a producer.
    again = [topics.produce(wire, topic, numbered(pid, sequence)) for sequence in (12, 0, 6)]
    assert again == [12, 0, 6]
    assert topics.list_offset(wire, topic, topics.LATEST)[0] == 15


def test_duplicate_older_than_what_is_remembered_is_refused(wire: Wire, topic: str) -> None:
    pid = producer_id(wire)
    for sequence in range(0, 18, 3):
        topics.produce(wire, topic, numbered(pid, sequence))
    row = topics.try_produce(wire, topic, numbered(pid, 0))
    assert row.error_code is ErrorCode.out_of_order_sequence_number
    assert topics.list_offset(wire, topic, topics.LATEST)[0] == 18


def test_gap_in_sequence_is_refused_and_the_right_one_taken_after_it(wire: Wire, topic: str) -> None:
    pid = producer_id(wire)
    assert topics.produce(wire, topic, numbered(pid, 0)) == 0
    assert topics.try_produce(wire, topic, numbered(pid, 6)).error_code is ErrorCode.out_of_order_sequence_number
    assert topics.try_produce(wire, topic, numbered(pid, 1)).error_code is ErrorCode.out_of_order_sequence_number
    assert topics.produce(wire, topic, numbered(pid, 3)) == 3


def test_new_epoch_starts_at_sequence_zero(wire: Wire, topic: str) -> None:
    pid = producer_id(wire)
    assert topics.produce(wire, topic, numbered(pid, 0)) == 0
    assert (
        topics.try_produce(wire, topic, numbered(pid, 3, epoch=1)).error_code is ErrorCode.out_of_order_sequence_number
    )
    assert topics.produce(wire, topic, numbered(pid, 0, epoch=1)) == 3


def test_old_epoch_is_fenced(wire: Wire, topic: str) -> None:
    pid = producer_id(wire)
    assert topics.produce(wire, topic, numbered(pid, 0, epoch=2)) == 0
    assert topics.try_produce(wire, topic, numbered(pid, 3, epoch=1)).error_code is ErrorCode.invalid_producer_epoch
    assert topics.produce(wire, topic, numbered(pid, 3, epoch=2)) == 3


def test_sequence_wraps_after_int_max(wire: Wire, topic: str) -> None:
    pid = producer_id(wire)
    last = 2**31 - 1
    assert topics.produce(wire, topic, numbered(pid, last - 2)) == 0
    assert topics.produce(wire, topic, numbered(pid, 0)) == 3


def test_producers_do_not_disturb_each_other(wire: Wire, topic: str) -> None:
    first, second = producer_id(wire), producer_id(wire)
    assert topics.produce(wire, topic, numbered(first, 0)) == 0
    assert topics.produce(wire, topic, numbered(second, 0)) == 3
    assert topics.produce(wire, topic, numbered(first, 3)) == 6
    assert topics.produce(wire, topic, numbered(second, 0)) == 3
    assert topics.produce(wire, topic, batches.batch([b"plain"])) == 9


def test_pipelined_sequences_are_stored_in_order(wire: Wire, topic: str) -> None:
    pid = producer_id(wire)
    sent = [wire.send("produce", 9, topics.produce_fields(topic, numbered(pid, 3 * n))) for n in range(50)]
    rows = [wire.receive("produce", 9, sent_id).responses[0].partition_responses[0] for sent_id in sent]
    assert [row.error_code for row in rows] == [ErrorCode.none] * 50
    assert [row.base_offset for row in rows] == [3 * n for n in range(50)]
