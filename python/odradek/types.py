"""Small frozen values that every layer shares."""

from typing import NamedTuple

__all__ = ["OffsetAndMetadata", "TopicPartition"]


class TopicPartition(NamedTuple):
    """A topic's name and a partition's number, from 0."""

    topic: str
    partition: int


class OffsetAndMetadata(NamedTuple):
    """A committed offset: the next one to read, a note of the committer, and the leader epoch it was read under."""

    offset: int
    metadata: str = ""
    leader_epoch: int = -1
