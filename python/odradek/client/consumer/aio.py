"""`odradek.aio.Consumer`: the consumer for asyncio. No threads of Python's: membership runs in the caller's loop.

What asks a broker or calls the user back is awaited; what only looks or moves positions is the same plain method as in
the blocking twin (`face.py`). A wait wakes once an answer has come, not once a record.
"""

import asyncio
import contextlib
import inspect
import os
import re
import time
import warnings
import weakref
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from odradek.client.arguments import partition_of, partitions_of, seconds, text
from odradek.client.cluster import Cluster
from odradek.client.consumer import face
from odradek.client.consumer.arguments import Committable, Named, most_of, named, to_commit, to_look_up
from odradek.client.consumer.core import CLOSE_S, Core
from odradek.client.consumer.decoding import decoder
from odradek.client.consumer.link import Link
from odradek.client.consumer.offsets import EARLIEST, LATEST
from odradek.client.consumer.settling import Call, Steps, call_back, depart, settle
from odradek.client.consumer.subscription import Callbacks, RebalanceCallback
from odradek.client.consumer.wanted import Wanted
from odradek.client.native import Fetcher
from odradek.client.own_loop import OwnLoop
from odradek.config.client import ClientOptions
from odradek.errors import ClosedError, ForkedError, UsageError
from odradek.types import OffsetAndMetadata, OffsetAndTimestamp, Record, TopicPartition

if TYPE_CHECKING:
    from odradek.client.native import ArrowBatch

__all__ = ["Consumer"]

_BREATH_S: Final = 0.01
"""Polls that never wait give the loop a turn so often: heartbeats live there."""


class Consumer(face.Consumer):
    """Reads records: `async with odradek.aio.Consumer("localhost:9092", group_id="billing") as consumer: ...`.

    Then `await consumer.subscribe("orders")` and `async for record in consumer`, or `await consumer.poll(timeout)`.
    Made and used in one running loop, uvloop's too. Callbacks may be coroutine functions. Cancelling a call is safe: no
    record is lost, and a rebalance that was being handled is finished by the next poll. Arguments, options and errors are
    those of `odradek.Consumer`.
    """

    _for_asyncio = True

    def _begin(self, options: ClientOptions) -> None:
        try:
            self._own_loop = OwnLoop()
        except RuntimeError:
            raise UsageError("make an odradek.aio.Consumer inside a coroutine: it belongs to a running loop") from None
        self._loop = self._own_loop.loop
        self._pid = os.getpid()
        self._closed = False
        self._woken = False
        self._polling = False
        self._waiter: asyncio.Future[None] | None = None
        self._settling: asyncio.Task[None] | None = None
        self._departing: asyncio.Task[None] | None = None
        self._breathed = time.monotonic()
        self._most = options.number("max.poll.records")
        self._cluster = Cluster(options.texts)
        self._link = Link(self._cluster, options)
        self._fetcher = Fetcher(self._cluster.native, options.texts)
        self._core = Core(options, self._link, self._fetcher, _weakly(self))
        self._decode = decoder(options, self._fetcher)
        self._ready_fd = self._fetcher.ready_fd()

    # polling

    async def poll(self, timeout: float | None = None, max_records: int | None = None) -> list[Record]:  # noqa: ASYNC109
        """Return the next records; [] when none came in time. See `odradek.Consumer.poll`."""
        most = most_of(max_records, self._most)
        limit = seconds(timeout)
        deadline = None if limit is None else time.monotonic() + limit
        records: list[Record] = []
        self._enter()
        try:
            while True:
                await self._settle()
                if self._core.unread.records:
                    records = self._core.unread.take(most)
                    break
                native: Any = self._fetcher.poll(0, most)
                if native:
                    records = native if self._decode is None else self._decode(native)
                    break
                if await self._nothing_until(deadline):
                    break
            self._leave()
        except BaseException:
            self._give_up()
            raise
        return records

    async def poll_arrow(self, timeout: float | None = None, max_records: int | None = None) -> "ArrowBatch":  # noqa: ASYNC109
        """Return the next records as one Arrow record batch. See `odradek.Consumer.poll_arrow`."""
        most = most_of(max_records, self._most)
        limit = seconds(timeout)
        deadline = None if limit is None else time.monotonic() + limit
        self._enter()
        try:
            self._core.unread.put_back(self._core.holdings.held())
            while True:
                await self._settle()
                batch = self._fetcher.poll_arrow(0, most)
                if batch.num_rows or await self._nothing_until(deadline):
                    break
            self._leave()
        except BaseException:
            self._give_up()
            raise
        return batch

    def __aiter__(self) -> AsyncIterator[Record]:
        return self

    async def __anext__(self) -> Record:
        """Return the next record, waiting for it; stops after `wakeup` or `close`. Commits count records seen so far."""
        core = self._core
        unread = core.unread
        if not unread.records or core.handover.attention:
            if self._closed:
                raise StopAsyncIteration
            records = await self.poll()
            if not records:
                raise StopAsyncIteration
            unread.records.extend(records)
        core.polled_at = time.monotonic()  # each step is as good as a poll
        record = unread.records[0]  # as in the blocking consumer
        del unread.records[0]
        return record

    def wakeup(self) -> None:
        """Make a `poll` that waits return with what it has, or the next one; callable from any thread."""
        self._check_fork()
        self._woken = True
        self._loop.call_soon_threadsafe(self._ring)

    def _ring(self) -> None:
        """End a wait."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def _nothing_until(self, deadline: float | None) -> bool:
        """Wait for records or work; return True when poll is to return empty-handed."""
        if self._woken:
            self._woken = False
            return True
        if self._core.handover.attention:
            return False
        left = None if deadline is None else deadline - time.monotonic()
        if left is not None and left <= 0:
            return True
        self._waiter = self._loop.create_future()
        timer = None if left is None else self._loop.call_later(left, self._ring)
        self._loop.add_reader(self._ready_fd, self._ring)
        try:
            await self._waiter
        finally:
            self._loop.remove_reader(self._ready_fd)
            self._waiter = None
            if timer is not None:
                timer.cancel()
            self._breathed = time.monotonic()
        return False

    async def _settle(self) -> None:
        """Do what waits for a poll. Cancelled in the middle, the next poll goes on with it."""
        now = time.monotonic()
        if now - self._breathed > _BREATH_S:
            self._breathed = now
            await asyncio.sleep(0)
        if self._settling is None:
            if not self._core.handover.attention:
                return
            self._settling = asyncio.ensure_future(self._drive(settle(self._core)))
        try:
            await asyncio.shield(self._settling)
        finally:
            if self._settling.done():
                self._settling = None

    @staticmethod
    async def _drive(steps: Steps) -> None:
        """Run the steps; see `settling.py`."""
        error: BaseException | None = None
        while True:
            try:
                step = next(steps) if error is None else steps.throw(error)
            except StopIteration:
                return
            error = None
            try:
                if isinstance(step, Call):
                    result = step.function(*step.arguments)
                    if inspect.isawaitable(result):
                        await result
                else:
                    await step.work()
            except BaseException as trouble:  # noqa: BLE001  thrown back in at once
                error = trouble

    # subscription

    async def subscribe(
        self,
        topics: str | re.Pattern[str] | Iterable[str],
        *,
        on_assigned: RebalanceCallback | None = None,
        on_revoked: RebalanceCallback | None = None,
        on_lost: RebalanceCallback | None = None,
    ) -> None:
        """Share these topics with the other members of the group. See `odradek.Consumer.subscribe`."""
        self._core.need_group("subscribe")
        wanted = Wanted.of(topics)
        callbacks = Callbacks.of(on_assigned=on_assigned, on_revoked=on_revoked, on_lost=on_lost)
        self._check_here()
        await self._departed()
        if self._core.holdings.wanted is None and self._core.holdings.held():
            raise UsageError("subscribe: partitions were assigned by hand; call unsubscribe() first")
        await self._core.subscribe(wanted, callbacks)

    async def unsubscribe(self) -> None:
        """Give up all partitions, leave the group (unless a static member), and be without topics."""
        self._check_here()
        if self._departing is None:
            self._departing = asyncio.ensure_future(self._depart())
        await asyncio.shield(self._departing)

    async def _depart(self) -> None:
        """Unsubscribe as a task of its own: half of it would leave partitions that nobody reads and that are still ours."""
        try:
            await self._drive(depart(self._core))
            await self._core.leave("the consumer unsubscribed")
            self._core.take_over(())
        finally:
            self._departing = None

    async def _departed(self) -> None:
        """Wait for an unsubscribe that was cancelled and goes on; not in its own callback."""
        if self._departing is not None and self._departing is not asyncio.current_task():
            await asyncio.wait({self._departing})

    async def assign(self, partitions: TopicPartition | Iterable[TopicPartition]) -> None:
        """Read exactly these partitions, without sharing them in a group. See `odradek.Consumer.assign`."""
        self._check_here()
        await self._departed()
        if self._core.holdings.wanted is not None:
            raise UsageError("assign: the consumer is subscribed; call unsubscribe() first")
        if self._core.auto_commit:
            self._core.commit_in_background()
        self._core.take_over(dict.fromkeys(partitions_of(partitions)))
        await self._core.assigned_by_hand()
        self._core.position_soon()

    # commits and positions

    async def commit(self, offsets: Committable | None = None, *, timeout: float | None = None) -> None:  # noqa: ASYNC109
        """Commit, and return when it is done. See `odradek.Consumer.commit`."""
        self._core.need_group("commit")
        self._check_here()
        what = self._core.consumed() if offsets is None else to_commit(offsets)
        await self._core.commit(what, self._seconds(timeout))

    async def committed(
        self,
        partitions: Named = None,
        *,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> dict[TopicPartition, OffsetAndMetadata | None]:
        """Return what the group has committed for these partitions (None = all assigned); None where nothing."""
        self._core.need_group("committed")
        self._check_here()
        which = named(partitions, self._core.holdings.held())
        return await self._core.committed(which, self._seconds(timeout))

    async def position(self, partition: TopicPartition, *, timeout: float | None = None) -> int:  # noqa: ASYNC109
        """Return the offset of the next record that `poll` returns of an assigned partition."""
        self._check_here()
        one = partition_of(partition)
        return await self._core.position(one, self._seconds(timeout))

    async def beginning_offsets(
        self,
        partitions: Named = None,
        *,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> dict[TopicPartition, int]:
        """Return the first offset of these partitions, None = of all assigned."""
        self._check_here()
        which = named(partitions, self._core.holdings.held())
        return await self._core.ends(which, EARLIEST, self._seconds(timeout))

    async def end_offsets(
        self,
        partitions: Named = None,
        *,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> dict[TopicPartition, int]:
        """Return the offset after the last readable record of these partitions, None = of all assigned."""
        self._check_here()
        which = named(partitions, self._core.holdings.held())
        return await self._core.ends(which, LATEST, self._seconds(timeout))

    async def offsets_for_times(
        self,
        times: Mapping[TopicPartition, int],
        *,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> dict[TopicPartition, OffsetAndTimestamp | None]:
        """Return for each partition the first offset whose record is not older than a time in ms; None = all are older."""
        self._check_here()
        return await self._core.by_time(to_look_up(times), self._seconds(timeout))

    async def partitions_for(self, topic: str) -> list[int]:
        """Return the numbers of a topic's partitions; [] when there is no such topic. `Admin` tells their leaders."""
        text("topic name", topic)
        self._check_here()
        infos = await self._link.topics([topic])
        return [info.partition for info in infos[topic].partitions] if topic in infos else []

    async def topics(self) -> set[str]:
        """Return the names of all topics that this client may see, internal ones left out."""
        self._check_here()
        return {name for name, info in (await self._link.topics()).items() if not info.internal}

    def _seconds(self, timeout: float | None) -> float:
        given = seconds(timeout)
        return self._core.api_timeout if given is None else given

    # life

    def _enter(self) -> None:
        """Begin a poll."""
        self._check_here()
        if self._polling:
            raise UsageError("another task is in poll, or poll was called from a callback; give each task its consumer")
        if not self._core.in_use:
            raise UsageError("poll: nothing to read; call subscribe(topics) or assign(partitions) first")
        self._core.confirm()
        self._polling = True
        self._core.polling = True
        self._core.has_polled = True

    def _leave(self) -> None:
        self._polling = False
        self._core.polled_at = time.monotonic()
        self._core.polling = False

    def _give_up(self) -> None:
        """End a poll that returns nothing because of an error."""
        self._leave()
        self._core.take_back()

    @contextlib.contextmanager
    def _mine(self) -> Iterator[None]:
        """Be in a call; which thread that is, asyncio watches."""
        self._check_open()
        yield

    def _check_open(self) -> None:
        if self._closed:
            raise ClosedError("the consumer is closed")
        self._check_fork()

    def _check_here(self) -> None:
        """Refuse what is to be awaited elsewhere, too: tasks and futures of the consumer are of its loop."""
        self._check_open()
        self._own_loop.check()

    def _check_fork(self) -> None:
        if os.getpid() != self._pid:
            raise ForkedError("the client was made before a fork; make a new one in the child")

    async def close(self, timeout: float | None = None) -> None:  # noqa: ASYNC109
        """Commit if that is automatic, leave the group (unless a static member), and end. See `odradek.Consumer.close`."""
        if self._closed or os.getpid() != self._pid:
            return
        self._own_loop.check()
        limit = seconds(timeout)
        self._closed = True
        core = self._core
        core.end_by(CLOSE_S if limit is None else limit)
        self.wakeup()
        try:
            if self._settling is not None:
                await asyncio.wait({self._settling})
            await self._departed()
            await self._drive(depart(core))
        finally:
            try:
                await core.close()
                await self._drive(call_back(core))
            finally:
                self._fetcher.close()
                await self._cluster.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    def __del__(self) -> None:
        if getattr(self, "_fetcher", None) is not None and not self._closed and os.getpid() == self._pid:
            warnings.warn(
                f"{self!r} was not closed; use `async with`, or close it", ResourceWarning, source=self, stacklevel=2
            )
            self._closed = True
            self._fetcher.close()
            with contextlib.suppress(RuntimeError):  # the loop is closed, and nothing is left in it
                self._loop.call_soon_threadsafe(_abandon, self._core, self._cluster)


def _weakly(consumer: Consumer) -> Callable[[], None]:
    """Return what ends a wait of the consumer. The tasks of its membership hold it: they must not keep the consumer alive."""
    known = weakref.ref(consumer)

    def ring() -> None:
        one = known()
        if one is not None:
            one._ring()  # noqa: SLF001  its own

    return ring


def _abandon(core: Core, cluster: Cluster) -> None:
    """End what a forgotten consumer has left in the loop; its group notices when the session is over."""
    core.abandon()
    asyncio.ensure_future(cluster.close())  # noqa: RUF006  it awaits nothing
