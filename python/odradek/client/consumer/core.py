"""What both consumers are made of: the fetcher, the group membership, commits and queries of one consumer.

Two kinds of methods: coroutines belong to the consumer's loop; the rest is for the thread that polls, and the few things
both touch (`holdings`, `handover`, deques) are safe in both. No method blocks. Who drives it: `consumer.py`, `aio.py`.
"""

import asyncio
import builtins
import contextlib
import logging
import time
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeVar

from odradek.client.consumer.assignors import ASSIGNORS
from odradek.client.consumer.commits import Commits
from odradek.client.consumer.group_calls import GroupCalls, Identity
from odradek.client.consumer.handover import Handover
from odradek.client.consumer.offsets import Found, OffsetQueries
from odradek.client.consumer.protocols import MEMBERSHIPS
from odradek.client.consumer.settings import GroupSettings
from odradek.client.consumer.subscription import Callbacks, Holdings
from odradek.client.consumer.transport import Clock, Transport
from odradek.client.consumer.troubles import tell
from odradek.client.consumer.unread import Unread
from odradek.client.consumer.wanted import Wanted
from odradek.config.client import ClientOptions
from odradek.errors import (
    ConfigError,
    NoOffsetForPartitionError,
    TimeoutError,  # noqa: A004
    UsageError,
)
from odradek.types import OffsetAndMetadata, TopicPartition

if TYPE_CHECKING:
    from odradek.client.consumer.membership import Membership

__all__ = ["BY_POLICY", "CLOSE_S", "CommitCallback", "Core", "LoopClock"]

_log = logging.getLogger("odradek.client.consumer")

CommitCallback = Callable[[dict[TopicPartition, OffsetAndMetadata], Exception | None], object]
T = TypeVar("T")
Offsets = Mapping[TopicPartition, OffsetAndMetadata]

_GRACE_S: Final = 0.05
CLOSE_S: Final = 30.0
"""What closing may take unless told otherwise, as in Kafka."""

BY_POLICY: Final = -4
TO_EARLIEST: Final = -3
TO_LATEST: Final = -2
_UNKNOWN: Final = -1
"""Positions that the fetcher looks up itself, or waits for; see `_native.pyi`."""


class LoopClock:
    """Real time."""

    def now(self) -> float:
        """Return the loop's clock, which is time.monotonic."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)


class Core:
    """One consumer without its threads. Made on its loop."""

    def __init__(
        self,
        options: ClientOptions,
        transport: Transport,
        fetcher: Any,
        wake: Callable[[], None],
        clock: Clock | None = None,
    ) -> None:
        self.options = options
        self.fetcher = fetcher
        self.loop = asyncio.get_running_loop()
        self.handover = Handover(self.loop, wake)
        self.holdings = Holdings()
        self.unread = Unread(fetcher)
        self.called_back: deque[tuple[CommitCallback, dict[TopicPartition, OffsetAndMetadata], Exception | None]] = (
            deque()
        )
        """Asynchronous commits that are done and whose callback wants to hear it."""
        self.errors: deque[Exception] = deque()
        """What the next polls raise, one each."""
        self.commit_due = False
        self.polling = False
        """A poll is under way."""
        self.owes = False
        """What has been polled since `confirm` has not reached the user: nobody may look at positions before `take_back`."""
        self.polled_at: float | None = time.monotonic()
        """When the last poll ended, by time.monotonic; None = just now, to be noted by who asks first."""
        self.has_polled = False
        """Until the first poll, positions that the fetcher has looked up ahead are nobody's progress."""
        self._sought: set[TopicPartition] = set()
        """Those held, without a break, since `seek` gave them their position."""
        self.group_id = options.text("group.id")
        self.auto_commit = self.group_id is not None and options.flag("enable.auto.commit")
        self.api_timeout = options.seconds("default.api.timeout.ms")
        self._clock = clock or LoopClock()
        self._transport = transport
        self._settings = _group_settings(options)
        self._calls = GroupCalls(transport, self._settings)
        self.membership: Membership | None = None
        self._commits = Commits(self._calls, self._settings, self.holdings, lambda: self.membership, self._clock)
        self._queries = OffsetQueries(
            transport,
            self._clock,
            read_committed=options.text("isolation.level") == "read_committed",
            request_timeout=options.seconds("request.timeout.ms"),
            backoff=options.seconds("retry.backoff.ms"),
        )
        self._in_order = asyncio.Lock()
        """Commits go one after the other: a later one is never overtaken by an earlier one."""
        self._committed: dict[TopicPartition, OffsetAndMetadata] = {}
        """What automatic commits have achieved, so that an idle member repeats nothing."""
        self._positioning: asyncio.Task[None] | None = None
        self._background: set[asyncio.Task[None]] = set()
        self._commit_timer: asyncio.Task[None] | None = None
        self._watch = asyncio.ensure_future(tell(fetcher, transport, self._clock))
        self._ends_at: float | None = None
        """When closing has to be done, by the clock; None while it has not begun."""
        self.commits = 0
        self.failed_commits = 0

    # what is held

    @property
    def in_use(self) -> bool:
        """True once subscribed or assigned."""
        return self.holdings.wanted is not None or bool(self.holdings.held())

    def need_group(self, what: str) -> None:
        """Raise ConfigError when there is no group."""
        if self.group_id is None:
            raise ConfigError(f"{what} needs a group: give the consumer group_id='...'")

    def take_over(self, target: Iterable[TopicPartition]) -> list[TopicPartition]:
        """Hold and fetch exactly these; return the new ones. Ctrl-C in the middle comes through when that is done."""
        partitions = list(target)
        try:
            return self._take_over(partitions)
        except BaseException:
            self._take_over(partitions)  # what is held and not fetched would be ours, and read by nobody
            raise

    def _take_over(self, partitions: list[TopicPartition]) -> list[TopicPartition]:
        wanted = [(topic, partition, _UNKNOWN) for topic, partition in partitions]
        added = self.holdings.replace(partitions, lambda: self.fetcher.assign(wanted))
        self._sought = (self._sought & self.holdings.held()).difference(added)
        self.unread.keep(self.holdings.held())
        return added

    def consumed(self, of: Iterable[TopicPartition] | None = None) -> dict[TopicPartition, OffsetAndMetadata]:
        """Return the positions that may be committed: after the last record handed out, for all partitions or these."""
        held = self.holdings.held() if of is None else frozenset(of)
        unread = self.unread.first_offsets()
        found = {}
        for name, (offset, epoch) in self.fetcher.positions().items():
            one = TopicPartition(*name)
            if one in held and (self.has_polled or one in self._sought):
                found[one] = OffsetAndMetadata(unread.get(one, offset), "", epoch)
        return found

    def seek(self, partition: TopicPartition, offset: int, leader_epoch: int = -1) -> None:
        """Go on there; negative numbers are the fetcher's lookups."""
        self._sought.add(partition)
        topic, number = partition
        if not self.holdings.position(
            partition, lambda: self.fetcher.set_position(topic, number, offset, leader_epoch)
        ):
            raise UsageError(f"seek: {topic}-{number} is not assigned to this consumer")
        self.unread.drop(partition)

    def confirm(self) -> None:
        """Note that the user has all that polls returned so far."""
        self.fetcher.confirm()
        self.unread.confirm()

    def take_back(self) -> None:
        """Put back what was polled since `confirm`: a poll that Ctrl-C ended on its way to the user."""
        self.fetcher.take_back()
        self.unread.take_back()
        self.owes = False

    # subscription (on the loop)

    async def subscribe(self, wanted: Wanted, callbacks: Callbacks) -> None:
        """Become a member of the group, or change what is subscribed to."""
        self.holdings.callbacks = callbacks
        self.holdings.wanted = wanted
        if self.membership is not None:
            self.membership.subscribe(wanted)
            return
        self.membership = MEMBERSHIPS[self.options.text("group.protocol")](
            self._calls,
            self._transport,
            self.handover,
            self._settings,
            wanted,
            clock=self._clock,
            poll_age=self._poll_age,
        )
        self.polled_at = time.monotonic()
        self.membership.start()
        self._start_commit_timer()

    async def leave(self, reason: str) -> None:
        """Stop being a member; the partitions have been given up."""
        membership, self.membership = self.membership, None
        self.holdings.wanted = None
        self.holdings.callbacks = Callbacks()
        if membership is not None:
            await membership.stop(reason)

    async def assigned_by_hand(self) -> None:
        """Note that partitions were assigned without a group's help."""
        self._start_commit_timer()

    def identity(self) -> Identity:
        """Return who we are in the group."""
        return Identity() if self.membership is None else self.membership.identity

    def _poll_age(self) -> float:
        now, polled_at = time.monotonic(), self.polled_at
        if polled_at is None:
            self.polled_at = now
        return 0.0 if self.polling or polled_at is None else now - polled_at

    # positions

    def position_soon(self) -> None:
        """See to it that partitions without a position get one."""
        if self.holdings.unpositioned():
            with contextlib.suppress(RuntimeError):  # closed meanwhile
                self.loop.call_soon_threadsafe(self._begin_positioning)

    def _begin_positioning(self) -> None:
        if self._positioning is None or self._positioning.done():
            self._positioning = asyncio.ensure_future(self._position_all())

    async def _position_all(self) -> None:
        """Give every partition its committed offset, or what the policy says; what goes wrong is raised by a poll."""
        try:
            while waiting := self.holdings.unpositioned():
                await self._position_some(waiting, self.api_timeout)
        except TimeoutError as error:
            _log.warning("%s; trying on", error)
            self.handover.alert()
        except Exception as error:  # noqa: BLE001  handed to the user
            self.errors.append(error)
            self.handover.alert()

    async def _position_some(self, waiting: Mapping[TopicPartition, int], timeout: float) -> None:  # noqa: ASYNC109
        commits: Mapping[TopicPartition, OffsetAndMetadata | None] = {}
        if self.group_id is not None:
            commits = await self._commits.committed(waiting, timeout)
        nowhere = []
        for one, token in waiting.items():
            commit = commits.get(one)
            if commit is None and self.options.text("auto.offset.reset") == "none":
                nowhere.append(one)
                continue
            offset, epoch = (BY_POLICY, -1) if commit is None else (commit.offset, commit.leader_epoch)
            self.holdings.position(one, _give(self.fetcher, one, offset, epoch), token)
        if nowhere:
            names = ", ".join(f"{topic}-{partition}" for topic, partition in sorted(nowhere))
            error = NoOffsetForPartitionError(
                f"there is no committed offset for {names} and auto_offset_reset is 'none'; seek, or choose "
                "'earliest' or 'latest'"
            )
            error.topic, error.partition = min(nowhere)
            raise error

    async def position(self, partition: TopicPartition, timeout: float) -> int:  # noqa: ASYNC109
        """Return the offset of the next record that poll hands out, looking it up if that has to be.

        Raises:
            UsageError: the partition is not assigned. NoOffsetForPartitionError: see `auto.offset.reset`.
            TimeoutError: the lookup took too long.
        """
        return await self.within(
            timeout, "position", self._position_by(partition, self._clock.now() + timeout, timeout)
        )

    async def _position_by(self, partition: TopicPartition, deadline: float, timeout: float) -> int:  # noqa: ASYNC109
        pause = 0.001
        while True:
            if partition not in self.holdings.held():
                raise UsageError(f"position: {partition.topic}-{partition.partition} is not assigned to this consumer")
            waiting = self.holdings.unpositioned()
            if partition in waiting:
                await self._position_some({partition: waiting[partition]}, max(deadline - self._clock.now(), 0.0))
            position: int = self.fetcher.position(*partition)
            if position >= 0:
                return self.unread.first_offsets().get(partition, position)
            if self._clock.now() > deadline:
                raise TimeoutError(f"position of {partition.topic}-{partition.partition}: not known after {timeout} s")
            await self._clock.sleep(pause)  # the fetcher is asking the leader
            pause = min(2 * pause, 0.05)

    # commits

    async def commit(self, offsets: Offsets, timeout: float) -> None:  # noqa: ASYNC109
        """Commit, after all commits that began before."""
        await self.within(timeout, "commit", self._commit_now(offsets, timeout))

    async def _commit_now(self, offsets: Offsets, timeout: float, *, parting: bool = False) -> None:  # noqa: ASYNC109
        async with self._in_order:
            try:
                await self._commits.commit(offsets, timeout, parting=parting)
            except BaseException:
                self.failed_commits += 1
                raise
            self._note(offsets)

    async def commit_before(self, giving_up: Iterable[TopicPartition]) -> None:
        """Commit what was consumed of partitions that are about to go."""
        limit = min(self.api_timeout, self._settings.max_poll_interval_ms / 2000)
        if self._ends_at is not None:
            limit = min(limit, max(self._ends_at - self._clock.now(), 0.0))
        await self.within(limit, "commit", self._commit_now(self.consumed(giving_up), limit, parting=True))

    def commit_in_background(
        self, offsets: dict[TopicPartition, OffsetAndMetadata] | None = None, callback: CommitCallback | None = None
    ) -> None:
        """Commit without waiting; once, as Kafka does. Without `offsets` it is an automatic commit."""
        automatic = offsets is None
        if offsets is None:
            offsets = {one: at for one, at in self.consumed().items() if self._committed.get(one) != at}
            if not offsets:
                return
        self.loop.call_soon_threadsafe(self._spawn_commit, offsets, callback, automatic)

    def _spawn_commit(
        self,
        offsets: dict[TopicPartition, OffsetAndMetadata],
        callback: CommitCallback | None,
        automatic: bool,  # noqa: FBT001
    ) -> None:
        task = asyncio.ensure_future(self._commit_once(offsets, callback, automatic=automatic))
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def _commit_once(
        self, offsets: dict[TopicPartition, OffsetAndMetadata], callback: CommitCallback | None, *, automatic: bool
    ) -> None:
        error: Exception | None = None
        async with self._in_order:
            try:
                await self._commits.commit(offsets, self.api_timeout, retry=False)
                self._note(offsets)
            except Exception as trouble:  # noqa: BLE001  handed to the callback
                error = trouble
                self.failed_commits += 1
        if callback is not None:
            self.called_back.append((callback, offsets, error))
            self.handover.alert()
        elif error is not None:
            log = _log.info if automatic else _log.warning  # the next automatic one takes these along
            log("group %s: asynchronous commit failed: %s", self.group_id, error)

    def _note(self, offsets: Offsets) -> None:
        self.commits += 1
        if self.auto_commit:
            held = self.holdings.held()
            self._committed = {one: at for one, at in {**self._committed, **offsets}.items() if one in held}

    def _start_commit_timer(self) -> None:
        if self.auto_commit and self._commit_timer is None:
            self._commit_timer = asyncio.ensure_future(self._commit_now_and_then())

    async def _commit_now_and_then(self) -> None:
        while True:
            await self._clock.sleep(max(self.options.seconds("auto.commit.interval.ms"), 0.001))
            self.commit_due = True
            self.handover.alert()

    async def committed(
        self,
        partitions: Iterable[TopicPartition],
        timeout: float,  # noqa: ASYNC109
    ) -> dict[TopicPartition, OffsetAndMetadata | None]:
        """Return the group's commits."""
        return await self.within(timeout, "committed", self._commits.committed(partitions, timeout))

    # queries

    async def ends(self, partitions: Iterable[TopicPartition], end: int, timeout: float) -> dict[TopicPartition, int]:  # noqa: ASYNC109
        """Return one end of each partition: EARLIEST or LATEST."""
        found = await self.by_time(dict.fromkeys(partitions, end), timeout)
        return {one: at.offset for one, at in found.items() if at is not None}

    async def by_time(self, times: Mapping[TopicPartition, int], timeout: float) -> Found:  # noqa: ASYNC109
        """Return offsets by time."""
        return await self.within(timeout, "offsets", self._queries.by_time(times, timeout))

    async def within(self, seconds: float, what: str, work: Coroutine[Any, Any, T]) -> T:
        """Await work, which may have the same deadline and say more about it, but may hang in a request for longer.

        Raises:
            TimeoutError: says who has been asked and is silent.
        """
        try:
            async with asyncio.timeout(seconds + _GRACE_S):
                return await work
        except builtins.TimeoutError as error:
            silent = ", ".join(self._transport.silent()) or "any broker"
            raise TimeoutError(
                f"{what}: not done within {seconds:g} s; no answer from {silent} in that time"
            ) from error

    # end

    def end_by(self, seconds: float) -> None:
        """Begin to close, which may take so long."""
        self._ends_at = self._clock.now() + seconds

    async def close(self) -> None:
        """Wait for commits under way, leave the group, end all tasks; in the time that `end_by` gave.

        The transport is closed by whoever made it.
        """
        self._end_timers()
        left = 0.0 if self._ends_at is None else max(self._ends_at - self._clock.now(), 0.0)
        try:
            await asyncio.wait_for(self._finish(), left)
        except builtins.TimeoutError:
            _log.warning(
                "group %s: closing ran out of time; the group will notice that this member is gone", self.group_id
            )
        finally:
            await asyncio.gather(*self.abandon(), return_exceptions=True)

    def abandon(self) -> list[asyncio.Task[None]]:
        """End all tasks without a word to the group; return those that it takes a moment to end."""
        self._end_timers()
        tasks = [*self._background, *([] if self.membership is None else self.membership.abandon())]
        for task in tasks:
            task.cancel()
        return tasks

    def _end_timers(self) -> None:
        for timer in (self._commit_timer, self._positioning, self._watch):
            if timer is not None:
                timer.cancel()

    async def _finish(self) -> None:
        if self._background:
            await asyncio.wait(set(self._background))
        await self.leave("the consumer was closed")


def _give(fetcher: Any, one: TopicPartition, offset: int, epoch: int) -> Callable[[], None]:
    def give() -> None:
        fetcher.set_position(one.topic, one.partition, offset, epoch)

    return give


def _group_settings(options: ClientOptions) -> GroupSettings:
    return GroupSettings(
        group_id=options.text("group.id") or "",
        assignors=[ASSIGNORS[name]() for name in options.words("partition.assignment.strategy")],
        instance_id=options.text("group.instance.id"),
        session_timeout_ms=options.number("session.timeout.ms"),
        heartbeat_interval_ms=options.number("heartbeat.interval.ms"),
        max_poll_interval_ms=options.number("max.poll.interval.ms"),
        request_timeout_ms=options.number("request.timeout.ms"),
        retry_backoff_ms=options.number("retry.backoff.ms"),
        retry_backoff_max_ms=options.number("retry.backoff.max.ms"),
        rack=options.text("client.rack") or None,
        remote_assignor=options.text("group.remote.assignor"),
    )
