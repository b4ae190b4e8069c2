"""What a topic may be called. Source: Kafka `Topic.validate`, `Topic.unifyCollisionChars`."""

import re
from collections.abc import Container
from typing import Final

from odradek.errors import InvalidTopicError

__all__ = ["INTERNAL_TOPICS", "OFFSETS_TOPIC", "check_name", "collision_key", "is_internal"]

OFFSETS_TOPIC: Final = "__consumer_offsets"
INTERNAL_TOPICS: Final = frozenset({OFFSETS_TOPIC, "__transaction_state", "__share_group_state", "__cluster_metadata"})
"""Topics that brokers make for themselves; no client may create or delete them."""

_LONGEST: Final = 249
"""A folder is called TOPIC-PARTITION.ID-delete for a while, and a file name has 255 bytes."""
_LEGAL: Final = re.compile(r"[A-Za-z0-9._-]+")


def check_name(name: str) -> None:
    """Refuse a name that breaks the rules.

    Raises:
        InvalidTopicError (17): empty, `.`, `..`, over 249 characters, or a character outside `A-Za-z0-9._-`.
    """
    if not name:
        raise InvalidTopicError("a topic name can't be empty")
    if name in {".", ".."}:
        raise InvalidTopicError(f"{name!r} can't be a topic name")
    if len(name) > _LONGEST:
        raise InvalidTopicError(f"the topic name has {len(name)} characters; at most {_LONGEST} are allowed")
    if not _LEGAL.fullmatch(name):
        raise InvalidTopicError(f"topic name {name!r}: only A-Z a-z 0-9 . _ - are allowed")


def collision_key(name: str) -> str:
    """Return what must be unique: in metric names `.` and `_` become one."""
    return name.replace(".", "_")


def is_internal(name: str, internal: Container[str] = INTERNAL_TOPICS) -> bool:
    """Tell whether brokers made the topic for themselves."""
    return name in internal
