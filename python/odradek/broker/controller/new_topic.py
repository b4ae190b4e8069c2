"""What a new topic is asked to be, and the id it gets."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple
from uuid import UUID, uuid4

from odradek.metadata import tree

__all__ = ["NewTopic", "new_topic_id"]


class NewTopic(NamedTuple):
    """What a client asks for; -1 means the default."""

    name: str
    partition_count: int = -1
    replication_factor: int = -1
    assignments: Mapping[int, Sequence[int]] = {}
    configs: Mapping[str, str] = {}


def new_topic_id() -> UUID:
    """Return a random id; none whose text begins with `-`, which command lines would take for an option."""
    while True:
        topic_id = uuid4()
        if not tree.topic_id_text(topic_id).startswith("-"):
            return topic_id
