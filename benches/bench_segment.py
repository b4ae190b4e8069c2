"""A partition's log: append a batch, and read the batch that holds an offset.

Native is the broker's own log, through the engine: it checks the batch, gives it its offsets, writes it and indexes it.
Pure is the same on plain files, as little as the format allows: checksum, base offset, one write, a sparse index entry.
Both write through the page cache and sync nothing, which is Kafka's default.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import pytest
from cases import RECORD_BYTES, records

from odradek import _native, _pure

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from conftest import Grouped

TOPIC = "bench"
INDEX_INTERVAL_BYTES = 4096
BATCHES = 2000


class NativeLog:
    """One partition of an engine that serves nobody."""

    def __init__(self, folder: Path) -> None:
        self.engine = _native.Engine({"log.dirs": str(folder), "node.id": "1"})
        config = {"segment.bytes": str(1 << 30), "index.interval.bytes": str(INDEX_INTERVAL_BYTES)}
        self.engine.host_partitions(TOPIC, bytes(15) + b"\x01", config, [(0, 0, 1)])

    def append(self, batch: bytes) -> tuple[int, int]:
        return self.engine.append(TOPIC, 0, batch)

    def read(self, offset: int) -> bytes:
        return self.engine.read(TOPIC, 0, offset, 1)

    def close(self) -> None:
        self.engine.close()


class PureLog:
    """One segment: the log file and its offset index."""

    def __init__(self, folder: Path) -> None:
        self.log = (folder / "00000000000000000000.log").open("w+b", buffering=0)
        self.index = bytearray()
        self.next_offset = self.size = self.since_entry = 0

    def append(self, batch: bytes) -> tuple[int, int]:
        crc, _, last_offset_delta = struct.unpack_from(">Ihi", batch, 17)
        if _pure.crc32c(batch[21:]) != crc:
            raise ValueError("checksum")
        first, last = self.next_offset, self.next_offset + last_offset_delta
        if self.since_entry > INDEX_INTERVAL_BYTES:
            self.index += _pure.encode_index([(last, self.size)], 0)
            self.since_entry = 0
        self.log.write(struct.pack(">q", first) + batch[8:])
        self.size += len(batch)
        self.since_entry += len(batch)
        self.next_offset = last + 1
        return first, last

    def read(self, offset: int) -> bytes:
        _, position = _pure.index_lookup(bytes(self.index), 0, offset)
        while True:
            self.log.seek(position)
            header = self.log.read(61)
            base_offset, length = struct.unpack_from(">qi", header)
            (last_offset_delta,) = struct.unpack_from(">i", header, 23)
            if base_offset + last_offset_delta >= offset:
                return header + self.log.read(length + 12 - 61)
            position += length + 12

    def close(self) -> None:
        self.log.close()


@pytest.fixture(params=[NativeLog, PureLog], ids=["native", "pure"])
def log(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[NativeLog | PureLog]:
    log = request.param(tmp_path)
    yield log
    log.close()


@pytest.mark.parametrize("record_bytes", RECORD_BYTES)
def bench_append(log: NativeLog | PureLog, timed: Grouped, record_bytes: int) -> None:
    batch = records(record_bytes)
    data = _native.encode_batch(batch)
    first, last = timed(f"segment append, 16 KiB of records of {record_bytes} B")(log.append, data)
    assert last - first + 1 == len(batch)
    assert log.read(first)[61:] == data[61:]


def bench_read(log: NativeLog | PureLog, timed: Grouped) -> None:
    data = _native.encode_batch(records(1024)[:2])
    for _ in range(BATCHES):
        log.append(data)
    offset = BATCHES + 1  # the second record of a batch in the middle
    found = timed(f"read at an offset, {BATCHES} batches of 2 KiB")(log.read, offset)
    [batch] = _native.decode_batches(found)
    assert (batch.base_offset, batch.last_offset) == (BATCHES, BATCHES + 1)
