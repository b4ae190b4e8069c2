"""Small frozen values that every layer shares."""

from typing import NamedTuple

__all__ = ["OffsetAndMetadata", "OffsetAndTimestamp", "RecordMetadata", "TopicPartition"]


class TopicPartition(NamedTuple):
    """A topic's name and a partition's number, from 0."""

    topic: str
    partition: int


class OffsetAndMetadata(NamedTuple):
    """A committed offset: the next one to read, a note of the committer, and the leader epoch it was read under."""

    offset: int
    metadata: str = ""
    leader_epoch: int = -1


class OffsetAndTimestamp(NamedTuple):
    """The first offset whose record is not older than a time asked for, and that record's time in ms."""

    offset: int
    timestamp_ms: int
    leader_epoch: int = -1


class RecordMetadata(NamedTuple):
    """Where a record was written. `offset` is -1 with acks=0: nobody answered; `timestamp_ms` is the one stored."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
