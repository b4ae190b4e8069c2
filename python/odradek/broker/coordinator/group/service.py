"""The group coordinator: finds the group of a request, asks the state machine, appends what it says, answers.

Routing: a group belongs to the partition of `__consumer_offsets` that its id hashes to, and to the broker that leads
it. This file knows no rule of groups (`classic.py`) and no bytes (`records.py`, `runtime.py`).

Every public method that names a group raises, as KafkaError, what concerns the group as a whole:
    INVALID_GROUP_ID (24), COORDINATOR_NOT_AVAILABLE (15), COORDINATOR_LOAD_IN_PROGRESS (14), NOT_COORDINATOR (16)
Source: Kafka `GroupCoordinatorService`.
"""

import asyncio
import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property, lru_cache, partial
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol, cast
from uuid import uuid4

from odradek.broker.coordinator.clock import Alarm, Clock
from odradek.broker.coordinator.group import records
from odradek.broker.coordinator.group.classic import ClassicGroup
from odradek.broker.coordinator.group.gathering import Lookups
from odradek.broker.coordinator.group.members import Identity, Joined, JoinRequest, Synced
from odradek.broker.coordinator.group.pulse import Pulse, SettledGroups
from odradek.broker.coordinator.group.records import GroupKey, GroupMetadata, OffsetCommit, OffsetKey, Record
from odradek.broker.coordinator.group.rounds import Gatherer, Parked, Rounds
from odradek.broker.coordinator.group.settings import GroupSettings, Names
from odradek.broker.coordinator.group.shard import AnyGroup, GroupShard, told
from odradek.broker.coordinator.group.states import State
from odradek.broker.coordinator.runtime import Log, Runtime
from odradek.errors import CoordinatorNotAvailableError, ErrorCode, InvalidGroupIdError, KafkaError

if TYPE_CHECKING:
    from odradek.broker.coordinator.group.consumer import ConsumerGroup
    from odradek.broker.coordinator.group.consumer_members import ConsumerState, HeartbeatAnswer, HeartbeatRequest
    from odradek.broker.coordinator.group.consumer_service import ConsumerGroups
    from odradek.broker.coordinator.group.target import ClusterTopics

__all__ = ["OFFSETS_TOPIC", "GroupCoordinator", "ListedGroup", "OffsetsTopic", "partition_of"]

_log = logging.getLogger("odradek.broker")

OFFSETS_TOPIC: Final = "__consumer_offsets"
_TOMBSTONES_AT_ONCE: Final = 1_000
_AGAIN_MS: Final = 10_000
"""After what went wrong on an alarm, by a bug: soon enough for members that wait, and no flood in the log."""
_MAX_ID_CHARS: Final = 2**15 - 1
"""A string of Kafka's protocol has no more bytes; the wire's longer ones are refused by `protocol/claims.py` already."""
_NEVER_MS: Final = 2**63 - 1
"""The latest time that a record can hold; clients ask for as long a retention to keep offsets for ever."""
_MAX_KEPT_CHARS: Final = 249
"""As many as a topic's name may have."""
_MAX_PREFIX_CHARS: Final = 8_000
"""Of a client's or instance's id in a member id, which has to fit into a string of the protocol, in UTF-8."""


class OffsetsTopic(Protocol):
    """`__consumer_offsets` as topic management sees it."""

    def partition_count(self) -> int:
        """Return the number of partitions, 0 while the topic does not exist."""
        ...

    async def create(self) -> int:
        """Create the topic if it does not exist; return its number of partitions. Raises KafkaError."""
        ...


class GroupEngine(Log, SettledGroups, Gatherer, Names, Protocol):
    """What of the engine the coordinator needs."""


class ListedGroup(NamedTuple):
    """One line of ListGroups."""

    group_id: str
    protocol_type: str
    state: "State | ConsumerState"
    type_name: str
    """`classic` or `consumer`."""


class GroupCoordinator:
    """All groups this broker coordinates. Belongs to the broker's event loop."""

    def __init__(
        self,
        settings: GroupSettings,
        engine: GroupEngine,
        topic: OffsetsTopic,
        clock: Clock,
        topics: "ClusterTopics",
    ) -> None:
        self._settings = settings
        self._engine = engine
        self._topics = topics
        self._topic = topic
        self._clock = clock
        self._partition_count = 0
        self._runtime = Runtime(
            OFFSETS_TOPIC,
            engine,
            records,
            clock=clock,
            make_shard=self._make_shard,
            max_batch_bytes=settings.max_batch_bytes,
        )
        self._alarms: dict[str, tuple[float, Alarm]] = {}
        """By group: when it wakes up, and the alarm set for that."""
        self._cleanup: Alarm | None = None
        self._lookups = Lookups()
        self._pulse = Pulse(engine, clock)
        self._rounds = Rounds(engine, clock)
        self._loop: asyncio.AbstractEventLoop
        """Set by `start`: to look it up costs a system call each time."""

    # Life

    async def start(self, budget_s: float = 1.0) -> None:
        """Read `__consumer_offsets`, so that no client meets a coordinator that is still loading.

        Args:
            budget_s: after this the rest is read in the background, its groups answer COORDINATOR_LOAD_IN_PROGRESS.
        """
        self._loop = asyncio.get_running_loop()
        await self._runtime.load(range(self._partitions()), budget_s)
        self._plan_cleanup()

    async def stop(self) -> None:
        """Answer everybody who waits and set no alarm any more. The log stays as it is."""
        if self._cleanup is not None:
            self._cleanup.cancel()
            self._cleanup = None
        if "_consumers" in self.__dict__:  # most brokers never make them
            self._consumers.stop()
        await self._runtime.stop()

    # Membership

    def announce(self, group_id: str, connection_id: int) -> None:
        """Take note that a client asked who coordinates this group: it will likely join soon (see `gathering.py`)."""
        if len(group_id) > _MAX_KEPT_CHARS:  # it is not worth its memory; its first members may make a generation each
            return
        shard = (
            self._runtime.shard_if_loaded(partition_of(group_id, self._partitions())) if self._partitions() else None
        )
        group = None if shard is None else cast("GroupShard", shard).groups.get(group_id)
        if group is None or not group.members:
            self._lookups.add(group_id, connection_id, self._clock.monotonic_ms())

    async def join(self, group_id: str, request: JoinRequest) -> Joined:
        """Join a group; returns when the next generation is complete, or at once with an error."""
        if not group_id:
            raise InvalidGroupIdError
        if not (
            self._settings.min_session_timeout_ms <= request.session_timeout_ms <= self._settings.max_session_timeout_ms
        ):
            return Joined(ErrorCode.INVALID_SESSION_TIMEOUT, request.member_id)
        if not self._partitions():
            self._partition_count = await self._topic.create()
        shard = self._shard_of(group_id)
        group = shard.groups.get(group_id)
        if group is None and request.member_id:
            return Joined(ErrorCode.UNKNOWN_MEMBER_ID, request.member_id)
        if group is not None and not isinstance(group, ClassicGroup):
            if not group.is_empty:
                return Joined(ErrorCode.INCONSISTENT_GROUP_PROTOCOL, request.member_id)
            self._runtime.commit(shard.partition, shard.ending(group))
            group = None
        if group is None:
            group = shard.groups[group_id] = ClassicGroup(group_id, self._settings.limits)
            # A group is known from its first member on, even if the broker dies before the first generation.
            group.records.append(GroupMetadata("", 0, None, None, -1))
        if group.state is State.EMPTY:
            group.lookups = self._lookups.count(group_id, self._clock.monotonic_ms())
        waiter: asyncio.Future[Joined] = self._loop.create_future()
        self._rounds.take_in(group)
        prefix = (request.client_id if request.instance_id is None else request.instance_id)[:_MAX_PREFIX_CHARS]
        group.join(request, waiter, self._clock.monotonic_ms(), lambda: f"{prefix}-{uuid4()}")
        self._settle(shard, group)
        return await waiter

    async def sync(
        self,
        group_id: str,
        who: Identity,
        protocol: tuple[str | None, str | None],
        assignments: Mapping[str, bytes],
    ) -> Synced:
        """Return a member's assignment, as soon as the leader has brought it; see `ClassicGroup.sync`."""
        shard, group = self._find_classic(group_id)
        if group is None:
            return Synced(ErrorCode.UNKNOWN_MEMBER_ID)
        waiter: asyncio.Future[Synced] = self._loop.create_future()
        self._rounds.take_in(group)
        group.sync(who, protocol, assignments, waiter, self._clock.monotonic_ms())
        self._settle(shard, group)
        return await waiter

    def gathered(self, group_id: str) -> None:
        """Run the joins and syncs that the engine has gathered for a group (see `rounds.py`). Never fails."""
        shard = self._runtime.shard_if_loaded(partition_of(group_id, self._partition_count))
        group = None if shard is None else cast("GroupShard", shard).groups.get(group_id)
        if not isinstance(group, ClassicGroup):
            return  # it has gone meanwhile, and what was parked with it
        rows = self._rounds.take_in(group)
        try:
            self._settle(cast("GroupShard", shard), group)
        except Exception:  # noqa: BLE001 - it must not end the loop
            _log.exception("what was gathered for group %r can't be carried out", group_id)
            self._rounds.give_up(rows)

    def heartbeat(self, group_id: str, who: Identity) -> ErrorCode:
        """Keep a member alive; the answer says whether it must join again."""
        _, group = self._find_classic(group_id)
        if group is None:
            return ErrorCode.UNKNOWN_MEMBER_ID
        return group.heartbeat(who, self._clock.monotonic_ms())

    def leave(self, group_id: str, who: Sequence[tuple[str, str | None]]) -> list[ErrorCode]:
        """Remove members by (member id, instance id), each with its own result."""
        shard, group = self._find(group_id)
        if group is None:
            return [ErrorCode.UNKNOWN_MEMBER_ID for _ in who]
        if not isinstance(group, ClassicGroup):
            return self._consumers.remove(shard, group, who)
        self._rounds.take_in(group)
        errors = group.leave(who, self._clock.monotonic_ms())
        self._settle(shard, group)
        return errors

    async def consumer_heartbeat(self, request: "HeartbeatRequest", version: int) -> "HeartbeatAnswer":
        """Serve a heartbeat of the consumer protocol (KIP-848): joining, staying, leaving.

        Raises:
            KafkaError: also what `consumer_heartbeat.py` says, GROUP_ID_NOT_FOUND (69), and UNSUPPORTED_VERSION (35)
                where `group.coordinator.rebalance.protocols` leaves the protocol out.
        """
        if not self._settings.serves_consumer_protocol:
            raise KafkaError.of(ErrorCode.UNSUPPORTED_VERSION)
        self._consumers.check(request, version)
        if not self._partitions():
            self._partition_count = await self._topic.create()
        return await self._consumers.heartbeat(partial(self._shard_of, request.group_id), request)

    # Offsets

    async def commit_offsets(
        self,
        group_id: str,
        who: Identity,
        commits: Mapping[tuple[str, int], tuple[int, int, str, bytes | None]],
        *,
        retention_ms: int = -1,
        knows_epochs: bool = True,
    ) -> dict[tuple[str, int], ErrorCode]:
        """Store offsets, all or none of those whose metadata is short enough.

        Args:
            group_id: the group, made if nobody knows it.
            who: the member; no member may commit only in a group without members.
            commits: by (topic, partition): offset, leader epoch or -1, metadata, the topic's 16-byte id.
            retention_ms: -1 = `offsets.retention.minutes`.
            knows_epochs: the request is of a version that members of consumer groups may use.

        Raises:
            KafkaError: also GROUP_ID_NOT_FOUND (69), UNKNOWN_MEMBER_ID, ILLEGAL_GENERATION, FENCED_INSTANCE_ID,
                REBALANCE_IN_PROGRESS, STALE_MEMBER_EPOCH, UNSUPPORTED_VERSION: nothing was stored.
        """
        if not self._partitions():
            self._partition_count = await self._topic.create()
        shard = self._shard_of(group_id)
        group = shard.groups.get(group_id)
        if isinstance(group, ClassicGroup):
            error = group.check_commit(who, self._clock.monotonic_ms())
            if error:
                raise KafkaError.of(error)
        elif group is not None:
            if not knows_epochs and not group.is_empty:
                raise KafkaError.of(ErrorCode.UNSUPPORTED_VERSION)
            places = ((commit[3], index) for (_, index), commit in commits.items())
            group.check_commit(who.member_id, who.generation, places)
        elif who.generation >= 0:
            raise KafkaError.of(ErrorCode.GROUP_ID_NOT_FOUND)
        results = {}
        batch = []
        now_ms = self._clock.wall_ms()
        expire_ms = min(now_ms + retention_ms, _NEVER_MS) if retention_ms >= 0 else -1
        for (topic, partition), (offset, leader_epoch, metadata, topic_id) in commits.items():
            if len(metadata) > self._settings.offset_metadata_max_bytes:
                results[topic, partition] = ErrorCode.OFFSET_METADATA_TOO_LARGE
                continue
            results[topic, partition] = ErrorCode.NONE
            commit = OffsetCommit(offset, leader_epoch, metadata, now_ms, expire_ms, topic_id)
            batch.append(Record(OffsetKey(group_id, topic, partition), commit))
        if batch:
            try:
                with self._pulse.held(shard, (group_id,)):
                    self._runtime.commit(shard.partition, batch)
            except KafkaError as problem:
                if problem.error_code is ErrorCode.MESSAGE_TOO_LARGE:
                    raise KafkaError(str(problem), code=ErrorCode.INVALID_COMMIT_OFFSET_SIZE) from problem
                raise
        return results

    def offsets(
        self, group_id: str, member_id: str | None = None, epoch: int = -1
    ) -> Mapping[str, Mapping[int, OffsetCommit]]:
        """Return a group's committed offsets by topic and partition; empty for an unknown group.

        Args:
            group_id: the group.
            member_id: who asks, if it is a member of a consumer group.
            epoch: the epoch it knows, -1 if it is none.

        Raises:
            KafkaError: also UNKNOWN_MEMBER_ID (25), STALE_MEMBER_EPOCH (113).
        """
        if not self._partitions():
            return {}
        shard = self._shard_of(group_id)
        group = shard.groups.get(group_id)
        if group is not None and not isinstance(group, ClassicGroup):
            group.check_fetch(member_id, epoch)
        self._pulse.take(shard, (group_id,))
        return shard.offsets.of_group(group_id)

    def delete_offsets(self, group_id: str, partitions: Mapping[str, Sequence[int]]) -> dict[str, ErrorCode]:
        """Delete offsets of topics that the group does not consume; the result is by topic.

        Raises:
            KafkaError: also GROUP_ID_NOT_FOUND (69), NON_EMPTY_GROUP (68): members that are no consumers.
        """
        shard, group = self._find(group_id)
        if group is None:
            raise KafkaError.of(ErrorCode.GROUP_ID_NOT_FOUND)
        if isinstance(group, ClassicGroup) and not group.is_empty and not group.is_consumer_group:
            raise KafkaError.of(ErrorCode.NON_EMPTY_GROUP)
        results, tombstones = {}, []
        with self._pulse.held(shard, (group_id,)):
            known = shard.offsets.of_group(group_id)
            for topic, indexes in partitions.items():
                if not group.is_empty and group.consumes(topic):
                    results[topic] = ErrorCode.GROUP_SUBSCRIBED_TO_TOPIC
                    continue
                results[topic] = ErrorCode.NONE
                tombstones += [
                    Record(OffsetKey(group_id, topic, index), None)
                    for index in indexes
                    if index in known.get(topic, {})
                ]
            self._bury(shard, tombstones)
        return results

    def forget_topics(self, topics: Iterable[str]) -> None:
        """Drop the offsets that groups have in topics that were deleted, and withdrawn from the engine before."""
        gone = frozenset(topics)
        for shard in self._shards():
            self._pulse.take(shard, shard.groups)  # the engine commits nothing more for a topic that it does not know
            self._bury(shard, [Record(key, None) for key in shard.offsets.of_topics(gone)])

    # Groups

    def groups(self) -> list[ListedGroup]:
        """Return every group.

        Raises:
            CoordinatorLoadInProgressError (14): some are still being read.
        """
        if self._runtime.loading:
            raise KafkaError.of(ErrorCode.COORDINATOR_LOAD_IN_PROGRESS)
        return [
            ListedGroup(group.group_id, group.protocol_type or "", group.state, group.type_name)
            for shard in self._shards()
            for group in shard.groups.values()
        ]

    def describe(self, group_id: str) -> AnyGroup | None:
        """Return a group to read from, None if there is none."""
        if not self._partitions():
            return None
        return self._shard_of(group_id).groups.get(group_id)

    def assignor_of(self, group: "ConsumerGroup") -> str:
        """Return the name of the assignor that a consumer group goes by."""
        from odradek.broker.coordinator.group.target import preferred_assignor  # noqa: PLC0415

        return preferred_assignor(group, self._settings.consumer_assignors)

    def delete_group(self, group_id: str) -> ErrorCode:
        """Delete a group without members, with all its offsets."""
        group = self.describe(group_id)
        if group is None:
            return ErrorCode.GROUP_ID_NOT_FOUND
        if not group.is_empty:
            return ErrorCode.NON_EMPTY_GROUP
        shard = self._shard_of(group_id)
        self._bury(shard, shard.deletion(group))
        return ErrorCode.NONE

    # Inside

    def _partitions(self) -> int:
        """Return the number of partitions, which never changes once there are any; 0 before the topic is made."""
        if not self._partition_count:
            self._partition_count = self._topic.partition_count()
        return self._partition_count

    def _shard_of(self, group_id: str) -> GroupShard:
        return cast("GroupShard", self._runtime.shard(partition_of(group_id, self._partition_count)))

    @cached_property
    def _consumers(self) -> "ConsumerGroups":
        from odradek.broker.coordinator.group.consumer_service import ConsumerGroups  # noqa: PLC0415 - see AnyGroup

        return ConsumerGroups(self._settings, self._runtime, self._topics, self._engine, self._clock)

    def _find_classic(self, group_id: str) -> tuple[GroupShard, ClassicGroup | None]:
        """Return the shard and the group, none if it is a consumer group: it has no member of the classic protocol."""
        shard, group = self._find(group_id)
        return shard, group if isinstance(group, ClassicGroup) else None

    def _find(self, group_id: str) -> tuple[GroupShard, AnyGroup | None]:
        if not group_id:
            raise InvalidGroupIdError
        if not self._partitions():
            raise CoordinatorNotAvailableError(f"{OFFSETS_TOPIC} does not exist")
        shard = self._shard_of(group_id)
        return shard, shard.groups.get(group_id)

    def _shards(self) -> list[GroupShard]:
        return cast("list[GroupShard]", list(self._runtime.loaded()))

    def _make_shard(self, partition: int) -> GroupShard:
        return GroupShard(
            partition,
            self._settings.limits,
            self._clock,
            self._settle,
            take_in=self._rounds.take_in,
            consumer_session_timeout_ms=self._settings.consumer_session_timeout_ms,
        )

    def _settle(self, shard: GroupShard, group: AnyGroup) -> None:
        """Carry out what an event has left in a group: append, answer, set the alarm."""
        if not isinstance(group, ClassicGroup):
            self._set_alarm(shard, group)
            return
        self._write(shard, group)
        while self._rounds.follow(group):
            self._write(shard, group)
        answers, group.answers = group.answers, []
        parked: list[tuple[Parked, Joined | Synced]] = []
        for waiter, answer in answers:
            if isinstance(waiter, Parked):
                parked.append((waiter, answer))
                continue
            future = cast("asyncio.Future[Joined | Synced]", waiter)
            if not future.done():  # its connection may have gone
                future.set_result(answer)
        if parked:
            self._rounds.answer(parked)
        self._set_alarm(shard, group)

    def _write(self, shard: GroupShard, group: ClassicGroup) -> None:
        """Append what a group has to say, and tell the engine if it is settled."""
        while group.records:
            settled, group.records = group.records, []
            stamp = self._clock.wall_ms()
            key = GroupKey(group.group_id)
            os.sched_yield()  # as in `dispatch.py`: the record of a large group takes long
            try:
                self._runtime.commit(
                    shard.partition, [Record(key, record._replace(state_timestamp_ms=stamp)) for record in settled]
                )
            except KafkaError as problem:
                group.append_failed(told(problem.error_code), self._clock.monotonic_ms())
        self._pulse.follow(shard, group)

    def _set_alarm(self, shard: GroupShard, group: AnyGroup) -> None:
        when_ms, alarm = self._alarms.get(group.group_id, (float("inf"), None))
        if group.is_dead:
            if alarm is not None:
                alarm.cancel()
                del self._alarms[group.group_id]
        elif group.wake_at_ms < when_ms:
            if alarm is not None:
                alarm.cancel()
            wake = partial(self._wake, shard, group)
            self._alarms[group.group_id] = group.wake_at_ms, self._clock.call_at(group.wake_at_ms, wake)

    def _wake(self, shard: GroupShard, group: AnyGroup) -> None:
        del self._alarms[group.group_id]
        try:
            if isinstance(group, ClassicGroup):
                self._rounds.take_in(group)
                self._pulse.listen(group)
                group.expire(self._clock.monotonic_ms())
            else:
                self._consumers.expire(shard, group)
            self._settle(shard, group)
        except Exception:  # noqa: BLE001 - without an alarm nobody in the group would ever be answered or missed again
            _log.exception("what is due in group %r can't be carried out", group.group_id)
            group.wake_at_ms = self._clock.monotonic_ms() + _AGAIN_MS
            self._set_alarm(shard, group)

    def _bury(self, shard: GroupShard, tombstones: list[Record], at_once: int = _TOMBSTONES_AT_ONCE) -> None:
        for start in range(0, len(tombstones), at_once):
            part = tombstones[start : start + at_once]
            try:
                self._runtime.commit(shard.partition, part)
            except KafkaError as problem:  # ids may be long
                if problem.error_code is not ErrorCode.MESSAGE_TOO_LARGE or len(part) == 1:
                    raise
                self._bury(shard, part, (len(part) + 1) // 2)

    def _plan_cleanup(self) -> None:
        when_ms = self._clock.monotonic_ms() + self._settings.offsets_retention_check_interval_ms
        self._cleanup = self._clock.call_at(when_ms, self._clean_up)

    def _clean_up(self) -> None:
        """Expire offsets, and groups that nothing is left of."""
        self._plan_cleanup()
        now_ms = self._clock.wall_ms()
        for shard in self._shards():
            tombstones = []
            try:
                with self._pulse.held(shard, shard.groups):
                    for group in shard.groups.values():
                        tombstones += shard.expired(group, now_ms, self._settings.offsets_retention_ms)
                    self._bury(shard, tombstones)
            except Exception:  # noqa: BLE001 - the other partitions' offsets expire all the same
                _log.exception("what has expired in %s-%d can't be removed", OFFSETS_TOPIC, shard.partition)


def partition_of(group_id: str, partition_count: int) -> int:
    """Return the partition of `__consumer_offsets` that holds a group, as every Kafka broker and tool computes it.

    Source: Java's String.hashCode over UTF-16 units; Kafka `Utils.abs`, which maps the lowest int to 0.

    Raises:
        InvalidGroupIdError: the id is longer than a string of the protocol may be.
    """
    if len(group_id) > _MAX_ID_CHARS:
        raise InvalidGroupIdError(f"a group id of {len(group_id)} characters; {_MAX_ID_CHARS} are the most")
    # Ids come from clients, who may make up as many as they like: what is kept of them is small.
    hashed = _kept_hash if len(group_id) <= _MAX_KEPT_CHARS else _hash
    return hashed(group_id) % partition_count


def _hash(group_id: str) -> int:
    value = 0
    encoded = group_id.encode("utf-16-be", "surrogatepass")
    for high, low in zip(encoded[::2], encoded[1::2], strict=True):
        value = (31 * value + (high << 8 | low)) & 0xFFFFFFFF
    if value >= 1 << 31:
        value = (1 << 32) - value
    return 0 if value == 1 << 31 else value


_kept_hash = lru_cache(4_096)(_hash)
