"""Who is to have which partitions: the assignors that run in the broker (KIP-848). Pure functions of what they are given.

An assignor is a function from members and partition counts to what each member gets. It gives each partition of a topic
that somebody subscribes to, to exactly one member that subscribes to it; every member is in the result.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

__all__ = ["ASSIGNORS", "Assignment", "Assignor", "MemberSpec", "find"]

Assignment = Mapping[bytes, frozenset[int]]
"""Partitions by topic id; no topic without partitions."""


@dataclass(frozen=True, slots=True)
class MemberSpec:
    """One member as an assignor sees it."""

    topics: frozenset[bytes]
    """Ids of the topics it subscribes to, all of which exist."""
    instance_id: str | None = None
    previous: Assignment = field(default_factory=dict)
    """What it was to have so far; topics and partitions that are gone may be among it."""


Assignor = Callable[[Mapping[str, MemberSpec], Mapping[bytes, int]], dict[str, Assignment]]
"""assign(members by id, partition count of each subscribed topic by id) -> what each member gets."""

ASSIGNORS: Final = ("uniform", "range")
"""Names of what is there, in the order of Kafka's default of `group.consumer.assignors`: the first is the default."""


def find(name: str) -> Assignor:
    """Return the assignor of that name, which is one of ASSIGNORS."""
    from odradek.broker.coordinator.group.server_assignors import range as by_range  # noqa: PLC0415
    from odradek.broker.coordinator.group.server_assignors import uniform  # noqa: PLC0415

    return {"uniform": uniform.assign, "range": by_range.assign}[name]
