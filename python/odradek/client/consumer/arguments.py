"""What users may give both consumers where offsets, times or numbers of records are wanted. See also `client/arguments.py`."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from odradek.client.arguments import check_offset, is_number, partition_of, partitions_of
from odradek.errors import ConfigError
from odradek.types import OffsetAndMetadata, Record, TopicPartition

__all__ = ["Committable", "Named", "milliseconds", "most_of", "named", "to_commit", "to_look_up"]

Named = TopicPartition | Iterable[TopicPartition] | None
Committable = Mapping[TopicPartition, OffsetAndMetadata | int] | Record
"""What `commit` takes: the next offsets to read, or a record that was worked on."""

FOREVER_MS: Final = 3_600_000
"""A wait that has no end is made of waits of this length."""


def named(partitions: Named, everything: Iterable[TopicPartition]) -> list[TopicPartition]:
    """Return the partitions meant: one, several, or with None `everything`.

    Raises:
        ConfigError: something in it is no (topic, partition).
    """
    return sorted(everything) if partitions is None else partitions_of(partitions)


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
        hint = f"for {partition!r}; give an int from 0 or OffsetAndMetadata"
        found[partition_of(partition)] = check_offset("commit", at, hint)
    return found


def to_look_up(times: Any) -> dict[TopicPartition, int]:
    """Return what `offsets_for_times` was given, checked.

    Raises:
        ConfigError: no mapping, or something in it that is no partition or no time.
    """
    if not isinstance(times, Mapping):
        raise ConfigError(f"offsets_for_times: {times!r} is no mapping of TopicPartition to ms since 1970")
    wrong = next((time for time in times.values() if not is_number(time, 0)), None)
    if wrong is not None:
        raise ConfigError(f"offsets_for_times: {wrong!r} is no time; give ms since 1970, or ask for an end by its name")
    return {partition_of(one): time for one, time in times.items()}


def most_of(max_records: int | None, default: int) -> int:
    """Return how many records a poll may return.

    Raises:
        ConfigError: it is below 1.
    """
    if max_records is None:
        return default
    if not is_number(max_records, 1):
        raise ConfigError(f"max_records: {max_records!r} is not allowed; allowed: 1 or more, or None")
    return max_records


def milliseconds(seconds: float) -> int:
    """Return a wait for the fetcher, at least 1 ms unless there is nothing to wait for."""
    if seconds <= 0:
        return 0
    return FOREVER_MS if seconds * 1000 >= FOREVER_MS else int(seconds * 1000) + 1
