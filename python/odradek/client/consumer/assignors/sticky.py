"""`sticky`: as even as can be, and as much as possible stays where it was. `stick` is the algorithm of both kinds.

This one is eager: all members stop for the rebalance, but then mostly get back what they had. What a member had comes
in its user data, as it owns nothing any more when it joins:

    user data     previous_assignment [topic string, partitions [i32]] | v1 generation i32

Source: Kafka `StickyAssignor` (the blob); the algorithm is our own.
"""

import struct
from collections import defaultdict
from collections.abc import Mapping

from odradek.client.consumer.assignors.base import Assignment, Assignor, in_order
from odradek.client.consumer.blobs import NO_GENERATION, BlobReader, Subscription, encode_partitions
from odradek.errors import RemoteProtocolError
from odradek.types import TopicPartition

__all__ = ["StickyAssignor", "stick"]

Claims = Mapping[str, tuple[tuple[TopicPartition, ...], int]]
"""By member id: partitions that it had, and the generation it had them in."""


class StickyAssignor(Assignor):
    """Balanced and sticky, eager."""

    name = "sticky"

    def assign(self, members: Mapping[str, Subscription], counts: Mapping[str, int]) -> Assignment:
        """See `Assignor.assign`."""
        return stick(members, counts, {member: self._claim(members[member].user_data) for member in members})

    def user_data(self, owned: tuple[TopicPartition, ...], generation: int) -> bytes | None:
        """Return version 1 of the blob."""
        return encode_partitions(owned) + struct.pack(">i", generation)

    @staticmethod
    def _claim(user_data: bytes | None) -> tuple[tuple[TopicPartition, ...], int]:
        """Read either version; a blob that can't be read claims nothing, so that one member can't stop the group."""
        if not user_data:
            return (), NO_GENERATION
        try:
            reader = BlobReader(user_data, "sticky user data")
            owned = tuple(reader.partitions())
            return owned, reader.int32() if reader.left else NO_GENERATION
        except RemoteProtocolError:
            return (), NO_GENERATION


def stick(members: Mapping[str, Subscription], counts: Mapping[str, int], claims: Claims) -> Assignment:
    """Return an even assignment that moves as little as possible.

    Even: nobody could be given a partition of somebody who has two or more above him. Every partition that somebody
    wants is given out. Of two claims on a partition the one of the later generation holds; of the same, neither.
    """
    ordered = in_order(members)
    wants = {member: frozenset(members[member].topics) for member in ordered}
    wanted = frozenset[str]().union(*wants.values())
    everything = [TopicPartition(topic, n) for topic in sorted(wanted & counts.keys()) for n in range(counts[topic])]
    owner = _surviving_claims(ordered, wants, counts, claims)
    held: dict[str, list[TopicPartition]] = {member: [] for member in ordered}
    for partition in everything:
        if partition in owner:
            held[owner[partition]].append(partition)
    free = [partition for partition in everything if partition not in owner]
    if len(set(wants.values())) == 1:
        free += _take_excess(held, len(everything))
    _give_out(free, held, wants)
    _level(held, wants)
    return {member: sorted(held[member]) for member in ordered}


def _surviving_claims(
    ordered: list[str], wants: Mapping[str, frozenset[str]], counts: Mapping[str, int], claims: Claims
) -> dict[TopicPartition, str]:
    """Return the rightful owner of each partition that still exists and that its owner still wants."""
    best: dict[TopicPartition, tuple[int, str | None]] = {}
    for member in ordered:
        owned, generation = claims[member]
        for partition in owned:
            if partition.topic not in wants[member] or not 0 <= partition.partition < counts.get(partition.topic, 0):
                continue
            before = best.get(partition)
            if before is None or generation > before[0]:
                best[partition] = (generation, member)
            elif generation == before[0] and before[1] != member:
                best[partition] = (generation, None)
    return {partition: member for partition, (_, member) in best.items() if member is not None}


def _take_excess(held: dict[str, list[TopicPartition]], total: int) -> list[TopicPartition]:
    """Take from those above their quota, when all want the same: exactly as many moves as are needed.

    Those that have most keep the odd partitions; then nothing moves that could stay.
    """
    share, odd = divmod(total, len(held))
    freed: list[TopicPartition] = []
    for member in sorted(held, key=lambda one: -len(held[one])):
        quota = share + (odd > 0)
        if len(held[member]) >= quota:
            odd -= odd > 0
        freed += held[member][quota:]
        del held[member][quota:]
    return freed


def _give_out(
    free: list[TopicPartition], held: dict[str, list[TopicPartition]], wants: Mapping[str, frozenset[str]]
) -> None:
    """Give each free partition to whom has least of those that want it; partitions that few want go first."""
    takers: defaultdict[str, list[str]] = defaultdict(list)
    for member, topics in wants.items():
        for topic in topics:
            takers[topic].append(member)
    for partition in sorted(free, key=lambda one: (len(takers[one.topic]), one)):
        taker = min(takers[partition.topic], key=lambda member: len(held[member]))
        held[taker].append(partition)


def _level(held: dict[str, list[TopicPartition]], wants: Mapping[str, frozenset[str]]) -> None:
    """Move partitions from whom has most until no move makes it more even. Each move lessens the sum of squares."""
    while True:
        for giver in sorted(held, key=lambda member: -len(held[member])):
            topics = {partition.topic for partition in held[giver]}
            takers = [
                one for one in held if len(held[one]) <= len(held[giver]) - 2 and not topics.isdisjoint(wants[one])
            ]
            if takers:
                taker = min(takers, key=lambda member: len(held[member]))
                moved = next(one for one in reversed(held[giver]) if one.topic in wants[taker])
                held[giver].remove(moved)
                held[taker].append(moved)
                break
        else:
            return
