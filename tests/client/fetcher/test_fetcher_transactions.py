"""The fetcher on what only Apache Kafka has: transactions."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Reader

pytestmark = pytest.mark.brokers("kafka")


def test_read_committed_shows_neither_aborted_nor_open_transactions_nor_what_lies_behind(
    reader: Callable[..., Reader], bootstrap: str, topic: str, unique: Callable[[str], str]
) -> None:
    from confluent_kafka import Producer

    producer = Producer({"bootstrap.servers": bootstrap, "transactional.id": unique("fetcher")})
    producer.init_transactions()
    for number in range(6):
        producer.begin_transaction()
        for part in range(3):
            producer.produce(topic, value=f"{number}.{part}", partition=0)
            producer.flush()
        if number == 5:
            break
        if number % 2:
            producer.abort_transaction()
        else:
            producer.commit_transaction()
    everything = reader(auto_offset_reset="earliest")
    everything.assign([(topic, 0, 0)])
    assert [r.value.decode() for r in everything.read(18)] == [f"{n}.{p}" for n in range(6) for p in range(3)]
    committed = reader(isolation_level="read_committed")
    committed.assign([(topic, 0, 0)])
    shown = [(r.offset, r.value.decode()) for r in committed.read(9)]
    assert [value for _, value in shown] == [f"{n}.{p}" for n in (0, 2, 4) for p in range(3)]
    assert committed.poll(100, 10) == []
    # Behind the last marker: five transactions of three records and a marker each.
    assert committed.position(topic, 0) == 20
    assert committed.lag() == {(topic, 0): 0}
    producer.abort_transaction()
