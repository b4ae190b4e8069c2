"""`odradek.Consumer`: the blocking consumer. Its polls go straight to the native fetcher when nothing else is to do.

Group membership lives on a thread of its own, so heartbeats go on however long records are worked on; what only the
user's thread may do (callbacks, giving up partitions) waits for `poll`. The asyncio twin is `aio.py`, the parts `core.py`.
"""

import contextlib
import os
import re
import time
import warnings
from collections.abc import Iterable, Iterator, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Self

from odradek.client.arguments import partition_of, partitions_of, seconds, text
from odradek.client.cluster import Cluster
from odradek.client.consumer import face
from odradek.client.consumer.arguments import (
    FOREVER_MS,
    Committable,
    Named,
    milliseconds,
    most_of,
    named,
    to_commit,
    to_look_up,
)
from odradek.client.consumer.core import CLOSE_S, Core
from odradek.client.consumer.decoding import decoder
from odradek.client.consumer.link import Link
from odradek.client.consumer.offsets import EARLIEST, LATEST
from odradek.client.consumer.settling import Call, Steps, call_back, depart, settle
from odradek.client.consumer.subscription import Callbacks, RebalanceCallback
from odradek.client.consumer.wanted import Wanted
from odradek.client.loop_thread import LoopThread
from odradek.client.native import Fetcher, Turn
from odradek.config.client import ClientOptions
from odradek.errors import ClosedError, OdradekError, UsageError
from odradek.types import OffsetAndMetadata, OffsetAndTimestamp, Record, TopicPartition

if TYPE_CHECKING:
    from odradek.client.native import ArrowBatch, TurnCall

__all__ = ["Consumer"]


class Consumer(face.Consumer):
    """Reads records: `with odradek.Consumer("localhost:9092", group_id="billing") as consumer: consumer.subscribe("orders")`.

    Then `for record in consumer`, or `consumer.poll(timeout)` for lists, or `poll_arrow`. Records are fetched ahead by a
    thread of Rust, at most `buffer_max_bytes` of them. What `poll` has returned counts as read: it is committed now and
    then (`enable_auto_commit`), or by `commit`.

    One thread at a time: a call from a second one raises UsageError. Only `wakeup` and `metrics` may come from anywhere. A
    process that forks makes a new consumer in the child.

    Args:
        bootstrap_servers: "HOST:PORT,HOST:PORT", or a sequence of them.
        options: see docs/client-options.md; None = default.

    Raises:
        ConfigError: an unknown option or a bad value; says what is allowed.
    """

    _for_asyncio = False

    def _begin(self, options: ClientOptions) -> None:
        self._pid = os.getpid()
        self._closed = False
        self._woken = False
        self._turn = Turn()
        self._most = options.number("max.poll.records")
        self._loop = LoopThread("odradek-consumer")
        try:
            self._cluster, self._link, self._core = self._loop.run(lambda: self._open(options))
        except BaseException:
            self._loop.close()
            raise
        self._fetcher = self._core.fetcher
        self._decode = decoder(options, self._fetcher)
        self._handover = self._core.handover
        self._handover.attention = True  # so that a first poll without a subscription is noticed

    @staticmethod
    async def _open(options: ClientOptions) -> tuple[Cluster, Link, Core]:
        cluster = Cluster(options.texts)
        link = Link(cluster, options)
        fetcher = Fetcher(cluster.native, options.texts)
        return cluster, link, Core(options, link, fetcher, fetcher.wakeup)

    # polling

    def poll(self, timeout: float | None = None, max_records: int | None = None) -> list[Record]:
        """Return the next records, in order within each partition; [] when none came in time.

        Rebalances, their callbacks, automatic commits and callbacks of `commit_async` happen in here, so call it at
        least every `max_poll_interval_ms`.

        Args:
            timeout: seconds to wait when there is nothing; 0 = don't, None = until there is something.
            max_records: most records to return; None = `max_poll_records`.

        Raises:
            SerializationError: the next record can't be decoded; it was not returned, and `seek` can skip it.
            MaxPollExceededError: the last poll was too long ago and the group has gone on without this consumer; the
                next poll joins it again.
            NoOffsetForPartitionError, OffsetOutOfRangeError: with `auto_offset_reset="none"`.
            NoBrokersAvailableError: no broker could ever be reached; says what was found at each address.
            KafkaError: the group or a topic is refused; FENCED_INSTANCE_ID when another has this `group_instance_id`.
            UsageError: not subscribed or assigned, or another thread is in a call.
        """
        core = self._core
        # No calls for arguments that are seen to be right: a few calls are a tenth of what a small poll takes.
        most = self._most if max_records is None else most_of(max_records, self._most)
        kind = type(timeout)
        if (kind is not float and kind is not int) or not timeout >= 0:  # type: ignore[operator]
            timeout = seconds(timeout)
        with self._turn:
            self._begin_poll()
            try:
                deadline = time.monotonic() + timeout if timeout else timeout
                if not (self._handover.attention or self._woken or core.unread.records or self._decode):
                    wait = FOREVER_MS if timeout is None else milliseconds(timeout)
                    records: list[Record] = self._fetcher.poll(wait, most)
                else:
                    records = []
                if not records:
                    records = self._poll_on(deadline, most)
                core.polled_at = time.monotonic()
                core.polling = False
            except BaseException:
                # No call first: a second Ctrl-C may come behind each, and then `_mend` has the rest to do.
                core.polled_at = None
                core.polling = False
                core.take_back()
                raise
        # Python looks for Ctrl-C behind calls, the end of `with` among them: until here, `_mend` takes back what was polled.
        core.owes = False
        return records

    def _poll_on(self, deadline: float | None, most: int) -> list[Record]:
        """Poll until the deadline by time.monotonic; 0 = long ago, None = never."""
        core = self._core
        while True:
            self._settle()
            if core.unread.records:
                return core.unread.take(most)
            if self._was_woken():
                return []
            records: list[Record] = self._fetcher.poll(_left(deadline), most)
            if records:
                return records if self._decode is None else self._decode(records)
            if not self._handover.attention and not self._woken and _over(deadline):
                return []

    def poll_arrow(self, timeout: float | None = None, max_records: int | None = None) -> "ArrowBatch":
        """Return the next records as one Arrow record batch; one without rows when none came in time.

        Columns: topic, partition, offset, timestamp, key, value, headers; keys and values as bytes, whatever the
        deserializers. pyarrow, polars and duckdb take it without a copy. Arguments, errors and all else as `poll`.
        """
        core = self._core
        most = most_of(max_records, self._most)
        timeout = seconds(timeout)
        with self._turn:
            self._begin_poll()
            try:
                deadline = None if timeout is None else time.monotonic() + timeout
                core.unread.put_back(core.holdings.held())
                while True:
                    self._settle()
                    left = 0 if self._was_woken() else _left(deadline)
                    batch: ArrowBatch = self._fetcher.poll_arrow(left, most)
                    if batch.num_rows or left == 0 or (not self._handover.attention and _over(deadline)):
                        break
                core.polled_at = time.monotonic()
                core.polling = False
            except BaseException:  # as in `poll`
                core.polled_at = None
                core.polling = False
                core.take_back()
                raise
        core.owes = False
        return batch

    def __iter__(self) -> Iterator[Record]:
        return self

    def __next__(self) -> Record:
        """Return the next record, waiting for it; stops after `wakeup` or `close`. Commits count records seen so far."""
        core = self._core
        unread = core.unread
        if not unread.records or self._handover.attention or core.owes:
            self._poll_for_next()
        # Not in a turn of its own, which would take longer than all of this; a second thread's poll is refused above.
        core.polled_at = time.monotonic()  # each step is as good as a poll
        # Python looks for Ctrl-C behind calls: without one here no record is taken that does not come out.
        record = unread.records[0]
        del unread.records[0]
        return record

    def _poll_for_next(self) -> None:
        """Poll for records to iterate over; StopIteration when none come."""
        if self._closed:
            raise StopIteration
        records = self.poll()
        if not records:
            raise StopIteration
        self._core.unread.records.extend(records)

    def wakeup(self) -> None:
        """Make a `poll` that waits return with what it has, or the next one; callable from any thread."""
        self._check_fork()
        self._woken = True
        self._fetcher.wakeup()

    def _was_woken(self) -> bool:
        woken, self._woken = self._woken, False
        return woken

    def _settle(self) -> None:
        """Do what waits for a poll."""
        if not self._handover.attention:
            return
        self._check_open()
        if not self._core.in_use:
            raise UsageError("poll: nothing to read; call subscribe(topics) or assign(partitions) first")
        self._drive(settle(self._core))

    def _drive(self, steps: Steps) -> None:
        """Run the steps: ours on the loop's thread, the user's in this one. See `settling.py`."""
        error: BaseException | None = None
        try:
            while True:
                try:
                    step = next(steps) if error is None else steps.throw(error)
                except StopIteration:
                    return
                error = None
                try:
                    if isinstance(step, Call):
                        step.function(*step.arguments)
                    else:
                        self._loop.run(step.work)
                except BaseException as trouble:  # noqa: BLE001  thrown back in at once
                    error = trouble
        finally:  # Ctrl-C between two steps: whoever keeps the exception would keep the steps from ending
            steps.close()

    # subscription

    def subscribe(
        self,
        topics: str | re.Pattern[str] | Iterable[str],
        *,
        on_assigned: RebalanceCallback | None = None,
        on_revoked: RebalanceCallback | None = None,
        on_lost: RebalanceCallback | None = None,
    ) -> None:
        """Share these topics with the other members of the group; replaces an earlier subscription.

        Args:
            topics: names; or a compiled pattern, or text that begins with `^`, which topic names begin with a match of.
                Topics that appear or grow later are taken in.
            on_assigned: called in `poll` with the partitions that come, before any of their records.
            on_revoked: called in `poll`, `unsubscribe` or `close` with partitions that go, while commits are possible.
            on_lost: called instead when they are somebody else's already; None = `on_revoked` is called for it too.

        Raises:
            ConfigError: no `group_id`, or no topics. UsageError: partitions were assigned by hand.
        """
        self._core.need_group("subscribe")
        wanted = Wanted.of(topics)
        callbacks = Callbacks.of(on_assigned=on_assigned, on_revoked=on_revoked, on_lost=on_lost)
        with self._mine():
            if self._core.holdings.wanted is None and self._core.holdings.held():
                raise UsageError("subscribe: partitions were assigned by hand; call unsubscribe() first")
            self._loop.run(lambda: self._core.subscribe(wanted, callbacks))

    def unsubscribe(self) -> None:
        """Give up all partitions, leave the group (unless a static member), and be without topics."""
        with self._mine():
            self._drive(depart(self._core))
            self._loop.run(lambda: self._core.leave("the consumer unsubscribed"))
            self._core.take_over(())
            self._handover.attention = True

    def assign(self, partitions: TopicPartition | Iterable[TopicPartition]) -> None:
        """Read exactly these partitions, without sharing them in a group; replaces an earlier assignment.

        They begin at the offset committed for `group_id`, if there is one, else as `auto_offset_reset` says.

        Raises:
            UsageError: the consumer is subscribed.
        """
        with self._mine():
            if self._core.holdings.wanted is not None:
                raise UsageError("assign: the consumer is subscribed; call unsubscribe() first")
            if self._core.auto_commit:
                self._core.commit_in_background()
            self._core.take_over(dict.fromkeys(partitions_of(partitions)))
            self._loop.run(self._core.assigned_by_hand)
            self._core.position_soon()

    # commits and positions

    def commit(self, offsets: Committable | None = None, *, timeout: float | None = None) -> None:
        """Commit, and return when it is done; tried again while that can help.

        Args:
            offsets: {TopicPartition: OffsetAndMetadata or int}, the next offset to read; or a record, which commits the
                offset after it; None = everything that `poll` has returned.
            timeout: seconds; None = `default_api_timeout_ms`.

        Raises:
            CommitFailedError: the group has rebalanced; the partitions may be another member's.
            ConfigError: no `group_id`, or something that is no offset. TimeoutError, KafkaError.
        """
        self._core.need_group("commit")
        limit = self._seconds(timeout)
        with self._mine():
            what = self._core.consumed() if offsets is None else to_commit(offsets)
            self._loop.run(lambda: self._core.commit(what, limit))

    def committed(
        self, partitions: Named = None, *, timeout: float | None = None
    ) -> dict[TopicPartition, OffsetAndMetadata | None]:
        """Return what the group has committed for these partitions (None = all assigned); None where nothing."""
        self._core.need_group("committed")
        limit = self._seconds(timeout)
        with self._mine():
            which = named(partitions, self._core.holdings.held())
            return self._loop.run(lambda: self._core.committed(which, limit))

    def position(self, partition: TopicPartition, *, timeout: float | None = None) -> int:
        """Return the offset of the next record that `poll` returns of an assigned partition."""
        one = partition_of(partition)
        limit = self._seconds(timeout)
        with self._mine():
            return self._loop.run(lambda: self._core.position(one, limit))

    def beginning_offsets(self, partitions: Named = None, *, timeout: float | None = None) -> dict[TopicPartition, int]:
        """Return the first offset of these partitions, None = of all assigned; any partition may be asked for."""
        limit = self._seconds(timeout)
        with self._mine():
            which = named(partitions, self._core.holdings.held())
            return self._loop.run(lambda: self._core.ends(which, EARLIEST, limit))

    def end_offsets(self, partitions: Named = None, *, timeout: float | None = None) -> dict[TopicPartition, int]:
        """Return the offset after the last readable record of these partitions, None = of all assigned."""
        limit = self._seconds(timeout)
        with self._mine():
            which = named(partitions, self._core.holdings.held())
            return self._loop.run(lambda: self._core.ends(which, LATEST, limit))

    def offsets_for_times(
        self, times: Mapping[TopicPartition, int], *, timeout: float | None = None
    ) -> dict[TopicPartition, OffsetAndTimestamp | None]:
        """Return for each partition the first offset whose record is not older than a time in ms; None = all are older."""
        wanted = to_look_up(times)
        limit = self._seconds(timeout)
        with self._mine():
            return self._loop.run(lambda: self._core.by_time(wanted, limit))

    def partitions_for(self, topic: str, *, timeout: float | None = None) -> list[int]:
        """Return the numbers of a topic's partitions; [] when there is no such topic. `Admin` tells their leaders."""
        text("topic name", topic)
        limit = self._seconds(timeout)
        with self._mine():
            infos = self._loop.run(lambda: self._core.within(limit, "partitions_for", self._link.topics([topic])))
        return [info.partition for info in infos[topic].partitions] if topic in infos else []

    def topics(self, *, timeout: float | None = None) -> set[str]:
        """Return the names of all topics that this client may see, internal ones left out."""
        limit = self._seconds(timeout)
        with self._mine():
            infos = self._loop.run(lambda: self._core.within(limit, "topics", self._link.topics()))
        return {name for name, info in infos.items() if not info.internal}

    def _seconds(self, timeout: float | None) -> float:
        given = seconds(timeout)
        return self._core.api_timeout if given is None else given

    # life

    def _mine(self) -> "TurnCall":
        """Be the one thread that is in a call."""
        return self._turn.call(self._begin_call)

    def _begin_call(self) -> None:
        self._check_open()
        self._mend()

    def _begin_poll(self) -> None:
        core = self._core
        if core.polling:
            raise UsageError("poll was called from a callback that poll itself is running")
        if core.owes:  # as `_mend`, without a call: this is in each poll
            core.take_back()
        core.confirm()
        core.owes = core.polling = core.has_polled = True  # no call from here on until the poll would note an error

    def _mend(self) -> None:
        """Take back what a poll took that a second Ctrl-C kept from doing so itself."""
        core = self._core
        if core.owes and not core.polling:
            core.take_back()

    def _check_open(self) -> None:
        if self._closed:
            raise ClosedError("the consumer is closed")
        self._check_fork()

    def _check_fork(self) -> None:
        self._loop.check_fork()

    def close(self, timeout: float | None = None) -> None:
        """Commit what was polled if that is automatic, leave the group (unless a static member), and end.

        Closing twice is fine, and ends what a Ctrl-C left; in a forked child it does nothing. `on_revoked` and waiting
        commit callbacks are called.

        Args:
            timeout: seconds for commit and leaving; None = 30. What can't be done by then is given up, with a warning in
                the log: the group notices by itself that the member is gone.

        Raises:
            UsageError: another thread is in a call; `wakeup` ends its poll.
        """
        if not self._loop.alive or os.getpid() != self._pid:
            return
        limit = seconds(timeout)
        with self._turn:
            self._mend()
            try:
                if not self._closed:  # else Ctrl-C came when the end was near
                    self._part(CLOSE_S if limit is None else limit)
            finally:
                self._closed = True
                self._handover.attention = True
                self._end()

    def _part(self, limit: float) -> None:
        """Give up what is held, and leave."""
        core = self._core
        core.end_by(limit)
        try:
            self._drive(depart(core))
        finally:
            self._loop.run(core.close)
            self._drive(call_back(core))

    def _end(self) -> None:
        self._fetcher.close()
        with contextlib.suppress(OdradekError):
            self._loop.run(self._cluster.close, 1.0)
        self._loop.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        if getattr(self, "_fetcher", None) is not None and not self._closed and os.getpid() == self._pid:
            warnings.warn(
                f"{self!r} was not closed; use `with`, or close it", ResourceWarning, source=self, stacklevel=2
            )
            self._closed = True
            self._fetcher.close()
            self._loop.loop.call_soon_threadsafe(self._loop.loop.stop)


def _left(deadline: float | None) -> int:
    return FOREVER_MS if deadline is None else milliseconds(deadline - time.monotonic())


def _over(deadline: float | None) -> bool:
    return deadline is not None and time.monotonic() >= deadline
