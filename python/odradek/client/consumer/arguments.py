"""What users may give where partitions, offsets or times are wanted; checked in one place for both consumers."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from odradek.errors import ConfigError
from odradek.types import OffsetAndMetadata, TopicPartition

__all__ = ["Named", "milliseconds", "named", "to_commit"]

Named = TopicPartition | Iterable[TopicPartition] | None

FOREVER_MS: Final = 3_600_000
"""A wait that has no end is made of waits of this length."""


def named(partitions: Named, everything: Iterable[TopicPartition]) -> list[TopicPartition]:
    """Return the partitions meant: one, several, or with None `everything`.

    Raises:
        ConfigError: something in it is no (topic, partition).
    """
    if partitions is None:
        return sorted(everything)
    if _is_one(partitions):
        partitions = [partitions]  # type: ignore[list-item]
    return [partition_of(one) for one in partitions]


def partition_of(one: Any) -> TopicPartition:
    """Return a partition given as TopicPartition or a plain pair."""
    if not _is_one(one):
        raise ConfigError(f"{one!r} is no TopicPartition(topic, partition)")
    return TopicPartition(*one)


def to_commit(offsets: Any) -> dict[TopicPartition, OffsetAndMetadata]:
    """Return what `commit` was given: a mapping of partitions to offsets, or a record, which means the offset after it.

    Raises:
        ConfigError: something else, or a negative offset.
    """
    if not isinstance(offsets, Mapping):
        record = offsets
        if not all(hasattr(record, name) for name in ("topic", "partition", "offset")):
            raise ConfigError(f"commit: {offsets!r} is neither a record nor a mapping of TopicPartition to offset")
        epoch = getattr(record, "leader_epoch", -1)
        offsets = {
            TopicPartition(record.topic, record.partition): OffsetAndMetadata(
                record.offset + 1, "", -1 if epoch is None else epoch
            )
        }
    found = {}
    for partition, at in offsets.items():
        full = at if isinstance(at, OffsetAndMetadata) else OffsetAndMetadata(at)
        if not isinstance(full.offset, int) or isinstance(full.offset, bool) or full.offset < 0:
            raise ConfigError(f"commit: {at!r} is no offset for {partition!r}; give an int from 0 or OffsetAndMetadata")
        found[partition_of(partition)] = full
    return found


def milliseconds(seconds: float) -> int:
    """Return a wait for the fetcher, at least 1 ms unless there is nothing to wait for."""
    if seconds <= 0:
        return 0
    return min(int(seconds * 1000) + 1, FOREVER_MS)


def _is_one(given: Any) -> bool:
    return isinstance(given, tuple) and len(given) == 2 and isinstance(given[0], str) and isinstance(given[1], int)
