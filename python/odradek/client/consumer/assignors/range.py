"""`range`: for each topic by itself, consecutive partitions to each subscriber, the first ones getting one more.

Partitions of the same number of equally partitioned topics go to the same member, which joins of topics need.
"""

from collections.abc import Mapping

from odradek.client.consumer.assignors.base import Assignment, Assignor, in_order
from odradek.client.consumer.blobs import Subscription
from odradek.types import TopicPartition

__all__ = ["RangeAssignor"]


class RangeAssignor(Assignor):
    """Source: Kafka `RangeAssignor` (without racks)."""

    name = "range"

    def assign(self, members: Mapping[str, Subscription], counts: Mapping[str, int]) -> Assignment:
        """See `Assignor.assign`."""
        ordered = in_order(members)
        result: Assignment = {member: [] for member in ordered}
        for topic in sorted(counts):
            takers = [member for member in ordered if topic in members[member].topics]
            if not takers:
                continue
            share, extra = divmod(counts[topic], len(takers))
            start = 0
            for index, member in enumerate(takers):
                end = start + share + (index < extra)
                result[member] += [TopicPartition(topic, number) for number in range(start, end)]
                start = end
        return result
