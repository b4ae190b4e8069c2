"""A well-behaved client that watches while others misbehave: it must be served, and what it stored must stay."""

from __future__ import annotations

import time

from . import batches, topics
from .wire import Wire


class Canary:
    """One topic and one connection that is opened before the trouble and used after it."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        self._bootstrap = bootstrap
        self._topic = topic
        self._wire = Wire(bootstrap, client_id="canary")
        self._sent: list[bytes] = []
        topics.create_topic(self._wire, topic)
        self.sing()

    def close(self) -> None:
        self._wire.close()

    def sing(self) -> float:
        """Store a record, read it back, and return how long both took together, in seconds."""
        value = b"canary-%d" % len(self._sent)
        before = time.perf_counter()
        offset = topics.produce(self._wire, self._topic, batches.batch([value]))
        (entry,) = topics.fetch(self._wire, self._topic, offset)
        took = time.perf_counter() - before
        assert (entry.offset, entry.value) == (offset, value)
        self._sent.append(value)
        return took

    def check(self) -> None:
        """Check that the old connection and a new one are served, and that every record stored so far is there."""
        self.sing()
        assert [entry.value for entry in topics.read_all(self._wire, self._topic)] == self._sent
        with Wire(self._bootstrap, client_id="canary") as fresh:
            assert [entry.value for entry in topics.read_all(fresh, self._topic)] == self._sent
