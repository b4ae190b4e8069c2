"""The shape of an assignor, and what all of them do alike."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar

from odradek.client.consumer.blobs import Subscription
from odradek.types import TopicPartition

__all__ = ["Assignment", "Assignor", "in_order"]

Assignment = dict[str, list[TopicPartition]]
"""Partitions by member id; every member has an entry."""


class Assignor(ABC):
    """Decides who gets what. Called by the leader alone; the same input must give the same result."""

    name: ClassVar[str]
    """The protocol name: members of a group must have one in common."""
    cooperative: ClassVar[bool] = False
    """True when members may go on with what they own while the group rebalances (KIP-429)."""

    @abstractmethod
    def assign(self, members: Mapping[str, Subscription], counts: Mapping[str, int]) -> Assignment:
        """Return each member's partitions.

        Args:
            members: subscriptions by member id.
            counts: partitions by topic; topics that don't exist are absent, and nobody gets anything of them.
        """

    def user_data(self, owned: tuple[TopicPartition, ...], generation: int) -> bytes | None:
        """Return what goes into the subscription for this assignor: None for those that need nothing."""
        del owned, generation
        return None


def in_order(members: Mapping[str, Subscription]) -> list[str]:
    """Return the member ids so that static members keep their place over restarts.

    Static members come first, by instance id, then the others by member id. Source: Kafka `MemberInfo.compareTo`.
    """
    return sorted(
        members, key=lambda member: (members[member].instance_id is None, members[member].instance_id or member)
    )
