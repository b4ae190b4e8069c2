"""Keeps a coordinator's state in a log: append, then replay; nothing else changes the state. The only I/O here.

One internal topic belongs to a coordinator (`__consumer_offsets`), each partition of it holds the state of its share of
the keys: a *shard*. A request handler works out a response and the records that make it true; `commit` appends the
records and replays them into the shard, and the response may go out: on a single node an append is committed when it is
made. At start the same replay runs over what the log holds, of which only the last record of each key counts.

Not here: what records mean (the shard's business) and timers' purposes (the service's). A partition whose log fails
is given up, as its log directory is (see DESIGN, Durability): everybody who waits is told, nothing is retried.
Read next: `group/service.py`. Source: Kafka `CoordinatorRuntime`.
"""

import asyncio
import logging
import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, Protocol

from odradek.broker.coordinator.clock import Clock
from odradek.errors import (
    CoordinatorLoadInProgressError,
    CoordinatorNotAvailableError,
    ErrorCode,
    KafkaError,
    NotCoordinatorError,
    OdradekError,
)

__all__ = ["Codec", "Log", "Runtime", "Shard"]

_READ_BYTES: Final = 1 << 20
_COMMIT_MARKER: Final = b"\0\0\0\1"
"""Key of the control record that ends a transaction with a commit: version 0, type 1."""

_log = logging.getLogger(__name__)


class Log(Protocol):
    """What of the engine is needed here; see `_native.pyi`."""

    def append(self, topic: str, partition: int, batches: bytes) -> tuple[int, int]: ...  # noqa: D102
    def read(self, topic: str, partition: int, offset: int, max_bytes: int) -> bytes: ...  # noqa: D102
    def offsets(self, topic: str, partition: int) -> tuple[int, int, int]: ...  # noqa: D102


class Shard(Protocol):
    """The state that one partition's records add up to."""

    def replay(self, record: Any) -> None:
        """Let a record take effect; it is in the log. Must not fail."""

    def close(self, error: ErrorCode) -> None:
        """The state is no longer this broker's: answer everybody who waits with the error."""


class Codec(Protocol):
    """Turns a coordinator's records into keys and values and back."""

    def encode(self, record: Any) -> tuple[bytes, bytes | None]: ...  # noqa: D102
    def decode(self, key: bytes, value: bytes | None) -> Any | None:
        """Return the record, None for a kind that is not kept. Raises ValueError if it can't be read."""


class Runtime:
    """The shards of one coordinator. Belongs to one event loop."""

    def __init__(
        self,
        topic: str,
        log: Log,
        codec: Codec,
        *,
        clock: Clock,
        make_shard: Callable[[int], Shard],
        max_batch_bytes: int,
    ) -> None:
        """Make the runtime; no shard is there until it is loaded.

        Args:
            topic: the internal topic.
            log: where its partitions are.
            codec: of the coordinator's records.
            clock: stamps what is appended.
            make_shard: makes an empty shard of a partition.
            max_batch_bytes: a larger batch is refused; `max.message.bytes` of the topic.
        """
        self._topic = topic
        self._log = log
        self._codec = codec
        self._clock = clock
        self._make_shard = make_shard
        self._max_batch_bytes = max_batch_bytes
        self._shards: dict[int, Shard] = {}
        self._loads: dict[int, asyncio.Task[None]] = {}
        self._failed: set[int] = set()
        self._stopped = False

    def shard(self, partition: int) -> Shard:
        """Return the state of a partition, whose loading starts now if need be.

        Raises:
            CoordinatorLoadInProgressError (14): its log is being read.
            CoordinatorNotAvailableError (15): its log failed.
            NotCoordinatorError (16): another broker has it.
        """
        shard = self._shards.get(partition)
        if shard is not None:
            return shard
        if self._stopped:
            raise NotCoordinatorError("the broker is stopping")
        if partition in self._failed:
            raise CoordinatorNotAvailableError(f"{self._topic}-{partition} has failed")
        if partition not in self._loads and self._is_empty(partition):
            return self._shards.setdefault(partition, self._make_shard(partition))
        self._start_load(partition)
        raise CoordinatorLoadInProgressError(f"{self._topic}-{partition} is being read")

    def shard_if_loaded(self, partition: int) -> Shard | None:
        """Return the state of a partition if it is there; never starts to load it."""
        return self._shards.get(partition)

    def loaded(self) -> Iterable[Shard]:
        """Return the shards that are there."""
        return self._shards.values()

    @property
    def loading(self) -> bool:
        """True while a partition is being read."""
        return bool(self._loads)

    async def load(self, partitions: Iterable[int], budget_s: float) -> None:
        """Read these partitions; return when it is done, or after `budget_s` while the rest goes on being read."""
        for partition in partitions:
            if partition not in self._shards and not self._is_empty(partition):
                self._start_load(partition)
        if self._loads:
            await asyncio.wait(list(self._loads.values()), timeout=budget_s)

    def commit(self, partition: int, records: Sequence[Any]) -> None:
        """Append the records as one batch, whole or not at all, and let them take effect.

        Raises:
            KafkaError: MESSAGE_TOO_LARGE (10), nothing was written; NOT_COORDINATOR (16), the log failed.
        """
        from odradek.record import encode_batch  # noqa: PLC0415 - ready comes first

        now_ms = self._clock.wall_ms()
        encode = self._codec.encode
        batch = encode_batch([(now_ms, *encode(record), ()) for record in records])
        if len(batch) > self._max_batch_bytes:
            raise KafkaError(
                f"a batch of {len(batch)} bytes for {self._topic}-{partition}, the limit is {self._max_batch_bytes}",
                code=ErrorCode.MESSAGE_TOO_LARGE,
            )
        try:
            self._log.append(self._topic, partition, batch)
        except OdradekError as error:
            self._give_up(partition, error)
            raise NotCoordinatorError(f"{self._topic}-{partition}: {error}") from error
        os.sched_yield()  # an I/O thread that became ready on this core need not wait for what follows
        shard = self._shards[partition]
        for record in records:
            shard.replay(record)

    async def stop(self) -> None:
        """Stop reading and hand back all shards: everybody who waits is told to look for another coordinator."""
        self._stopped = True
        loads = list(self._loads.values())
        for task in loads:
            task.cancel()
        await asyncio.gather(*loads, return_exceptions=True)
        shards, self._shards = list(self._shards.values()), {}
        for shard in shards:
            shard.close(ErrorCode.NOT_COORDINATOR)

    def _is_empty(self, partition: int) -> bool:
        try:
            start, _, end = self._log.offsets(self._topic, partition)
        except OdradekError as error:
            raise NotCoordinatorError(f"{self._topic}-{partition}: {error}") from error
        return start == end

    def _start_load(self, partition: int) -> None:
        if partition not in self._loads:
            self._loads[partition] = asyncio.get_running_loop().create_task(self._load(partition))

    async def _load(self, partition: int) -> None:
        try:
            last = await self._read_last(partition)
            shard = self._make_shard(partition)
            unreadable = 0
            for key, (_, value) in last.items():
                try:
                    record = self._codec.decode(key, value)
                except ValueError as error:
                    unreadable += 1
                    problem = error
                    continue
                if record is not None:
                    shard.replay(record)
            if unreadable:
                _log.error("%s-%d: %d records skipped, the last: %s", self._topic, partition, unreadable, problem)
            self._shards[partition] = shard
        except OdradekError as error:
            self._give_up(partition, error)
        finally:
            del self._loads[partition]

    async def _read_last(self, partition: int) -> dict[bytes, tuple[int, bytes]]:
        """Return (offset, value) of the last record of each key, without the keys whose last is a tombstone."""
        from odradek.record import decode_batches  # noqa: PLC0415

        last: dict[bytes, tuple[int, bytes]] = {}
        open_transactions: dict[int, list[tuple[int, bytes, bytes | None]]] = {}
        offset, _, end = self._log.offsets(self._topic, partition)
        while offset < end:
            data = self._log.read(self._topic, partition, offset, _READ_BYTES)
            if not data:
                break
            for batch in decode_batches(data):
                if batch.is_control:
                    written = open_transactions.pop(batch.producer_id, [])
                    commits = any(record.key == _COMMIT_MARKER for record in batch.records)
                    for place, key, value in written if commits else ():
                        _keep(last, place, key, value)
                elif batch.is_transactional:
                    pending = open_transactions.setdefault(batch.producer_id, [])
                    pending += ((record.offset, record.key or b"", record.value) for record in batch.records)
                else:
                    for record in batch.records:
                        _keep(last, record.offset, record.key or b"", record.value)
                offset = batch.last_offset + 1
            await asyncio.sleep(0)  # others get their turn between reads
        return last

    def _give_up(self, partition: int, error: OdradekError) -> None:
        _log.error("%s-%d failed, its keys have no coordinator now: %s", self._topic, partition, error)
        self._failed.add(partition)
        shard = self._shards.pop(partition, None)
        if shard is not None:
            shard.close(ErrorCode.NOT_COORDINATOR)


def _keep(last: dict[bytes, tuple[int, bytes]], offset: int, key: bytes, value: bytes | None) -> None:
    """Let a record count unless a later one of its key is known: a transaction's records count from its marker on."""
    known = last.get(key)
    if known is not None and known[0] > offset:
        return
    if value is None:
        last.pop(key, None)
    else:
        last[key] = (offset, value)
