"""A group's target assignment: what the assignor says each member is to have, as the records that say it.

Also what of the cluster's topics a group depends on. Read next: `server_assignors/`.
Source: Kafka `TargetAssignmentBuilder`, `ModernGroup.computeMetadataHash`.
"""

from collections.abc import Collection, Iterable, Sized
from hashlib import blake2b
from typing import Protocol
from uuid import UUID

from odradek.broker.coordinator.group import server_assignors
from odradek.broker.coordinator.group.consumer import ConsumerGroup, Draft
from odradek.broker.coordinator.group.consumer_records import TargetEpoch, TargetEpochKey, TargetKey, TargetMember

__all__ = ["ClusterTopic", "ClusterTopics", "preferred_assignor", "topic_ids", "topics_hash", "update_target"]


class ClusterTopic(Protocol):
    """One topic, as `controller/topics.py` has it."""

    @property
    def topic_id(self) -> UUID: ...  # noqa: D102
    @property
    def partitions(self) -> Sized: ...  # noqa: D102


class ClusterTopics(Protocol):
    """The cluster's topics."""

    @property
    def revision(self) -> int:
        """Changes with every topic that is made, grown or deleted."""
        ...

    def get(self, name: str) -> ClusterTopic | None: ...  # noqa: D102
    def names(self) -> list[str]: ...  # noqa: D102


def topic_ids(names: Iterable[str], topics: ClusterTopics) -> frozenset[bytes]:
    """Return the ids of those topics that exist."""
    found = (topics.get(name) for name in names)
    return frozenset(topic.topic_id.bytes for topic in found if topic is not None)


def topics_hash(names: Collection[str], topics: ClusterTopics) -> int:
    """Return a number that changes when one of these topics is made, deleted, made anew or grown; 0 for no topics.

    Only compared with what this function has said before: a broker of another make may hash as it likes.
    """
    found = [(name, topic) for name in sorted(names) if (topic := topics.get(name)) is not None]
    if not found:
        return 0
    digest = blake2b(digest_size=8)
    for name, topic in found:
        digest.update(name.encode() + b"\0" + topic.topic_id.bytes + len(topic.partitions).to_bytes(4, "big"))
    return int.from_bytes(digest.digest(), "big", signed=True)


def preferred_assignor(group: ConsumerGroup, offered: Collection[str]) -> str:
    """Return the assignor that most members ask for, the first on offer if none does."""
    votes = dict.fromkeys(offered, 0)
    for member in group.members.values():
        name = member.subscription.assignor
        if name in votes:
            votes[name] += 1
    return max(votes, key=votes.__getitem__)  # of equals the first


def update_target(draft: Draft, assignor: str, topics: ClusterTopics, now_ms: int) -> None:
    """Assign anew: add the records of members whose target changes, and of the epoch.

    Args:
        draft: the group; its epoch is the new target's.
        assignor: name of the assignor.
        topics: the cluster's.
        now_ms: wall-clock time.
    """
    group = draft.group
    counts: dict[bytes, int] = {}
    for name in group.subscribed_topics:
        topic = topics.get(name)
        if topic is not None:
            counts[topic.topic_id.bytes] = len(topic.partitions)
    ids: dict[frozenset[str], frozenset[bytes]] = {}
    specs = {}
    for member_id, member in group.members.items():
        names = group.topics_of(member)
        if names not in ids:  # mostly all members subscribe to the same
            ids[names] = topic_ids(names, topics)
        specs[member_id] = server_assignors.MemberSpec(
            ids[names], member.subscription.instance_id, group.target.get(member_id, {})
        )
    target = server_assignors.find(assignor)(specs, counts)
    for member_id, assignment in target.items():
        if group.target.get(member_id) != assignment:
            draft.add(TargetKey(group.group_id, member_id), TargetMember(assignment))
    draft.add(TargetEpochKey(group.group_id), TargetEpoch(group.epoch, now_ms))
