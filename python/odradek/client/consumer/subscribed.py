"""The topic names that a member of KIP-848 tells its coordinator: those subscribed to, or those that match a pattern.

A pattern is Python's and is matched here, whatever the broker's own regular expressions are. How many partitions a topic
has is the coordinator's business.
"""

from odradek.client.consumer.transport import Transport
from odradek.client.consumer.wanted import Wanted

__all__ = ["Subscribed"]


class Subscribed:
    """One member's topics, by name."""

    def __init__(self, transport: Transport, wanted: Wanted) -> None:
        self._transport = transport
        self._wanted = wanted
        self._names: frozenset[str] | None = None
        self._seen = -1
        self._missing: frozenset[str] = frozenset()

    def want(self, wanted: Wanted) -> None:
        """Be subscribed to something else."""
        self._wanted = wanted
        self._names = None

    def ask_again(self) -> None:
        """Have the next `names` ask the cluster."""
        self._names = None

    async def names(self) -> frozenset[str]:
        """Return the topics as far as they are known; asks the cluster at first, and makes topics if it is to.

        Raises:
            KafkaError: a topic may not be read, or can't exist. What else the transport raises.
        """
        while self._names is None:
            wanted = self._wanted
            self._transport.watch((), all_topics=wanted.pattern is not None)
            counts = await self._transport.partition_counts(None if wanted.pattern else wanted.names)
            if wanted is self._wanted:
                self._names = wanted.topics(counts)
                self._missing = frozenset()
        if self._wanted.pattern is not None:
            self._names = self._looked(self._names)
        return self._names

    def unwatch(self) -> None:
        """Nothing of this is wanted any more."""
        self._transport.watch((), all_topics=False)

    def _looked(self, before: frozenset[str]) -> frozenset[str]:
        """Return what matches now. A topic goes only when it is missing twice in a row: an answer may lack it once."""
        version = self._transport.version()
        if version == self._seen:
            return before
        self._seen = version
        found = self._wanted.topics(self._transport.known_counts())
        gone = before - found
        kept = gone - self._missing
        self._missing = kept
        return found | kept
