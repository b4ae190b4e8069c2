"""What the parity tests are fed, and how decoded records are compared."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from hypothesis import strategies as st

from odradek.record import crc32c

if TYPE_CHECKING:
    from collections.abc import Sequence

    from odradek.record import Record, RecordBatch

CODECS = ("none", "gzip", "snappy", "lz4", "zstd")
LIMIT = 1 << 22
HEADER_BYTES = 61
BATCH_FIELDS = (
    "base_offset",
    "last_offset",
    "partition_leader_epoch",
    "compression",
    "timestamp_type",
    "is_transactional",
    "is_control",
    "base_timestamp_ms",
    "max_timestamp_ms",
    "producer_id",
    "producer_epoch",
    "base_sequence",
    "crc",
    "size_bytes",
)

payloads = st.one_of(
    st.binary(max_size=300),
    st.builds(lambda part, times: part * times, st.binary(min_size=1, max_size=12), st.integers(0, 900)),
    st.lists(st.sampled_from([b"alpha ", b"beta ", b"gamma, ", b"\x00\x01", b"delta"]), max_size=600).map(b"".join),
)
timestamps = st.one_of(st.integers(-1, 2**42), st.integers(-(2**61), 2**61))
headers = st.lists(st.tuples(st.text(max_size=8), st.none() | st.binary(max_size=20)), max_size=4)
records = st.lists(
    st.tuples(timestamps, st.none() | st.binary(max_size=40), st.none() | payloads, headers), min_size=1, max_size=12
)
codec_names = st.sampled_from(CODECS)


def fields(record: Record) -> tuple[object, ...]:
    """A record as a plain tuple."""
    return record.offset, record.timestamp_ms, record.key, record.value, record.headers


def plain(batch: RecordBatch) -> tuple[object, ...]:
    """A batch as a plain tuple, records included."""
    return *(getattr(batch, name) for name in BATCH_FIELDS), *(fields(record) for record in batch.records)


def expected(records: Sequence[tuple], base_offset: int = 0) -> list[tuple[object, ...]]:
    """What `records` must decode to."""
    return [
        (base_offset + delta, timestamp, key, value, tuple((name, text) for name, text in pairs))
        for delta, (timestamp, key, value, pairs) in enumerate(records)
    ]


def resealed(batch: bytes) -> bytes:
    """The batch with its length and checksum made right for its bytes."""
    sized = batch[:8] + struct.pack(">i", len(batch) - 12) + batch[12:]
    return sized[:17] + struct.pack(">I", crc32c(sized[21:])) + sized[21:]
