"""`roundrobin`: all partitions of all topics dealt out one by one, round the members that want the topic."""

from collections.abc import Mapping
from itertools import cycle

from odradek.client.consumer.assignors.base import Assignment, Assignor, in_order
from odradek.client.consumer.blobs import Subscription
from odradek.types import TopicPartition

__all__ = ["RoundRobinAssignor"]


class RoundRobinAssignor(Assignor):
    """Source: Kafka `RoundRobinAssignor`."""

    name = "roundrobin"

    def assign(self, members: Mapping[str, Subscription], counts: Mapping[str, int]) -> Assignment:
        """See `Assignor.assign`."""
        ordered = in_order(members)
        result: Assignment = {member: [] for member in ordered}
        wants = {member: frozenset(members[member].topics) for member in ordered}
        wanted = frozenset[str]().union(*wants.values())
        round_of = cycle(ordered)
        for topic in sorted(wanted & counts.keys()):
            for number in range(counts[topic]):
                taker = next(member for member in round_of if topic in wants[member])
                result[taker].append(TopicPartition(topic, number))
        return result
