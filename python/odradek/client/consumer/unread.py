"""Records that the consumer has polled and the user has not seen yet: iteration hands them out one by one.

They count as not polled: not committed, dropped by a seek, put back by a pause, gone with their partition.
"""

from collections import deque
from collections.abc import Collection, Iterable
from typing import Any

from odradek.types import TopicPartition

__all__ = ["Unread"]


class Unread:
    """A queue of records, oldest first. Used by the polling thread alone; others only look at first offsets."""

    def __init__(self, fetcher: Any) -> None:
        self._fetcher = fetcher
        self.records: deque[Any] = deque()

    def __len__(self) -> int:
        return len(self.records)

    def take(self, count: int) -> list[Any]:
        """Return up to so many."""
        records = self.records
        return [records.popleft() for _ in range(min(count, len(records)))]

    def first_offsets(self) -> dict[TopicPartition, int]:
        """Return the offset of each partition's first record here."""
        return first_offsets(list(self.records))

    def keep(self, partitions: Collection[TopicPartition]) -> None:
        """Drop the records of all other partitions."""
        if self.records:
            self._filter(lambda one: one in partitions)

    def drop(self, partition: TopicPartition) -> None:
        """Drop the records of one partition: its position is about to change."""
        if self.records:
            self._filter(lambda one: one != partition)

    def put_back(self, partitions: Iterable[TopicPartition]) -> None:
        """Let the fetcher bring the records of these again, when it may."""
        if not self.records:
            return
        firsts = self.first_offsets()
        for one in partitions:
            if one in firsts:
                self.drop(one)
                self._fetcher.set_position(one.topic, one.partition, firsts[one], -1)

    def _filter(self, wanted: Any) -> None:
        self.records = deque(one for one in self.records if wanted(TopicPartition(one.topic, one.partition)))


def first_offsets(records: Iterable[Any]) -> dict[TopicPartition, int]:
    """Return the offset of each partition's first record."""
    found: dict[TopicPartition, int] = {}
    for one in records:
        found.setdefault(TopicPartition(one.topic, one.partition), one.offset)
    return found
