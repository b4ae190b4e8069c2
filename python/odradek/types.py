"""Small frozen values that every layer shares."""

from typing import Any, NamedTuple, Protocol, runtime_checkable

__all__ = ["OffsetAndMetadata", "OffsetAndTimestamp", "Record", "RecordMetadata", "TopicPartition"]


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


@runtime_checkable
class Record(Protocol):
    """One record as a consumer returns it, immutable. A protocol: with deserializers it is made of other classes than without."""

    @property
    def topic(self) -> str:
        """The name."""

    @property
    def partition(self) -> int:
        """The number, from 0."""

    @property
    def offset(self) -> int:
        """Where it is in the partition."""

    @property
    def timestamp_ms(self) -> int:
        """Milliseconds since 1970, UTC; -1 when it has none."""

    @property
    def timestamp_type(self) -> str:
        """`CreateTime`: the producer's clock; `LogAppendTime`: the broker's."""

    @property
    def key(self) -> Any:
        """What `key_deserializer` made of it; bytes without one, None for none."""

    @property
    def value(self) -> Any:
        """What `value_deserializer` made of it; bytes without one, None for a tombstone."""

    @property
    def headers(self) -> tuple[tuple[str, bytes | None], ...]:
        """(name, value) pairs in their order."""

    @property
    def leader_epoch(self) -> int:
        """Epoch of the leader that appended the record; -1 = not known."""

    @property
    def key_size(self) -> int:
        """Bytes of the key as it came, -1 for null."""

    @property
    def value_size(self) -> int:
        """Bytes of the value as it came, -1 for null."""

    @property
    def topic_partition(self) -> TopicPartition:
        """Where it is from."""
