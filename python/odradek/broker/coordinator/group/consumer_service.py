"""Consumer groups (KIP-848) of the group coordinator: drafts what a request leads to, writes it, answers then.

`service.py` finds the group and comes here; the rules are in `consumer_heartbeat.py`. Nothing is answered that is not in
the log, and a draft that can't be written leaves no trace.
"""

from contextlib import suppress
from uuid import uuid4

from odradek.broker.coordinator.clock import Clock
from odradek.broker.coordinator.group.classic import ClassicGroup
from odradek.broker.coordinator.group.consumer import ConsumerGroup, Draft
from odradek.broker.coordinator.group.consumer_heartbeat import Rules, Surroundings, check, fence, heartbeat, leave
from odradek.broker.coordinator.group.consumer_members import JOIN_EPOCH, HeartbeatAnswer, HeartbeatRequest
from odradek.broker.coordinator.group.records import Record
from odradek.broker.coordinator.group.settings import GroupSettings, Names
from odradek.broker.coordinator.group.shard import AnyGroup, GroupShard
from odradek.broker.coordinator.group.target import ClusterTopics
from odradek.broker.coordinator.runtime import Runtime
from odradek.errors import ErrorCode, KafkaError

__all__ = ["ConsumerGroups", "HeartbeatAnswer", "HeartbeatRequest"]

_FENCED_AT_ONCE = 100


class ConsumerGroups:
    """What the coordinator does with its consumer groups. Belongs to the broker's event loop."""

    def __init__(
        self, settings: GroupSettings, runtime: Runtime, topics: ClusterTopics, names: Names, clock: Clock
    ) -> None:
        self._runtime = runtime
        self._names = names
        self._topics = topics
        self._clock = clock
        self._rules = Rules(
            settings.consumer_session_timeout_ms,
            settings.consumer_heartbeat_interval_ms,
            settings.consumer_max_size,
            settings.consumer_assignors,
        )

    def check(self, request: HeartbeatRequest, version: int) -> None:
        """Refuse a request that makes no sense, whatever the group. Raises KafkaError."""
        check(request, version, self._rules.assignors)

    def heartbeat(self, shard: GroupShard, group: AnyGroup | None, request: HeartbeatRequest) -> HeartbeatAnswer:
        """Serve a heartbeat; see `consumer_heartbeat.py` for what may be wrong with it.

        Args:
            shard: where the group is or is to be.
            group: the group of that name, if any.
            request: what the member says; checked.

        Raises:
            KafkaError: also GROUP_ID_NOT_FOUND (69).
        """
        draft = Draft(*self._group_for(shard, group, request))
        around = Surroundings(self._rules, self._topics, self._clock.wall_ms(), lambda: str(uuid4()), self._matching)
        revision = self._topics.revision
        stays = request.epoch >= JOIN_EPOCH
        answer = (heartbeat if stays else leave)(draft, request, around)
        if draft.records:
            self._write(shard, draft)
        after = shard.groups.get(request.group_id)
        if stays and after is not None and not isinstance(after, ClassicGroup):
            after.topics_revision = revision
            after.hear(answer.member_id, self._clock.monotonic_ms() + self._rules.session_timeout_ms)
        return answer

    def _write(self, shard: GroupShard, draft: Draft) -> None:
        try:
            self._runtime.commit(shard.partition, draft.records)
        except KafkaError as problem:
            if problem.error_code is ErrorCode.MESSAGE_TOO_LARGE:  # members are told what they can act on
                raise KafkaError(str(problem), code=ErrorCode.UNKNOWN_SERVER_ERROR) from problem
            raise

    def expire(self, shard: GroupShard, group: ConsumerGroup) -> None:
        """Take members out of a group that were silent or did not give up partitions for too long."""
        gone = group.lapsed(self._clock.monotonic_ms())
        for start in range(0, len(gone), _FENCED_AT_ONCE):
            draft = Draft(group)
            fence(draft, gone[start : start + _FENCED_AT_ONCE], self._topics)
            with suppress(KafkaError):  # the log failed: the group is no longer this broker's
                self._runtime.commit(shard.partition, draft.records)

    def _matching(self, expression: str) -> frozenset[str]:
        return frozenset(self._names.matching_names(expression, self._topics.names()))

    @staticmethod
    def _group_for(
        shard: GroupShard, group: AnyGroup | None, request: HeartbeatRequest
    ) -> tuple[ConsumerGroup, tuple[Record, ...]]:
        """Return the group, made if the member joins, and what ends an empty classic group of that name."""
        joins = request.epoch == JOIN_EPOCH
        if group is None and joins:
            return ConsumerGroup(request.group_id), ()
        if group is None:
            raise KafkaError(f"Consumer group {request.group_id} not found.", code=ErrorCode.GROUP_ID_NOT_FOUND)
        if not isinstance(group, ClassicGroup):
            return group, ()
        if joins and group.is_empty and not group.members.pending:
            return ConsumerGroup(request.group_id), tuple(shard.ending(group))
        raise KafkaError(f"Group {request.group_id} is not a consumer group.", code=ErrorCode.GROUP_ID_NOT_FOUND)
