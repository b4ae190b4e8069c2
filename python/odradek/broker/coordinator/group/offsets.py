"""Committed offsets as data: by group, topic and partition. Who may commit, and when they expire, is `shard.py`'s."""

from collections.abc import Iterator

from odradek.broker.coordinator.group.records import OffsetCommit, OffsetKey

__all__ = ["Offsets"]


class Offsets:
    """The committed offsets of one shard."""

    __slots__ = ("_groups",)

    def __init__(self) -> None:
        self._groups: dict[str, dict[str, dict[int, OffsetCommit]]] = {}

    def put(self, key: OffsetKey, commit: OffsetCommit) -> None:
        """Replace what was committed for a partition."""
        group, topic, partition = key
        self._groups.setdefault(group, {}).setdefault(topic, {})[partition] = commit

    def remove(self, key: OffsetKey) -> None:
        """Forget what was committed for a partition, if anything."""
        topics = self._groups.get(key.group, {})
        partitions = topics.get(key.topic, {})
        partitions.pop(key.partition, None)
        if not partitions:
            topics.pop(key.topic, None)
            if not topics:
                self._groups.pop(key.group, None)

    def of_group(self, group: str) -> dict[str, dict[int, OffsetCommit]]:
        """Return a group's offsets by topic and partition; not to be changed."""
        return self._groups.get(group, {})

    def of_topics(self, topics: frozenset[str]) -> list[OffsetKey]:
        """Return the key of every offset that any group has in these topics."""
        return [
            OffsetKey(group, topic, partition)
            for group, by_topic in self._groups.items()
            for topic in topics & by_topic.keys()
            for partition in by_topic[topic]
        ]

    def items(self, group: str) -> Iterator[tuple[OffsetKey, OffsetCommit]]:
        """Return all offsets of a group with their keys."""
        for topic, partitions in self.of_group(group).items():
            for partition, commit in partitions.items():
                yield OffsetKey(group, topic, partition), commit
