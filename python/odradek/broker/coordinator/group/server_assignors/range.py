"""`range`: each topic's partitions in contiguous ranges, members always in the same order, so that topics line up.

Members that subscribe to the same topics get the same numbers in each (of topics with as many partitions): what is
keyed alike in two topics meets in one member. Static members come first, by instance id, so that their ranges outlive
their restarts. Source: Kafka `RangeAssignor`.
"""

from collections import defaultdict
from collections.abc import Mapping

from odradek.broker.coordinator.group.server_assignors import Assignment, MemberSpec

__all__ = ["assign"]


def assign(members: Mapping[str, MemberSpec], counts: Mapping[bytes, int]) -> dict[str, Assignment]:
    """Return what each member gets."""
    in_order = sorted(members, key=lambda member_id: _place(member_id, members[member_id]))
    subscribers: dict[bytes, list[str]] = defaultdict(list)
    for member_id in in_order:
        for topic in members[member_id].topics:
            subscribers[topic].append(member_id)
    given: dict[str, dict[bytes, frozenset[int]]] = {member_id: {} for member_id in members}
    for topic, takers in subscribers.items():
        share, extra = divmod(counts[topic], len(takers))
        start = 0
        for number, member_id in enumerate(takers):
            end = start + share + (number < extra)
            if end > start:
                given[member_id][topic] = frozenset(range(start, end))
            start = end
    return dict(given)


def _place(member_id: str, member: MemberSpec) -> tuple[bool, str, str]:
    return member.instance_id is None, member.instance_id or "", member_id
