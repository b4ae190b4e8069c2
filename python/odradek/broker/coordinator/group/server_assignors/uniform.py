"""`uniform`: as many partitions for each member as can be, moving as few as can be.

Where all members subscribe to the same topics, numbers differ by one at most, and a member keeps all that its share
allows. Else partitions stay where they are as long as no single move makes two members more alike: moves go topic by
topic, from who has most to who has least, until there is none left to make (each makes the spread smaller: it ends).
Source: Kafka `UniformHomogeneousAssignmentBuilder`, `UniformHeterogeneousAssignmentBuilder`.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from heapq import heapify, heapreplace

from odradek.broker.coordinator.group.server_assignors import Assignment, MemberSpec

__all__ = ["assign"]

_Places = dict[str, dict[bytes, set[int]]]
"""Partitions by member and topic."""


def assign(members: Mapping[str, MemberSpec], counts: Mapping[bytes, int]) -> dict[str, Assignment]:
    """Return what each member gets."""
    if not members:
        return {}
    first = next(iter(members.values())).topics
    if all(member.topics == first for member in members.values()):
        given = _assign_alike(members, {topic: counts[topic] for topic in first})
    else:
        given = _Balancer(members, counts).run()
    return {
        member_id: {topic: frozenset(partitions) for topic, partitions in topics.items() if partitions}
        for member_id, topics in given.items()
    }


def _assign_alike(members: Mapping[str, MemberSpec], counts: Mapping[bytes, int]) -> _Places:
    share, extra = divmod(sum(counts.values()), len(members))
    free = {topic: set(range(count)) for topic, count in counts.items()}
    given: _Places = {}
    lacking: list[tuple[str, int]] = []
    for member_id in sorted(members):
        # Who has more than the share may keep one more, as long as there are such places left.
        kept = _still_there(members[member_id].previous, free)
        limit = share + 1 if extra and len(kept) > share else share
        extra -= limit > share
        mine = given[member_id] = defaultdict(set)
        for topic, partition in kept[:limit]:
            mine[topic].add(partition)
            free[topic].discard(partition)
        if limit == share:
            lacking.append((member_id, max(share - len(kept), 0)))
    left = _in_order(free)
    for member_id, lacks in lacking:
        wants = lacks
        if extra:
            wants, extra = lacks + 1, extra - 1
        for _ in range(wants):
            topic, partition = next(left)
            given[member_id][topic].add(partition)
    return given


def _still_there(previous: Assignment, free: Mapping[bytes, set[int]]) -> list[tuple[bytes, int]]:
    """Return what a member had and may keep: it exists, and nobody else has kept it."""
    return [
        (topic, partition)
        for topic in sorted(previous)
        for partition in sorted(previous[topic] & free.get(topic, set()))
    ]


def _in_order(free: Mapping[bytes, Iterable[int]]) -> Iterator[tuple[bytes, int]]:
    for topic in sorted(free):
        for partition in sorted(free[topic]):
            yield topic, partition


class _Balancer:
    """Members that subscribe to different topics."""

    def __init__(self, members: Mapping[str, MemberSpec], counts: Mapping[bytes, int]) -> None:
        self._members = members
        self._counts = counts
        self._given: _Places = {member_id: defaultdict(set) for member_id in members}
        self._load = dict.fromkeys(members, 0)
        subscribers: dict[bytes, list[str]] = defaultdict(list)
        for member_id in sorted(members):
            for topic in members[member_id].topics:
                subscribers[topic].append(member_id)
        # Who can choose least comes first.
        self._subscribers = dict(sorted(subscribers.items(), key=lambda item: (len(item[1]), item[0])))

    def run(self) -> _Places:
        free = {topic: set(range(self._counts[topic])) for topic in self._subscribers}
        for member_id in sorted(self._members):
            member = self._members[member_id]
            for topic, partition in _still_there(member.previous, free):
                if topic in member.topics:
                    free[topic].discard(partition)
                    self._give(member_id, topic, partition)
        for topic, takers in self._subscribers.items():
            self._fill(topic, takers, sorted(free[topic]))
        moved = True
        while moved:
            moved = False
            for topic, takers in self._subscribers.items():
                moved |= self._level(topic, takers)
        return self._given

    def _fill(self, topic: bytes, takers: list[str], partitions: list[int]) -> None:
        least = [(self._load[member_id], member_id) for member_id in takers] if partitions else []
        heapify(least)
        for partition in partitions:
            load, member_id = least[0]
            self._give(member_id, topic, partition)
            heapreplace(least, (load + 1, member_id))

    def _level(self, topic: bytes, takers: list[str]) -> bool:
        """Move partitions of a topic until no move evens out any more; return whether there was one."""
        moved = False
        load = self._load
        while True:
            least = min(takers, key=load.__getitem__)
            holders = [member_id for member_id in takers if self._given[member_id].get(topic)]
            most = max(holders, key=load.__getitem__, default=least)
            if load[most] - load[least] <= 1:
                return moved
            partition = max(self._given[most][topic])
            self._given[most][topic].discard(partition)
            load[most] -= 1
            self._give(least, topic, partition)
            moved = True

    def _give(self, member_id: str, topic: bytes, partition: int) -> None:
        self._given[member_id][topic].add(partition)
        self._load[member_id] += 1
