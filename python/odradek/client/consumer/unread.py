"""Records that the consumer has polled and the user has not seen yet: iteration hands them out one by one.

They count as not polled: not committed, dropped by a seek, put back by a pause, gone with their partition.
"""

from collections import deque
from collections.abc import Callable, Collection, Iterable
from itertools import islice
from typing import Any

from odradek.types import Record, TopicPartition

__all__ = ["Unread"]


class Unread:
    """A queue of records, oldest first. Used by the polling thread alone; others only look at first offsets."""

    def __init__(self, fetcher: Any) -> None:
        self._fetcher = fetcher
        self.records: deque[Record] = deque()
        self._taken: list[Record] = []

    def __len__(self) -> int:
        return len(self.records)

    def take(self, count: int) -> list[Record]:
        """Return up to so many."""
        taken, rest = list(islice(self.records, count)), deque(islice(self.records, count, None))
        self.records, self._taken = rest, taken
        return taken

    def confirm(self) -> None:
        """Note that the user has what was taken."""
        self._taken = []

    def take_back(self) -> None:
        """Have what was taken since `confirm` again."""
        back = deque([*self._taken, *self.records])
        self.records, self._taken = back, []

    def first_offsets(self) -> dict[TopicPartition, int]:
        """Return the offset of each partition's first record here."""
        return first_offsets(list(self.records))

    def keep(self, partitions: Collection[TopicPartition]) -> None:
        """Drop the records of all other partitions."""
        if self.records:
            self.records = self._those(lambda one: one in partitions)

    def drop(self, partition: TopicPartition) -> None:
        """Drop the records of one partition: its position is about to change."""
        if self.records:
            self.records = self._those(lambda one: one != partition)

    def put_back(self, partitions: Iterable[TopicPartition]) -> None:
        """Let the fetcher bring the records of these again, when it may."""
        if not self.records:
            return
        firsts = self.first_offsets()
        for one in partitions:
            if one in firsts:
                rest = self._those(one.__ne__)
                try:
                    self._fetcher.set_position(one.topic, one.partition, firsts[one], -1)
                finally:  # Ctrl-C comes behind the call
                    self.records = rest

    def _those(self, wanted: Callable[[TopicPartition], bool]) -> deque[Record]:
        return deque(one for one in self.records if wanted(TopicPartition(one.topic, one.partition)))


def first_offsets(records: Iterable[Record]) -> dict[TopicPartition, int]:
    """Return the offset of each partition's first record."""
    found: dict[TopicPartition, int] = {}
    for one in records:
        found.setdefault(TopicPartition(one.topic, one.partition), one.offset)
    return found
