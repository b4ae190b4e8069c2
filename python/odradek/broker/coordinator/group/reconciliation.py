"""One member's next step from what it has to what it is to have: revoke, wait for the word that it did, assign.

A member never gets a partition that another has, in `assigned` or in `revoking`; and it is not told of anything new
before it has said that it gave up what it must. Pure: `next_step` returns the member as it will be.
Source: Kafka `CurrentAssignmentBuilder`; KIP-848, "Reconciliation".
"""

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import NamedTuple

from odradek.broker.coordinator.group.consumer_members import ConsumerMember, MemberState
from odradek.broker.coordinator.group.consumer_records import Assigned, Assignment
from odradek.errors import ErrorCode, KafkaError

__all__ = ["next_step"]


class _Goal(NamedTuple):
    epoch: int
    target: Assignment
    subscribed: Collection[bytes]
    owners: Mapping[tuple[bytes, int], str]


def next_step(
    member: ConsumerMember,
    target_epoch: int,
    target: Assignment,
    *,
    subscribed: Collection[bytes],
    owners: Mapping[tuple[bytes, int], str],
    owned: Assignment | None,
) -> ConsumerMember:
    """Return the member one step on, or as it is when it can't move.

    Args:
        member: the member as it is, its new subscription included.
        target_epoch: epoch of the target assignment.
        target: what the member is to have.
        subscribed: ids of the topics that the member subscribes to now; it keeps nothing of others.
        owners: who has which partition.
        owned: what the member says it has; None when it does not say.

    Raises:
        KafkaError: FENCED_MEMBER_EPOCH (110): a newer broker left it in a state unknown here, and it has partitions.
    """
    state = member.state
    goal = _Goal(target_epoch, target, subscribed, owners)
    if state is MemberState.UNKNOWN:
        if owned is None or owned:
            raise KafkaError(
                "The consumer group member is in a state unknown here. It must abandon all its partitions and rejoin.",
                code=ErrorCode.FENCED_MEMBER_EPOCH,
            )
        return _advance(replace(member, epoch=target_epoch), goal, owned)
    stuck = state is MemberState.UNREVOKED_PARTITIONS and _has_any(owned, member.revoking)
    if stuck or member.is_reconciled_to(target_epoch):
        return _drop_unsubscribed(member, subscribed, owned)
    return _advance(member, goal, owned)


def _advance(member: ConsumerMember, goal: _Goal, owned: Assignment | None) -> ConsumerMember:
    kept: dict[bytes, dict[int, int]] = {}
    revoking: dict[bytes, dict[int, int]] = {}
    gained: dict[bytes, list[int]] = {}
    waits = False
    for topic in {**goal.target, **member.assigned}:
        wanted = goal.target.get(topic, frozenset()) if topic in goal.subscribed else frozenset()
        has = member.assigned.get(topic, {})
        for partition, epoch in has.items():
            (kept if partition in wanted else revoking).setdefault(topic, {})[partition] = epoch
        for partition in wanted:
            if partition in has:
                continue
            # What the member itself was giving up is free for it: it got here, so it has given it up.
            if goal.owners.get((topic, partition), member.member_id) == member.member_id:
                gained.setdefault(topic, []).append(partition)
            else:
                waits = True
    if revoking and _has_any(owned, revoking):
        return _moved(member, member.epoch, MemberState.UNREVOKED_PARTITIONS, kept, revoking)
    for topic, partitions in gained.items():
        kept.setdefault(topic, {}).update(dict.fromkeys(partitions, goal.epoch))
    return _moved(
        member, goal.epoch, MemberState.UNRELEASED_PARTITIONS if waits else MemberState.STABLE, kept, revoking={}
    )


def _drop_unsubscribed(
    member: ConsumerMember, subscribed: Collection[bytes], owned: Assignment | None
) -> ConsumerMember:
    """Take topics away that the member does not want any more, without waiting for a new target assignment."""
    dropped = {topic: epochs for topic, epochs in member.assigned.items() if topic not in subscribed}
    if not dropped:
        return member
    kept = {topic: epochs for topic, epochs in member.assigned.items() if topic in subscribed}
    revoking = {topic: dict(epochs) for topic, epochs in member.revoking.items()}
    for topic, epochs in dropped.items():
        revoking.setdefault(topic, {}).update(epochs)
    if _has_any(owned, revoking):
        return _moved(member, member.epoch, MemberState.UNREVOKED_PARTITIONS, kept, revoking)
    return _moved(member, member.epoch, member.state, kept, member.revoking)


def _moved(
    member: ConsumerMember, epoch: int, state: MemberState, assigned: Assigned, revoking: Assigned
) -> ConsumerMember:
    if (epoch, state, assigned, revoking) == (member.epoch, member.state, member.assigned, member.revoking):
        return member
    # With the epoch before comes a member that has missed an answer.
    return replace(member, epoch=epoch, previous_epoch=member.epoch, state=state, assigned=assigned, revoking=revoking)


def _has_any(owned: Assignment | None, assigned: Assigned) -> bool:
    """Return whether a member has any of these partitions, by what it says; one that says nothing still has all."""
    if owned is None:
        return True
    return any(not owned[topic].isdisjoint(epochs) for topic, epochs in assigned.items() if topic in owned)
