"""A broker inside a test: ready to answer, kept with `snapshot`, brought back with `restore`.

There is one twin only: the broker. Ready means that a client's first request was answered.
"""

from __future__ import annotations

import socket
import struct
from typing import TYPE_CHECKING

import pytest

import odradek

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import Grouped

    from odradek.broker.snapshot import Snapshot

ROUNDS = 30
PARTITIONS = 10
RECORDS = 1000
GROUPS = 5
API_VERSIONS = struct.pack(">ihhih", 10, 18, 0, 1, -1)


def answers(broker: odradek.Broker) -> bool:
    """Whether ApiVersions is answered, on a new connection."""
    host, _, port = broker.bootstrap_servers.rpartition(":")
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(API_VERSIONS)
        return len(connection.recv(4)) == 4


@pytest.fixture
def lived_in() -> Iterator[odradek.Broker]:
    """A broker with a topic, records in it, and groups that have committed: all 50 partitions of their topic are there."""
    with odradek.Broker(num_partitions=PARTITIONS) as broker:
        with odradek.Producer(broker.bootstrap_servers) as producer:
            producer.send_many("orders", [b"x" * 100] * RECORDS).result(30)
        for group in range(GROUPS):
            with odradek.Consumer(broker.bootstrap_servers, group_id=f"g{group}") as consumer:
                consumer.assign([odradek.TopicPartition("orders", 0)])
                consumer.commit({odradek.TopicPartition("orders", 0): 1})
        yield broker


def bench_a_fresh_broker_is_ready(timed: Grouped) -> None:
    started: list[odradek.Broker] = []

    def start() -> bool:
        started.append(odradek.Broker().start())
        return answers(started[-1])

    def close_last() -> None:
        while started:
            started.pop().close()

    assert timed("a broker in a test").pedantic(start, setup=close_last, rounds=ROUNDS, warmup_rounds=1)
    close_last()


def bench_snapshot(timed: Grouped, lived_in: odradek.Broker) -> None:
    def keep() -> Snapshot:
        snapshot = lived_in.snapshot()
        assert answers(lived_in)
        return snapshot

    kept = timed("a broker in a test").pedantic(keep, rounds=ROUNDS, warmup_rounds=1)
    assert kept.path_for(lived_in).is_dir()


def bench_restore(timed: Grouped, lived_in: odradek.Broker) -> None:
    snapshot = lived_in.snapshot()

    def bring_back() -> bool:
        lived_in.restore(snapshot)
        return answers(lived_in)

    assert timed("a broker in a test").pedantic(bring_back, rounds=ROUNDS, warmup_rounds=1)
    with odradek.Consumer(lived_in.bootstrap_servers, group_id="g0") as consumer:
        one = odradek.TopicPartition("orders", 0)
        assert [found.offset for found in consumer.committed(one).values() if found] == [1]
