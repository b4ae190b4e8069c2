"""Kafka's log directory, read from outside: the raw batches of a segment, its indexes, snapshots and checkpoints.

Everything streams or is small: memory does not grow with the size of a log. Reading never changes a file and takes no
lock, so the tail of a log that a broker writes at the same time may look torn. What a batch's bytes mean is
`record.py`'s business; judging whether files agree with each other is `cli/log_verify.py`'s.

```text
NNN.log        record batches                                    NNN = offset of the first record, 20 digits
NNN.index      8 bytes an entry:  relative offset i32, file position i32
NNN.timeindex  12 bytes an entry: timestamp in ms i64, relative offset i32
NNN.txnindex   34 bytes an entry: version i16, producer id, first, last and last stable offset, each i64
NNN.snapshot   version i16, CRC-32C u32 of what follows, count i32, then 58 bytes a producer
*-checkpoint   text: version, number of lines, lines
```
A running Kafka broker keeps index files longer than their content, filled with zeros. Source: Kafka `LogSegment`,
`OffsetIndex`, `TimeIndex`, `TransactionIndex`, `ProducerStateManager`, `CheckpointFile`.
"""

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from odradek.errors import StorageError

__all__ = [
    "AbortedTransaction",
    "OffsetEntry",
    "ProducerEntry",
    "RawBatch",
    "Snapshot",
    "TimeEntry",
    "base_offset_of",
    "read_batches",
    "read_checkpoint",
    "read_offset_index",
    "read_snapshot",
    "read_time_index",
    "read_transaction_index",
]

_LOG_OVERHEAD = struct.Struct(">qi")
_MAX_BATCH_BYTES = 256 << 20
_OFFSET_ENTRY = struct.Struct(">ii")
_TIME_ENTRY = struct.Struct(">qi")
_TRANSACTION_ENTRY = struct.Struct(">hqqqq")
_SNAPSHOT_HEAD = struct.Struct(">hI")
_COUNT = struct.Struct(">i")
_PRODUCER_ENTRY = struct.Struct(">qhiqiqiq")
_SNAPSHOT_VERSION = 1


@dataclass(frozen=True)
class RawBatch:
    """One batch as it lies in the file; nothing but its length has been looked at."""

    file_position: int
    data: bytes


@dataclass(frozen=True)
class OffsetEntry:
    """`offset`: last offset of the batch that starts at `file_position`."""

    offset: int
    file_position: int


@dataclass(frozen=True)
class TimeEntry:
    """`timestamp_ms`: the greatest up to and including the batch that ends with `offset`."""

    timestamp_ms: int
    offset: int


@dataclass(frozen=True)
class AbortedTransaction:
    """An aborted transaction, its offset range and what was stable when it ended."""

    producer_id: int
    first_offset: int
    last_offset: int
    last_stable_offset: int


@dataclass(frozen=True)
class ProducerEntry:
    """What a broker remembers of an idempotent producer; -1 stands for "none"."""

    producer_id: int
    producer_epoch: int
    last_sequence: int
    last_offset: int
    offset_delta: int
    timestamp_ms: int
    coordinator_epoch: int
    current_transaction_first_offset: int


@dataclass(frozen=True)
class Snapshot:
    """A producer-state snapshot. `crc` is the stored checksum of `content`."""

    crc: int
    content: bytes
    producers: list[ProducerEntry]


def base_offset_of(path: Path) -> int:
    """Return the offset that a segment file's name says.

    Raises:
        StorageError: the name is no offset.
    """
    name = path.name.split(".")[0]
    if len(name) != 20 or not name.isdecimal():
        raise StorageError(f"{path}: the name is not an offset of 20 digits")
    return int(name)


def read_batches(path: Path) -> Iterator[RawBatch]:
    """Yield the batches of a `.log` file in order.

    Raises:
        StorageError: a length does not fit the file; batches before it have been yielded.
    """
    size = path.stat().st_size
    position = 0
    with path.open("rb") as file:
        while position < size:
            head = file.read(_LOG_OVERHEAD.size)
            if len(head) < _LOG_OVERHEAD.size:
                raise StorageError(f"{path}: the log ends in the middle of a batch at position {position}")
            _, length = _LOG_OVERHEAD.unpack(head)
            if not 0 < length <= _MAX_BATCH_BYTES:
                raise StorageError(f"{path}: the batch at position {position} claims a length of {length} bytes")
            body = file.read(length)
            if len(body) < length:
                raise StorageError(
                    f"{path}: the batch at position {position} claims a length of {length} bytes, "
                    f"but the log ends after {len(body)}"
                )
            yield RawBatch(position, head + body)
            position += len(head) + length


def _entries(path: Path, form: struct.Struct) -> Iterator[tuple[int, ...]]:
    """Yield fixed-size entries up to the zeros that a running broker keeps behind them."""
    with path.open("rb") as file:
        at = 0
        while data := file.read(form.size):
            if len(data) < form.size:
                raise StorageError(f"{path}: the file ends in the middle of the entry at position {at}")
            if not any(data):
                _check_zeros(path, file.read, at)
                return
            yield form.unpack(data)
            at += form.size


def _check_zeros(path: Path, read: Callable[[int], bytes], at: int) -> None:
    while rest := read(1 << 16):
        if any(rest):
            raise StorageError(f"{path}: there is something behind the empty entry at position {at}")


def read_offset_index(path: Path) -> Iterator[OffsetEntry]:
    """Yield the entries of an `.index` file.

    Raises:
        StorageError: the file is not a whole number of entries, or has a hole.
    """
    base = base_offset_of(path)
    for relative, position in _entries(path, _OFFSET_ENTRY):
        yield OffsetEntry(base + relative, position)


def read_time_index(path: Path) -> Iterator[TimeEntry]:
    """Yield the entries of a `.timeindex` file.

    Raises:
        StorageError: the file is not a whole number of entries, or has a hole.
    """
    base = base_offset_of(path)
    for timestamp_ms, relative in _entries(path, _TIME_ENTRY):
        yield TimeEntry(timestamp_ms, base + relative)


def read_transaction_index(path: Path) -> Iterator[AbortedTransaction]:
    """Yield the entries of a `.txnindex` file.

    Raises:
        StorageError: the file is cut short, or of an unknown version.
    """
    for version, *fields in _entries(path, _TRANSACTION_ENTRY):
        if version != 0:
            raise StorageError(f"{path}: transaction index entry of version {version}; only version 0 is known")
        yield AbortedTransaction(*fields)


def read_snapshot(path: Path) -> Snapshot:
    """Read a `.snapshot` file. The checksum is returned, not checked.

    Raises:
        StorageError: cut short, longer than its count says, or of an unknown version.
    """
    data = path.read_bytes()
    if len(data) < _SNAPSHOT_HEAD.size + _COUNT.size:
        raise StorageError(f"{path}: a snapshot of {len(data)} bytes is cut short")
    version, crc = _SNAPSHOT_HEAD.unpack_from(data)
    if version != _SNAPSHOT_VERSION:
        raise StorageError(f"{path}: snapshot of version {version}; only version {_SNAPSHOT_VERSION} is known")
    content = data[_SNAPSHOT_HEAD.size :]
    [count] = _COUNT.unpack_from(content)
    entries = content[_COUNT.size :]
    if count < 0 or len(entries) != count * _PRODUCER_ENTRY.size:
        raise StorageError(f"{path}: {count} producers do not fit {len(entries)} bytes of entries")
    return Snapshot(crc, content, [ProducerEntry(*fields) for fields in _PRODUCER_ENTRY.iter_unpack(entries)])


def read_checkpoint(path: Path) -> list[list[str]]:
    """Return the lines of a checkpoint file, each split into its words.

    Raises:
        StorageError: unknown version, or not as many lines as it says.
    """
    lines = path.read_text(encoding="utf-8").splitlines()
    if len(lines) < 2 or lines[0].strip() != "0" or not lines[1].strip().isdecimal():
        raise StorageError(f"{path}: not a checkpoint file of version 0")
    entries = [line.split() for line in lines[2:] if line.strip()]
    if len(entries) != int(lines[1]):
        raise StorageError(f"{path}: says {int(lines[1])} entries, has {len(entries)}")
    return entries
