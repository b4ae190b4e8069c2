"""A KIP-848 consumer group: what its records add up to. Only `replay` changes that, at run time and at load alike.

What a heartbeat leads to is worked out in `consumer_heartbeat.py`, on a `Draft`: a copy that the records are replayed
into one by one, so that each step sees what the earlier ones did. The records then go to the log, and from there into
the group itself. Nothing but the deadlines is volatile: a broker that restarts goes on where it was.

    EMPTY --member--> ASSIGNING --target made--> RECONCILING --all members reconciled--> STABLE
      ^                  ^                            |                                     |
      +-- nobody left ---+----- a member comes, goes, changes what it wants, topics change -+

A partition belongs to who has it in `assigned` or in `revoking`, and to one member at most: nobody gets it as long as
another has it. At load records come in any order; what the last of each key say is consistent, whatever the order.

Source: Kafka `ConsumerGroup`, `ModernGroup`; KIP-848.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from math import inf
from typing import Self

from odradek.broker.coordinator.group.consumer_members import (
    LEAVE_EPOCH,
    NOBODY,
    ConsumerMember,
    ConsumerState,
    MemberState,
)
from odradek.broker.coordinator.group.consumer_records import (
    Assigned,
    Assignment,
    ConsumerGroupKey,
    ConsumerGroupMetadata,
    ConsumerKey,
    ConsumerValue,
    CurrentAssignment,
    CurrentKey,
    PartitionMetadataKey,
    RegexKey,
    ResolvedRegex,
    Subscription,
    SubscriptionKey,
    TargetEpoch,
    TargetEpochKey,
    TargetKey,
    TargetMember,
)
from odradek.broker.coordinator.group.records import Record
from odradek.errors import ErrorCode, KafkaError

__all__ = ["ConsumerGroup", "Draft"]


class ConsumerGroup:
    """One group. Belongs to one event loop."""

    __slots__ = (
        "_subscribed",
        "changed_ms",
        "deadlines",
        "epoch",
        "group_id",
        "has_partition_metadata",
        "is_dead",
        "members",
        "owners",
        "rebalance_deadlines",
        "regexes",
        "static_ids",
        "target",
        "target_epoch",
        "topics_hash",
        "topics_revision",
        "wake_at_ms",
    )

    protocol_type = "consumer"
    type_name = "consumer"
    state_timestamp_ms = -1
    """Offsets expire by the time of their commit."""

    def __init__(self, group_id: str) -> None:
        self.group_id = group_id
        self.epoch = 0
        self.topics_hash = 0
        self.target_epoch = 0
        self.members: dict[str, ConsumerMember] = {}
        self.static_ids: dict[str, str] = {}
        """Member ids by instance id."""
        self.target: dict[str, Assignment] = {}
        self.owners: dict[tuple[bytes, int], str] = {}
        """By (topic id, partition): the member that has it."""
        self.regexes: dict[str, ResolvedRegex] = {}
        self.has_partition_metadata = False
        """A record of an older broker is left in the log."""
        self.is_dead = False
        self._subscribed: frozenset[str] | None = None
        # Volatile: times, and what is cheaper to keep than to find out again.
        self.deadlines: dict[str, float] = {}
        """By member: when its session ends."""
        self.rebalance_deadlines: dict[str, float] = {}
        """By member that must give up partitions: until when."""
        self.wake_at_ms: float = inf
        self.changed_ms: float = -inf
        """When the epoch was raised last."""
        self.topics_revision = -1
        """Of the cluster's topics when they were last looked at."""

    # Reading

    @property
    def state(self) -> ConsumerState:
        """Where the group stands."""
        if self.is_dead:
            return ConsumerState.DEAD
        if not self.members:
            return ConsumerState.EMPTY
        if self.epoch > self.target_epoch:
            return ConsumerState.ASSIGNING
        if all(member.is_reconciled_to(self.target_epoch) for member in self.members.values()):
            return ConsumerState.STABLE
        return ConsumerState.RECONCILING

    @property
    def is_empty(self) -> bool:
        """True without members."""
        return not self.members

    @property
    def subscribed_topics(self) -> frozenset[str]:
        """The names of all topics that members subscribe to, by name or by expression."""
        if self._subscribed is None:
            names = {name for member in self.members.values() for name in member.subscription.topics}
            self._subscribed = frozenset(names.union(*(regex.topics for regex in self.regexes.values())))
        return self._subscribed

    def topics_of(self, member: ConsumerMember) -> frozenset[str]:
        """Return the names of the topics that a member subscribes to."""
        names = frozenset(member.subscription.topics)
        regex = self.regexes.get(member.subscription.regex or "")
        return names if regex is None else names | regex.topics

    def consumes(self, topic: str) -> bool:
        """Return whether offsets of this topic are in use."""
        return topic in self.subscribed_topics

    def expressions(self) -> set[str]:
        """Return the regular expressions that members subscribe by."""
        return {member.subscription.regex for member in self.members.values() if member.subscription.regex}

    def tombstones(self) -> Iterator[Record]:
        """Return the records that end the group; its offsets are not among them."""
        for member_id in self.members.keys() | self.target.keys():
            yield from member_tombstones(self.group_id, member_id)
        for expression in self.regexes:
            yield Record(RegexKey(self.group_id, expression), None)
        yield Record(TargetEpochKey(self.group_id), None)
        if self.has_partition_metadata:
            yield Record(PartitionMetadataKey(self.group_id), None)
        yield Record(ConsumerGroupKey(self.group_id), None)

    def check_commit(self, member_id: str, epoch: int, places: Iterable[tuple[bytes | None, int]]) -> None:
        """Refuse a commit of offsets by who is no member, or of partitions it may not have any more.

        A member that has not heard of its newest epoch may commit for the partitions it has had since then (KIP-1251),
        those among them that it must give up.

        Args:
            member_id: who commits; "" with an epoch below 0: a tool, which may in a group without members.
            epoch: the epoch it knows.
            places: the partitions, as (topic id, index).

        Raises:
            KafkaError: UNKNOWN_MEMBER_ID (25), STALE_MEMBER_EPOCH (113).
        """
        if epoch < 0 and not self.members:
            return
        member = self.member(member_id)
        if epoch == member.epoch:
            return
        if epoch > member.epoch:
            raise _stale(epoch, member.epoch)
        held = member.held()
        for topic, partition in places:
            since = held.get(topic or b"", {}).get(partition)
            if since is None or epoch < since:
                raise _stale(epoch, member.epoch)

    def check_fetch(self, member_id: str | None, epoch: int) -> None:
        """Refuse to tell committed offsets to a member that is behind. Raises as `check_commit` does."""
        if member_id is None and epoch < 0:
            return
        member = self.member(member_id or "")
        if epoch != member.epoch:
            raise _stale(epoch, member.epoch)

    def member(self, member_id: str) -> ConsumerMember:
        """Return a member. Raises KafkaError: UNKNOWN_MEMBER_ID (25)."""
        member = self.members.get(member_id)
        if member is None:
            raise KafkaError(
                f"Member {member_id} is not a member of group {self.group_id}.", code=ErrorCode.UNKNOWN_MEMBER_ID
            )
        return member

    # Changing

    def replay(self, key: ConsumerKey, value: ConsumerValue | None) -> None:
        """Let a record of this group take effect; all but the tombstone of the group itself."""
        if isinstance(key, CurrentKey):
            if value is not None:
                self._replay_current(key.member, value)  # type: ignore[arg-type]  # key and value agree
            elif key.member in self.members:
                gone = CurrentAssignment(LEAVE_EPOCH, LEAVE_EPOCH, MemberState.STABLE, {}, {})
                self._replay_current(key.member, gone)
        elif isinstance(key, SubscriptionKey):
            self._replay_subscription(key.member, value)  # type: ignore[arg-type]
        elif isinstance(key, TargetKey):
            if isinstance(value, TargetMember):
                self.target[key.member] = value.partitions
            else:
                self.target.pop(key.member, None)
        elif isinstance(key, TargetEpochKey):
            self.target_epoch = value.epoch if isinstance(value, TargetEpoch) else -1
        elif isinstance(key, RegexKey):
            self._subscribed = None
            if isinstance(value, ResolvedRegex):
                self.regexes[key.expression] = value
            else:
                self.regexes.pop(key.expression, None)
        elif isinstance(key, PartitionMetadataKey):
            self.has_partition_metadata = value is not None
        elif isinstance(value, ConsumerGroupMetadata):
            self.epoch, self.topics_hash = value

    def keep_time(self, key: ConsumerKey, now_ms: float, session_timeout_ms: int) -> None:
        """After `replay`: set the deadlines that follow from the record, also at load. Monotonic time.

        A member has a session from when it is known; one that must give up partitions has its rebalance time-out for it.
        """
        if isinstance(key, ConsumerGroupKey):
            self.changed_ms = now_ms
        if not isinstance(key, CurrentKey | SubscriptionKey):
            return
        member = self.members.get(key.member)
        if member is None:
            self.deadlines.pop(key.member, None)
            self.rebalance_deadlines.pop(key.member, None)
            return
        self._arm(self.deadlines.setdefault(key.member, now_ms + session_timeout_ms))
        if not member.revoking:  # a static member that is away has nothing to give up, whatever its state
            self.rebalance_deadlines.pop(key.member, None)
        elif member.subscription is not NOBODY and (
            isinstance(key, CurrentKey) or key.member not in self.rebalance_deadlines
        ):
            # What else is new about a member gives it no more time.
            self.rebalance_deadlines[key.member] = self._arm(now_ms + max(member.subscription.rebalance_timeout_ms, 0))

    def hear(self, member_id: str, deadline_ms: float) -> None:
        """A member spoke: its session ends then at the earliest."""
        if member_id in self.members:
            self.deadlines[member_id] = self._arm(deadline_ms)

    def lapsed(self, now_ms: float) -> list[str]:
        """Return the members whose time is up; sets `wake_at_ms` to when the next one's is."""
        both = (self.deadlines.items(), self.rebalance_deadlines.items())
        gone = {member_id for deadlines in both for member_id, deadline_ms in deadlines if deadline_ms <= now_ms}
        later = (deadline_ms for deadlines in both for _, deadline_ms in deadlines if deadline_ms > now_ms)
        self.wake_at_ms = min(later, default=inf)
        return sorted(gone)

    def _arm(self, deadline_ms: float) -> float:
        self.wake_at_ms = min(self.wake_at_ms, deadline_ms)
        return deadline_ms

    def copy(self) -> Self:
        """Return a group like this one, to try records on."""
        twin = type(self)(self.group_id)
        twin.epoch, twin.topics_hash, twin.target_epoch = self.epoch, self.topics_hash, self.target_epoch
        twin.members, twin.static_ids = dict(self.members), dict(self.static_ids)
        twin.target, twin.owners, twin.regexes = dict(self.target), dict(self.owners), dict(self.regexes)
        twin.has_partition_metadata = self.has_partition_metadata
        return twin

    def _replay_subscription(self, member_id: str, subscription: Subscription | None) -> None:
        self._subscribed = None
        if subscription is None:
            member = self.members.pop(member_id, None)
            if member is not None:
                self._disown(member)
                self._drop_instance(member)
            return
        member = self.members.get(member_id)
        if member is not None:
            self._drop_instance(member)
        self.members[member_id] = (
            ConsumerMember(member_id, subscription) if member is None else replace(member, subscription=subscription)
        )
        if subscription.instance_id is not None:
            self.static_ids[subscription.instance_id] = member_id

    def _replay_current(self, member_id: str, current: CurrentAssignment) -> None:
        before = self.members.get(member_id)
        if before is None:  # at load a member's records come in any order
            before = ConsumerMember(member_id, NOBODY)
        else:
            self._disown(before)
        self.members[member_id] = replace(
            before,
            epoch=current.epoch,
            previous_epoch=current.previous_epoch,
            state=MemberState(current.state),
            assigned=current.assigned,
            revoking=current.revoking,
        )
        for place in _places(current.assigned, current.revoking):
            self.owners[place] = member_id

    def _drop_instance(self, member: ConsumerMember) -> None:
        instance_id = member.subscription.instance_id
        if instance_id is not None and self.static_ids.get(instance_id) == member.member_id:
            del self.static_ids[instance_id]

    def _disown(self, member: ConsumerMember) -> None:
        for place in _places(member.assigned, member.revoking):
            if self.owners.get(place) == member.member_id:
                del self.owners[place]


class Draft:
    """Records that are to be written, and the group as it will be then."""

    def __init__(self, group: ConsumerGroup, prelude: tuple[Record, ...] = ()) -> None:
        """Begin.

        Args:
            group: the group as it is; it is not touched.
            prelude: records about another group of that name, to be written first.
        """
        self.group = group
        self.records: list[Record] = list(prelude)
        self._copied = False

    def add(self, key: ConsumerKey, value: ConsumerValue | None) -> None:
        """Take one more record."""
        if not self._copied:
            self.group = self.group.copy()
            self._copied = True
        self.records.append(Record(key, value))
        self.group.replay(key, value)

    def remove_member(self, member_id: str) -> None:
        """Take the tombstones of a member."""
        for key, _ in member_tombstones(self.group.group_id, member_id):
            self.add(key, None)  # type: ignore[arg-type]  # they are keys of a consumer group


def member_tombstones(group_id: str, member_id: str) -> tuple[Record, Record, Record]:
    """Return what ends a member, in the order that Kafka wants."""
    return (
        Record(CurrentKey(group_id, member_id), None),
        Record(TargetKey(group_id, member_id), None),
        Record(SubscriptionKey(group_id, member_id), None),
    )


def _stale(epoch: int, known: int) -> KafkaError:
    return KafkaError(
        f"The received member epoch {epoch} does not match the expected member epoch {known}.",
        code=ErrorCode.STALE_MEMBER_EPOCH,
    )


def _places(*assigned: Assigned) -> Iterator[tuple[bytes, int]]:
    for topics in assigned:
        for topic, partitions in topics.items():
            for partition in partitions:
                yield topic, partition
