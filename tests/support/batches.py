"""Record batches for tests: built and read by kafka-python's codec, and bent out of shape field by field.

`batch()` gives a good batch, `altered()` one with header fields overwritten (CRC made right again unless the test sets it),
`records_of()` the records in a Fetch answer.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import crc32c
from kafka.record.default_records import DefaultRecordBatchBuilder
from kafka.record.memory_records import MemoryRecords

CODECS = {"none": 0, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}
HEADER = struct.Struct(">qiibIhiqqqhii")
HEADER_FIELDS = (
    "base_offset", "length", "leader_epoch", "magic", "crc", "attributes", "last_offset_delta",
    "base_timestamp", "max_timestamp", "producer_id", "producer_epoch", "base_sequence", "count",
)  # fmt: skip
CRC_COVERS_FROM = 21
LENGTH_COVERS_FROM = 12
TRANSACTIONAL = 0x10

# Records are dated by the start of the run: retention takes older ones away at once.
NOW = time.time_ns() // 1_000_000


@dataclass(frozen=True)
class Entry:
    """A record to send, or one that was read."""

    value: bytes | None
    key: bytes | None = None
    timestamp: int = NOW
    headers: tuple[tuple[str, bytes | None], ...] = ()
    offset: int = -1


def batch(
    entries: Sequence[Entry | bytes],
    *,
    codec: str = "none",
    producer_id: int = -1,
    producer_epoch: int = -1,
    base_sequence: int = -1,
    transactional: bool = False,
) -> bytes:
    """Return one record batch of magic 2 with base offset 0."""
    builder = DefaultRecordBatchBuilder(
        2, CODECS[codec], transactional, producer_id, producer_epoch, base_sequence, 1 << 30
    )
    for index, item in enumerate(entries):
        entry = item if isinstance(item, Entry) else Entry(item)
        builder.append(index, entry.timestamp, entry.key, entry.value, list(entry.headers))
    return bytes(builder.build())


def altered(good: bytes, **fields: int) -> bytes:
    """Return the batch with header fields overwritten; the CRC follows unless `crc` is one of them."""
    values = dict(zip(HEADER_FIELDS, HEADER.unpack_from(good), strict=True))
    values.update(fields)
    raw = bytearray(good)
    HEADER.pack_into(raw, 0, *values.values())
    if "crc" not in fields:
        struct.pack_into(">I", raw, 17, crc32c.crc32c(bytes(raw[CRC_COVERS_FROM:])))
    return bytes(raw)


def with_payload(good: bytes, payload: bytes, **fields: int) -> bytes:
    """Return the batch with everything after its header replaced, length and CRC right."""
    raw = good[: HEADER.size] + payload
    return altered(raw, length=len(raw) - LENGTH_COVERS_FROM, **fields)


def header_field(raw: bytes, name: str) -> int:
    """Return one header field of the first batch in `raw`."""
    return int(HEADER.unpack_from(raw)[HEADER_FIELDS.index(name)])


def split(raw: bytes) -> list[bytes]:
    """Return the whole batches in a Fetch answer; a cut one at the end is left out."""
    found, position = [], 0
    while position + LENGTH_COVERS_FROM <= len(raw):
        size = LENGTH_COVERS_FROM + struct.unpack_from(">i", raw, position + 8)[0]
        if position + size > len(raw):
            break
        found.append(raw[position : position + size])
        position += size
    return found


def records_of(raw: bytes | None) -> list[Entry]:
    """Return the records in a Fetch answer, control batches left out, with CRCs checked."""
    return list(_records(raw or b""))


def _records(raw: bytes) -> Iterable[Entry]:
    batches = MemoryRecords(raw)
    while (found := batches.next_batch()) is not None:
        if not found.validate_crc():
            raise AssertionError(f"the batch at offset {found.base_offset} fails its CRC")
        if found.is_control_batch:
            continue
        for record in found:
            yield Entry(
                value=None if record.value is None else bytes(record.value),
                key=None if record.key is None else bytes(record.key),
                timestamp=record.timestamp,
                headers=tuple((name, None if value is None else bytes(value)) for name, value in record.headers),
                offset=record.offset,
            )
