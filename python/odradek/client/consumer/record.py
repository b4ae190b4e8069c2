"""A record whose key or value went through a deserializer. Without one, poll returns native records of the same shape."""

from typing import Any, NamedTuple

from odradek.types import TopicPartition

__all__ = ["Record"]


class Record(NamedTuple):
    """One record as the user's deserializers made it."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    """-1 when it has none."""
    timestamp_type: Any
    key: Any
    value: Any
    headers: Any
    """(name, value) pairs, values as bytes or None."""
    leader_epoch: int
    key_size: int
    """Bytes of the key as it came, -1 for null."""
    value_size: int
    """Bytes of the value as it came, -1 for null."""

    @property
    def topic_partition(self) -> TopicPartition:
        """Where it is from."""
        return TopicPartition(self.topic, self.partition)
