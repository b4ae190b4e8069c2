"""What users may give where seconds, topics, groups, partitions or functions are wanted; checked in one place for all clients.

Each refusal says which argument it is, what was given and what may be. What only consumers take: `consumer/arguments.py`.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, TypeVar

from odradek.errors import ConfigError
from odradek.types import OffsetAndMetadata, TopicPartition

__all__ = [
    "MAX_INT",
    "check_offset",
    "function",
    "is_number",
    "mapping",
    "partition_of",
    "partitions_of",
    "seconds",
    "several",
    "text",
]

F = TypeVar("F", bound=Callable[..., object])
K = TypeVar("K")
V = TypeVar("V")

MAX_INT: Final = 2**31 - 1
_MAX_LONG: Final = 2**63 - 1
"""The largest numbers that fit the protocol's fields."""


def seconds(timeout: Any) -> float | None:
    """Return a `timeout` in seconds; None stays None.

    Raises:
        ConfigError: it is no number, or below 0.
    """
    if timeout is None or (type(timeout) in {float, int} and timeout >= 0):
        return timeout  # type: ignore[no-any-return]
    if hasattr(timeout, "__float__") and (given := float(timeout)) >= 0:
        return given
    raise ConfigError(f"timeout: {timeout!r} is not allowed; allowed: seconds from 0, or None")


def several(what: str, given: Any, kinds: type | tuple[type, ...], expected: str) -> list[Any]:
    """Return one thing or several as a list in their order, each once; they need not be hashable.

    Args:
        what: the argument, for the error: "create_topics: topics".
        given: by the user.
        kinds: what each has to be an instance of.
        expected: in words: "a topic name".

    Raises:
        ConfigError: it is neither one nor several of them.
    """
    if isinstance(given, kinds):
        return [given]
    if isinstance(given, Mapping | str | bytes) or not isinstance(given, Iterable):
        raise ConfigError(f"{what}: {given!r} is not allowed; allowed: {expected}, or several in a list")
    things = list(given)
    wrong = [one for one in things if not isinstance(one, kinds)]
    if wrong:
        raise ConfigError(f"{what}: {wrong[0]!r} in the list is not allowed; allowed: {expected}")
    try:
        return list(dict.fromkeys(things))
    except TypeError:  # a topic with settings has no hash
        return [one for at, one in enumerate(things) if one not in things[:at]]


def mapping(what: str, given: Mapping[K, V], expected: str) -> Mapping[K, V]:
    """Return a mapping. Raises ConfigError when it is none: `what` names the argument, `expected` is "of A to B"."""
    if not isinstance(given, Mapping):
        raise ConfigError(f"{what}: {given!r} is no mapping {expected}")
    return given


def text(what: str, given: str) -> str:
    """Return a name. Raises ConfigError when it is no text: `what` says of what it is the name."""
    if not isinstance(given, str):
        raise ConfigError(f"{given!r} is no {what}; give a str")
    return given


def function(what: str, given: F | None) -> F | None:
    """Return a callback or None. Raises ConfigError when it can't be called: `what` names the argument."""
    if given is not None and not callable(given):
        raise ConfigError(f"{what}: {given!r} can't be called")
    return given


def partitions_of(given: Any) -> list[TopicPartition]:
    """Return one partition or several as a list.

    Raises:
        ConfigError: something in it is no (topic, partition).
    """
    if _is_one(given):
        return [partition_of(given)]
    if isinstance(given, str | bytes) or not isinstance(given, Iterable):
        raise ConfigError(f"partitions: {given!r} is not allowed; allowed: a TopicPartition, or several in a list")
    return [partition_of(one) for one in given]


def partition_of(one: Any) -> TopicPartition:
    """Return a partition given as TopicPartition or a plain pair. Raises ConfigError."""
    if not _is_one(one) or not is_number(one[1], 0, MAX_INT):
        raise ConfigError(f"{one!r} is no TopicPartition(topic, partition) with a partition from 0 to {MAX_INT}")
    return TopicPartition(*one)


def check_offset(what: str, at: Any, hint: str) -> OffsetAndMetadata:
    """Return an offset with its leader epoch, given as OffsetAndMetadata or alone.

    Raises:
        ConfigError: it is no offset; the text begins with `what` and ends with `hint`.
    """
    full = at if isinstance(at, OffsetAndMetadata) else OffsetAndMetadata(at)
    if not is_number(full.offset, 0) or not is_number(full.leader_epoch, -1, MAX_INT):
        raise ConfigError(f"{what}: {at!r} is no offset {hint}")
    return full


def is_number(given: Any, least: int, most: int = _MAX_LONG) -> bool:
    """Return whether it is an integer of that range."""
    return isinstance(given, int) and not isinstance(given, bool) and least <= given <= most


def _is_one(given: Any) -> bool:
    return isinstance(given, tuple) and len(given) == 2 and isinstance(given[0], str) and isinstance(given[1], int)
