"""A broker inside the test process for the producer's tests, and what was written to it, read back without our client."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

import odradek

if TYPE_CHECKING:
    from odradek.record import Record


@pytest.fixture(scope="module")
def embedded() -> Iterator[odradek.Broker]:
    """One broker for the tests of a file; topics come with three partitions."""
    with odradek.Broker(num_partitions=3, message_max_bytes=200_000) as broker:
        yield broker


@pytest.fixture
def producer(embedded: odradek.Broker) -> Iterator[odradek.Producer]:
    """A producer with default options."""
    with odradek.Producer(embedded.bootstrap_servers) as producer:
        yield producer


def written(segment: bytes) -> bytes:
    """Return the batches of a segment without the zeros that room was made with."""
    end = 0
    while length := int.from_bytes(segment[end + 8 : end + 12], "big"):
        end += 12 + length
    return segment[:end]


@pytest.fixture
def stored(embedded: odradek.Broker) -> Callable[[str, int], list[Record]]:
    """Return a function that reads a partition's records from its files."""
    from odradek.record import decode_batches

    def read(topic: str, partition: int) -> list[Record]:
        folder = embedded.data_dir / f"{topic}-{partition}"
        segments = sorted(folder.glob("*.log"))
        batches = [batch for path in segments for batch in decode_batches(written(path.read_bytes()))]
        return [record for batch in batches for record in batch.records]

    return read
