"""Fetchers on the session's broker, and topics filled through the raw client."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import pytest

from odradek.client.native import ClusterClient, ConsumerRecord, Fetcher

if TYPE_CHECKING:
    from support.wire import Wire

PATIENCE_MS = 20_000


class Reader:
    """A fetcher with a client of its own and a poll that waits for a number of records."""

    def __init__(self, bootstrap: str, **settings: str) -> None:
        texts = {"bootstrap.servers": bootstrap} | {name.replace("_", "."): text for name, text in settings.items()}
        self.client = ClusterClient(texts)
        self.fetcher = Fetcher(self.client, texts)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.fetcher, name)

    def read(self, count: int, *, at_once: int = 500) -> list[ConsumerRecord]:
        """Poll until there are `count` records."""
        found: list[ConsumerRecord] = []
        while len(found) < count:
            polled = self.fetcher.poll(PATIENCE_MS, min(at_once, count - len(found)))
            assert polled, f"only {len(found)} of {count} records came"
            found += polled
        return found

    def stop(self) -> None:
        self.fetcher.close()
        self.client.close(0)


@pytest.fixture
def reader(bootstrap: str) -> Iterator[Callable[..., Reader]]:
    """Return a function that makes readers; settings with underscores for dots; they are closed after the test."""
    made: list[Reader] = []

    def make(to: str = bootstrap, **settings: str) -> Reader:
        made.append(Reader(to, **settings))
        return made[-1]

    yield make
    for one in made:
        one.stop()


@pytest.fixture
def fill(wire: Wire) -> Callable[..., None]:
    """Return a function that appends values to a topic, a batch each call."""
    from support import batches, topics

    def append(topic: str, values: Sequence[bytes | batches.Entry], *, partition: int = 0, codec: str = "none") -> None:
        topics.produce(wire, topic, batches.batch(values, codec=codec), partition=partition)

    return append
