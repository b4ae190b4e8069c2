"""Which topics a member is subscribed to and, when it leads, how many partitions the group's topics have.

Says when a rebalance is due because a topic came, went or grew. Asks the cluster; sends nothing to the group.
"""

from collections.abc import Mapping

from odradek.client.consumer.blobs import Subscription
from odradek.client.consumer.transport import Transport
from odradek.client.consumer.wanted import Wanted
from odradek.types import TopicPartition

__all__ = ["TopicWatch"]


class TopicWatch:
    """One member's view of the topics."""

    def __init__(self, transport: Transport, wanted: Wanted) -> None:
        self._transport = transport
        self._wanted = wanted
        self._joined: frozenset[str] = frozenset()
        self._seen = -1
        self._missing: frozenset[str] = frozenset()
        self._last_owned: tuple[TopicPartition, ...] = ()
        self.led: dict[str, int | None] | None = None
        """Partitions of the group's topics as we, its leader, assigned them; None when another leads."""

    def want(self, wanted: Wanted) -> None:
        """Be subscribed to something else."""
        self._wanted = wanted

    async def subscribed(self) -> frozenset[str]:
        """Return the topics to subscribe to; with a pattern the cluster is asked."""
        self._watch(())
        names: frozenset[str] = frozenset()
        if self._wanted.pattern is not None:
            names = frozenset(await self._transport.partition_counts(None))
        self._joined = self._wanted.topics(names)
        return self._joined

    async def counts_for(self, members: Mapping[str, Subscription]) -> Mapping[str, int]:
        """Return the partitions of all topics that members of the group want."""
        topics = frozenset(topic for member in members.values() for topic in member.topics)
        self._watch(topics)
        counts = await self._transport.partition_counts(topics)
        self.led = {topic: counts.get(topic) for topic in topics}
        self._seen = -1
        return counts

    def changed(self) -> bool:
        """Return whether the group should rebalance over what is known now.

        A topic that is missing counts only when it is so twice in a row: an answer may lack it for a moment.
        """
        version = self._transport.version()
        if version == self._seen and not self._missing:
            return False
        self._seen = version
        known = self._transport.known_counts()
        if self._wanted.pattern is not None and self._wanted.topics(known) - self._joined:
            return True
        expected = dict(self.led or {})
        if self._wanted.pattern is not None:
            expected |= {topic: known.get(topic, 1) for topic in self._joined - expected.keys()}
        gone = frozenset(topic for topic, count in expected.items() if count is not None and topic not in known)
        still_gone = gone & self._missing
        self._missing = gone - still_gone
        return bool(still_gone) or any(topic in known and known[topic] != count for topic, count in expected.items())

    def remember_owned(self, partitions: frozenset[TopicPartition]) -> None:
        """Keep an assignment for the sticky assignor, which wants to know it after it was given up."""
        self._last_owned = tuple(sorted(partitions))

    def last_owned(self) -> tuple[TopicPartition, ...]:
        """Return the last assignment."""
        return self._last_owned

    def unwatch(self) -> None:
        """Nothing of this is wanted any more."""
        self._transport.watch((), all_topics=False)

    def _watch(self, others: "frozenset[str] | tuple[()]") -> None:
        self._transport.watch(self._wanted.names | frozenset(others), all_topics=self._wanted.pattern is not None)
