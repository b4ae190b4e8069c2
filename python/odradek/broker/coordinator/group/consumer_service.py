"""Consumer groups (KIP-848) of the group coordinator: drafts what a request leads to, writes it, answers then.

`service.py` finds the group and comes here; the rules are in `consumer_heartbeat.py`. Nothing is answered that is not in
the log, and a draft that can't be written leaves no trace.
"""

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Final
from uuid import uuid4

from odradek.broker.coordinator.clock import Clock
from odradek.broker.coordinator.group.classic import ClassicGroup
from odradek.broker.coordinator.group.consumer import ConsumerGroup, Draft
from odradek.broker.coordinator.group.consumer_heartbeat import Rules, Surroundings, check, fence, heartbeat, leave
from odradek.broker.coordinator.group.consumer_members import (
    JOIN_EPOCH,
    HeartbeatAnswer,
    HeartbeatRequest,
)
from odradek.broker.coordinator.group.expressions import Expressions, Matches
from odradek.broker.coordinator.group.records import Record
from odradek.broker.coordinator.group.settings import GroupSettings, Names
from odradek.broker.coordinator.group.shard import AnyGroup, GroupShard, told
from odradek.broker.coordinator.group.target import ClusterTopics
from odradek.broker.coordinator.runtime import Runtime
from odradek.errors import ErrorCode, KafkaError

__all__ = ["ConsumerGroups", "HeartbeatAnswer", "HeartbeatRequest"]

_FENCED_AT_ONCE: Final = 100
_SOON_MS: Final = 250
_SOON_MS_A_MEMBER: Final = 2
"""Large groups come less often, so that all of them together send no more than 500 heartbeats a second."""
_RESTLESS_MS: Final = 5_000
"""How long after a change another is to be expected."""


class ConsumerGroups:
    """What the coordinator does with its consumer groups. Belongs to the broker's event loop."""

    def __init__(
        self, settings: GroupSettings, runtime: Runtime, topics: ClusterTopics, names: Names, clock: Clock
    ) -> None:
        self._runtime = runtime
        self._expressions = Expressions(names, topics)
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

    async def heartbeat(self, shard_of: Callable[[], GroupShard], request: HeartbeatRequest) -> HeartbeatAnswer:
        """Serve a heartbeat; see `consumer_heartbeat.py` for what may be wrong with it.

        What it needs to know of regular expressions is found out first, and the group looked at anew after each wait:
        what was true before need not be true any more. The heartbeat itself is then served in one go.

        Args:
            shard_of: returns where the group is or is to be, whenever it is asked. Raises KafkaError.
            request: what the member says; checked.

        Raises:
            KafkaError: also GROUP_ID_NOT_FOUND (69).
        """
        matches = self._expressions.none()
        while wanted := self._unresolved(shard_of().groups.get(request.group_id), request) - matches.found.keys():
            more = await self._expressions.resolve(wanted)
            # Topics may have changed in between; then the next heartbeat finds the group behind them and asks again.
            matches = Matches(min(matches.revision, more.revision), matches.found | more.found)
        shard = shard_of()
        return self._serve(shard, shard.groups.get(request.group_id), request, matches)

    def _unresolved(self, group: AnyGroup | None, request: HeartbeatRequest) -> set[str]:
        """Return the expressions that the heartbeat is going to look up."""
        if request.epoch < JOIN_EPOCH:
            return set()
        known: Iterable[str] = ()
        behind = False
        if group is not None and not isinstance(group, ClassicGroup):
            known, behind = group.regexes, group.topics_revision != self._topics.revision
        wanted = set(known) if behind else set()
        if request.regex and request.regex not in known:
            wanted.add(request.regex)
        return wanted

    def _serve(
        self, shard: GroupShard, group: AnyGroup | None, request: HeartbeatRequest, matches: Matches
    ) -> HeartbeatAnswer:
        draft = Draft(*self._group_for(shard, group, request))
        around = Surroundings(self._rules, self._topics, self._clock.wall_ms(), lambda: str(uuid4()), matches.of)
        stays = request.epoch >= JOIN_EPOCH
        answer = (heartbeat if stays else leave)(draft, request, around)
        if draft.records:
            self._write(shard, draft)
        after = shard.groups.get(request.group_id)
        if stays and after is not None and not isinstance(after, ClassicGroup):
            after.topics_revision = matches.revision
            now_ms = self._clock.monotonic_ms()
            after.hear(answer.member_id, now_ms + self._rules.session_timeout_ms)
            answer = replace(answer, heartbeat_interval_ms=self._interval_ms(after, answer.member_id, now_ms))
        return answer

    def _interval_ms(self, group: ConsumerGroup, member_id: str, now_ms: float) -> int:
        """Return when the next heartbeat is to come.

        What a member has to do for others to go on it learns from an answer only: who waits for partitions, and all for
        a while after a change, as more may be about to come, are asked to come sooner than
        `group.consumer.heartbeat.interval.ms` says. Apache Kafka asks for none of it, so that members which start
        together share after one or two intervals.
        """
        usual_ms = self._rules.heartbeat_interval_ms
        settled = group.epoch == group.target_epoch and group.members[member_id].is_reconciled_to(group.target_epoch)
        if settled and now_ms - group.changed_ms >= _RESTLESS_MS:
            return usual_ms
        return min(usual_ms, max(_SOON_MS, len(group.members) * _SOON_MS_A_MEMBER))

    def _write(self, shard: GroupShard, draft: Draft) -> None:
        try:
            self._runtime.commit(shard.partition, draft.records)
        except KafkaError as problem:
            raise KafkaError.of(told(problem.error_code), str(problem)) from problem

    def stop(self) -> None:
        """Tell who waits for an expression that the broker is stopping."""
        self._expressions.stop()

    def expire(self, shard: GroupShard, group: ConsumerGroup) -> None:
        """Take members out of a group that were silent or did not give up partitions for too long."""
        gone = group.lapsed(self._clock.monotonic_ms())
        with suppress(KafkaError):  # the log failed: the group is no longer this broker's
            self._fence(shard, group, gone, _FENCED_AT_ONCE)

    def remove(self, shard: GroupShard, group: ConsumerGroup, who: Iterable[tuple[str, str | None]]) -> list[ErrorCode]:
        """Take members out of a group as an admin asks for by LeaveGroup; those found at least, each with its result.

        Args:
            shard: where the group is.
            group: the group.
            who: (member id, instance id) of each; an empty member id with an instance id is whoever has that.

        Raises:
            KafkaError: NOT_COORDINATOR (16): the log failed.
        """
        errors = []
        gone = set()
        for member_id, instance_id in who:
            known = member_id if instance_id is None else group.static_ids.get(instance_id)
            if known is None or known not in group.members:
                errors.append(ErrorCode.UNKNOWN_MEMBER_ID)
            elif member_id not in ("", known):
                errors.append(ErrorCode.FENCED_INSTANCE_ID)
            else:
                errors.append(ErrorCode.NONE)
                gone.add(known)
        self._fence(shard, group, sorted(gone), _FENCED_AT_ONCE)
        return errors

    def _fence(self, shard: GroupShard, group: ConsumerGroup, gone: Sequence[str], at_once: int) -> None:
        for start in range(0, len(gone), at_once):
            part = gone[start : start + at_once]
            draft = Draft(group)
            fence(draft, part, self._topics)
            try:
                self._runtime.commit(shard.partition, draft.records)
            except KafkaError as problem:  # ids may be long
                if problem.error_code is not ErrorCode.MESSAGE_TOO_LARGE or len(part) == 1:
                    raise
                self._fence(shard, group, part, (len(part) + 1) // 2)

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
