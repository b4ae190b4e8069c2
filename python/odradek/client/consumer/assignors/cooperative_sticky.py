"""`cooperative-sticky`: the sticky assignment in two steps, so that only what moves stands still (KIP-429).

Members go on with what they own while they join. A partition that changes hands is given to nobody in the first step:
its owner sees that it is gone, gives it up, and joins again; in the second step the new owner gets it.

The user data is the generation alone (i32), for members that read no version 2 of the subscription.
Source: Kafka `CooperativeStickyAssignor`.
"""

import struct
from collections.abc import Mapping

from odradek.client.consumer.assignors.base import Assignment, Assignor
from odradek.client.consumer.assignors.sticky import stick
from odradek.client.consumer.blobs import NO_GENERATION, Subscription
from odradek.types import TopicPartition

__all__ = ["CooperativeStickyAssignor"]


class CooperativeStickyAssignor(Assignor):
    """Balanced and sticky, cooperative."""

    name = "cooperative-sticky"
    cooperative = True

    def assign(self, members: Mapping[str, Subscription], counts: Mapping[str, int]) -> Assignment:
        """See `Assignor.assign`. Partitions that must be given up first are left out."""
        claims = {member: (one.owned, _generation(one)) for member, one in members.items()}
        target = stick(members, counts, claims)
        holders: dict[TopicPartition, list[str]] = {}
        for member, subscription in members.items():
            for partition in subscription.owned:
                holders.setdefault(partition, []).append(member)

        def may_have(member: str, partition: TopicPartition) -> bool:
            # Whoever else holds it lets go of it first. One whose claim is older has lost it already and is only late.
            held_by = holders.get(partition, [])
            others = [claims[one][1] for one in held_by if one != member]
            return not others or (member in held_by and claims[member][1] > max(others))

        return {member: [one for one in given if may_have(member, one)] for member, given in target.items()}

    def user_data(self, owned: tuple[TopicPartition, ...], generation: int) -> bytes | None:
        """Return the generation."""
        del owned
        return struct.pack(">i", generation)


def _generation(subscription: Subscription) -> int:
    data = subscription.user_data
    if subscription.generation == NO_GENERATION and data is not None and len(data) == 4:
        return int.from_bytes(data, "big", signed=True)
    return subscription.generation
