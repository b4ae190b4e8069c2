"""The groups and offsets of one partition of `__consumer_offsets`, and what follows from them without time passing.

`replay` is the only way in for anything that must outlive the broker. The questions below it (what has expired, what is
deleted with a topic) answer with the records that would do it; the service appends them.
Source: Kafka `GroupCoordinatorShard`, `OffsetMetadataManager`.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Union

from odradek.broker.coordinator.clock import Clock
from odradek.broker.coordinator.group.classic import CONSUMER, ClassicGroup
from odradek.broker.coordinator.group.offsets import Offsets
from odradek.broker.coordinator.group.records import GroupKey, GroupMetadata, OffsetCommit, OffsetKey, Record
from odradek.broker.coordinator.group.states import Limits, State
from odradek.errors import ErrorCode

if TYPE_CHECKING:
    from odradek.broker.coordinator.group.consumer import ConsumerGroup
    from odradek.broker.coordinator.group.consumer_records import ConsumerKey, ConsumerValue

__all__ = ["AnyGroup", "GroupShard", "told"]

AnyGroup = Union[ClassicGroup, "ConsumerGroup"]
"""What is no ClassicGroup is a ConsumerGroup: most brokers never load that class."""


def told(problem: ErrorCode) -> ErrorCode:
    """Return what members are told of a failed append: what they can act on."""
    return ErrorCode.UNKNOWN_SERVER_ERROR if problem is ErrorCode.MESSAGE_TOO_LARGE else problem


class GroupShard:
    """State of one partition.

    `settle` is called for each group that a replay or an unload has touched, `take_in` before a classic one ends.
    """

    def __init__(
        self,
        partition: int,
        limits: Limits,
        clock: Clock,
        settle: Callable[["GroupShard", AnyGroup], None],
        *,
        take_in: Callable[[ClassicGroup], object],
        consumer_session_timeout_ms: int = 45_000,
    ) -> None:
        self.partition = partition
        self.groups: dict[str, AnyGroup] = {}
        self.offsets = Offsets()
        self._limits = limits
        self._clock = clock
        self._settle = settle
        self._take_in = take_in
        self._consumer_session_timeout_ms = consumer_session_timeout_ms

    def replay(self, record: Record) -> None:
        """Let a record of the log take effect."""
        key, value = record
        if isinstance(key, OffsetKey):
            if isinstance(value, OffsetCommit):
                self.group_or_new(key.group)  # a group that only commits is known by its commits
                self.offsets.put(key, value)
            else:
                self.offsets.remove(key)
        elif not isinstance(key, GroupKey):
            self._replay_consumer(key, value)  # type: ignore[arg-type]  # key and value agree
        elif isinstance(value, GroupMetadata):
            group = self.groups.get(key.group)
            if not isinstance(group, ClassicGroup):
                group = self.groups[key.group] = ClassicGroup(key.group, self._limits)
            group.apply(value, self._clock.monotonic_ms())
            if group.state is State.STABLE and len(group.members) > self._limits.max_size:
                group.rebalance(self._clock.monotonic_ms())  # the limit was lowered: the last to join find no room
            self._settle(self, group)
        elif isinstance(self.groups.get(key.group), ClassicGroup):
            self._remove(key.group, ErrorCode.GROUP_ID_NOT_FOUND)

    def close(self, error: ErrorCode) -> None:
        """Give up all groups: whoever waits is told why."""
        for group_id in list(self.groups):
            self._remove(group_id, error)

    def group_or_new(self, group_id: str) -> AnyGroup:
        """Return the group; make an empty classic one if there is none."""
        group = self.groups.get(group_id)
        if group is None:
            group = self.groups[group_id] = ClassicGroup(group_id, self._limits)
        return group

    def deletion(self, group: AnyGroup) -> list[Record]:
        """Return the tombstones of a group and all its offsets."""
        records = [Record(key, None) for key, _ in self.offsets.items(group.group_id)]
        return records + self.ending(group)

    def ending(self, group: AnyGroup) -> list[Record]:
        """Return the tombstones of a group; its offsets stay."""
        if isinstance(group, ClassicGroup):
            return [Record(GroupKey(group.group_id), None)]
        return list(group.tombstones())

    def expired(self, group: AnyGroup, now_ms: int, retention_ms: int) -> list[Record]:
        """Return the tombstones of a group's offsets that are due, and of the group itself if nothing is left of it.

        Nothing expires while a member may still use it. An empty group's offsets expire by the time it became empty, a
        simple group's, a consumer group's (KIP-848) and those of topics that nobody in a stable group consumes by the
        time of the commit (KIP-211).

        Args:
            group: a group of this shard.
            now_ms: wall-clock time.
            retention_ms: `offsets.retention.minutes`.
        """
        empty = group.is_empty
        if not empty and isinstance(group, ClassicGroup):
            consumers = group.protocol_type == CONSUMER and group.subscribed_topics is not None
            if group.state is not State.STABLE or not consumers:
                return []
        since_ms = group.state_timestamp_ms if empty and group.protocol_type is not None else -1
        records = []
        left = False
        for key, commit in self.offsets.items(group.group_id):
            if commit.expire_timestamp_ms >= 0:
                due_ms = commit.expire_timestamp_ms
            else:
                due_ms = (since_ms if since_ms >= 0 else commit.commit_timestamp_ms) + retention_ms
            if due_ms <= now_ms and key.topic not in (group.subscribed_topics or ()):
                records.append(Record(key, None))
            else:
                left = True
        if empty and not left and not (isinstance(group, ClassicGroup) and group.members.pending):
            records += self.ending(group)
        return records

    def _replay_consumer(self, key: "ConsumerKey", value: "ConsumerValue | None") -> None:
        from odradek.broker.coordinator.group.consumer import ConsumerGroup  # noqa: PLC0415 - see AnyGroup
        from odradek.broker.coordinator.group.consumer_records import ConsumerGroupKey  # noqa: PLC0415

        group = self.groups.get(key.group)
        if group is None or isinstance(group, ClassicGroup):
            if value is None:
                return  # of a group that is gone
            # A classic group here is one that offsets made: the tombstone of any other comes before these records.
            group = self.groups[key.group] = ConsumerGroup(key.group)
        if value is None and isinstance(key, ConsumerGroupKey):
            self._remove(key.group, ErrorCode.GROUP_ID_NOT_FOUND)
            return
        group.replay(key, value)
        group.keep_time(key, self._clock.monotonic_ms(), self._consumer_session_timeout_ms)
        self._settle(self, group)

    def _remove(self, group_id: str, error: ErrorCode) -> None:
        group = self.groups.pop(group_id, None)
        if group is None:
            return
        if isinstance(group, ClassicGroup):
            self._take_in(group)
            group.kill(error)
        else:
            group.is_dead = True
        self._settle(self, group)
