"""`odradek.aio.Producer`: the producer for asyncio. Rust wakes the loop once a burst of answers; there is no thread pool."""

import asyncio
import warnings
from asyncio import get_running_loop
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from odradek import errors
from odradek.client.native import AsyncDeliveryFuture, ManyFuture, NativeProducer
from odradek.client.own_loop import OwnLoop
from odradek.client.producer.options import OnDelivery, open_producer
from odradek.config.client import ClientOptions, resolve, resolve_config

if TYPE_CHECKING:
    from typing import Unpack

    from odradek.client.keywords import ProducerKeywords

__all__ = ["Producer"]

Bytes = bytes | bytearray | memoryview
Headers = Mapping[str, Bytes | None] | Iterable[tuple[str, Bytes | None]]


class Producer:
    """Sends records from coroutines: `future = await producer.send("topic", b"value"); metadata = await future`.

    Options and guarantees are those of `odradek.Producer`. It belongs to the loop in which it first sends; a coroutine
    that is cancelled while it waits for room has sent nothing, one that is cancelled while it awaits a delivery has.
    `on_delivery` is called on the loop.
    """

    def __init__(
        self,
        bootstrap_servers: str | Sequence[str],
        *,
        on_delivery: OnDelivery | None = None,
        **options: "Unpack[ProducerKeywords]",
    ) -> None:
        self._begin(resolve("producer", bootstrap_servers, options), on_delivery)

    @classmethod
    def from_config(cls, config: Mapping[str, Any], *, on_delivery: OnDelivery | None = None) -> Self:
        """Make a producer from Kafka's dotted names; see `odradek.Producer.from_config`."""
        producer = cls.__new__(cls)
        producer._begin(resolve_config("producer", config), on_delivery)
        return producer

    def _begin(self, options: ClientOptions, on_delivery: OnDelivery | None) -> None:
        self._options = options
        self._own: OwnLoop | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._native = NativeProducer()
        open_producer(self._native, options, on_delivery)
        self._finding: dict[tuple[str, int], asyncio.Future[None]] = {}
        self._max_block = self._native._max_block()
        self._try_send = self._native._try_send

    def __repr__(self) -> str:
        return self._options.shown("odradek.aio.Producer", closed=not self._native._is_open())

    async def send(
        self,
        topic: str,
        value: Any,
        key: Any = None,
        *,
        partition: int | None = None,
        headers: Headers | None = None,
        timestamp_ms: int | None = None,
        on_delivery: OnDelivery | None = None,
    ) -> AsyncDeliveryFuture:
        """Put a record into its batch; waits only for the topic's metadata and for room in `buffer_memory`.

        Returns:
            A future: `await` it for the RecordMetadata.

        Raises:
            As `odradek.Producer.send`.
        """
        if get_running_loop() is not self._loop:
            self._attach()
        rest = (partition, headers, timestamp_ms, on_delivery)
        deadline = 0.0
        while True:
            lacks = self._try_send(topic, value, key, rest)
            if not isinstance(lacks, int):
                return lacks
            deadline = deadline or self._running().time() + self._max_block
            await self._wait_for(topic, lacks, deadline)

    async def send_many(
        self,
        topic: str,
        values: Iterable[Any],
        keys: Iterable[Any] | None = None,
        *,
        partition: int | None = None,
        headers: Headers | None = None,
        timestamp_ms: int | None = None,
    ) -> ManyFuture:
        """Send many records; see `odradek.Producer.send_many`. `await` the future for the list of RecordMetadata."""
        self._attach()
        native = self._native
        many = native._start_many(timestamp_ms)
        listed, listed_keys = native._listed(values), None if keys is None else native._listed(keys)
        deadline = self._running().time() + self._max_block
        start, lacks = native._send_some(many, topic, listed, listed_keys, 0, partition, headers)
        while lacks:
            await self._wait_for(topic, lacks + (lacks < 0), deadline)
            start, lacks = native._send_some(many, topic, listed, listed_keys, start, partition, headers)
        return many

    async def send_arrow(
        self,
        topic: str,
        table: Any,
        *,
        value: str = "value",
        key: str | None = None,
        partition: int | None = None,
        headers: Headers | None = None,
        timestamp_ms: int | None = None,
    ) -> ManyFuture:
        """Send the rows of an Arrow table; see `odradek.Producer.send_arrow`."""
        self._attach()
        native = self._native
        many = native._start_many(timestamp_ms)
        rows = native._arrow_rows(table, value, key)
        deadline = self._running().time() + self._max_block
        while lacks := native._send_rows(many, topic, rows, partition, headers):
            await self._wait_for(topic, lacks + (lacks < 0), deadline)
        return many

    async def flush(self, timeout: float | None = None) -> None:
        """Send everything now and wait until it is delivered or has failed.

        Raises:
            TimeoutError: after `timeout` seconds; says how many records are left.
        """
        self._attach()
        waiting = self._running().create_future()
        self._native._when_flushed(waiting)
        try:
            async with asyncio.timeout(timeout):
                await waiting
        except TimeoutError:
            left = self._native._records_left()
            raise errors.TimeoutError(
                f"flushing ({left} records are not delivered yet) took more than {timeout} s"
            ) from None

    async def close(self, timeout: float | None = None) -> None:
        """Deliver what was sent, then end; see `odradek.Producer.close`."""
        if not self._native._is_open():
            return
        self._attach()  # which refuses another loop's before anything has changed
        if not self._native._stop_taking():
            return
        try:
            await self.flush(timeout)
        finally:
            self._end()

    async def partitions_for(self, topic: str) -> list[int]:
        """Return the topic's partitions."""
        self._attach()
        await self._found(topic, 0, self._max_block)
        return self._native.partitions_for(topic, 0.0)

    def metrics(self) -> dict[str, float]:
        """Return the producer's numbers; see `odradek.Producer.metrics`."""
        return self._native.metrics()

    async def __aenter__(self) -> Self:
        self._attach()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    def __del__(self) -> None:
        native = getattr(self, "_native", None)
        if native is not None and native._is_open():
            warnings.warn(
                f"{self!r} was not closed; use `async with`, or close it", ResourceWarning, source=self, stacklevel=2
            )
            native._shut()

    def _running(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            raise errors.ClosedError("the producer is closed")
        return self._loop

    def _attach(self) -> None:
        if self._own is None:
            self._own = OwnLoop()
            self._loop = self._own.loop
            self._loop.add_reader(self._native._completion_fd(), self._native._dispatch)
        else:
            self._own.check()

    def _end(self) -> None:
        if self._loop is not None:
            self._loop.remove_reader(self._native._completion_fd())
        self._native._shut()
        self._native._dispatch()

    async def _found(self, topic: str, partitions: int, timeout: float) -> None:
        """Wait until the topic is known; those who want the same wait together, so that they go on in their order."""
        key = (topic, partitions)
        waiting = self._finding.get(key)
        if waiting is None:
            waiting = self._finding[key] = self._running().create_future()
            waiting.add_done_callback(lambda done: self._forget(key, done))
            self._native._when_topic(topic, partitions, timeout, waiting)
        await asyncio.shield(waiting)

    def _forget(self, key: tuple[str, int], done: asyncio.Future[None]) -> None:
        del self._finding[key]
        if not done.cancelled():
            done.exception()  # whoever waited may be gone; that is no reason for a warning

    async def _wait_for(self, topic: str, lacks: int, deadline: float) -> None:
        """Wait for room (`lacks` bytes) or for the topic (with -`lacks` partitions)."""
        loop = self._running()
        if lacks <= 0:
            await self._found(topic, -lacks, max(0.0, deadline - loop.time()))
            return
        waiting = loop.create_future()
        self._native._when_room(lacks, waiting)
        try:
            async with asyncio.timeout_at(deadline):
                await waiting
        except TimeoutError:
            raise errors.BufferFullError(
                f"buffer_memory stayed full for max_block_ms, {self._max_block * 1000:.0f}: the brokers take records more "
                "slowly than they are sent, or not at all; the record was not taken"
            ) from None
