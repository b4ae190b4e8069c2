"""Whole record batches, format v2 (magic 2): the header, the checksum, and the records in their codec.

```text
offset size field                    covered by the CRC
     0    8 base offset              no
     8    4 length (bytes after it)  no
    12    4 partition leader epoch   no
    16    1 magic (2)                no
    17    4 CRC-32C of bytes 21..    no
    21    2 attributes               yes   bits 0-2 codec, 3 LogAppendTime, 4 transactional, 5 control, 6 delete horizon
    23    4 last offset delta        yes
    27    8 base timestamp           yes
    35    8 max timestamp            yes
    43    8 producer id              yes
    51    2 producer epoch           yes
    53    4 base sequence            yes
    57    4 record count             yes
    61    … records (compressed as the attributes say)
```
Source: Kafka `DefaultRecordBatch`, KIP-98. For single records read `records.py`; the Rust twin is `record/`.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from odradek._pure.compression import CODECS, compress, decompress
from odradek._pure.crc32c import crc32c
from odradek._pure.records import Record, decode_records, encode_record
from odradek.errors import CorruptBatchError

__all__ = ["RecordBatch", "decode_batches", "encode_batch"]

_HEADER = struct.Struct(">qiibIhiqqqhii")
_CHECKED = struct.Struct(">hiqqqhii")
_LOG_OVERHEAD = 12
_MAGIC = 2
_MAGIC_POSITION = 16
_CODEC_MASK, _LOG_APPEND_TIME, _TRANSACTIONAL, _CONTROL = 0x07, 0x08, 0x10, 0x20
_DECODE_LIMIT = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class RecordBatch:
    """A decoded batch. `size_bytes` counts the header; times are ms; -1 stands for "none" in the producer's fields."""

    base_offset: int
    last_offset: int
    partition_leader_epoch: int
    compression: str
    timestamp_type: str
    is_transactional: bool
    is_control: bool
    base_timestamp_ms: int
    max_timestamp_ms: int
    producer_id: int
    producer_epoch: int
    base_sequence: int
    crc: int
    size_bytes: int
    records: list[Record]


def _fits(name: str, value: int, bits: int) -> int:
    if not -(1 << (bits - 1)) <= value < 1 << (bits - 1):
        raise OverflowError(f"{name} {value} does not fit in {bits} bits")
    return value


def encode_batch(
    records: Sequence[tuple[int, bytes | None, bytes | None, Sequence[tuple[str, bytes | None]]]],
    *,
    base_offset: int = 0,
    compression: str = "none",
    level: int | None = None,
    producer_id: int = -1,
    producer_epoch: int = -1,
    base_sequence: int = -1,
    timestamp_type: Literal["CreateTime", "LogAppendTime"] = "CreateTime",
    is_transactional: bool = False,
    is_control: bool = False,
    partition_leader_epoch: int = -1,
) -> bytes:
    """Build one batch; see `odradek.record.Codec.encode_batch`."""
    if not records:
        raise ValueError("a record batch needs at least one record")
    base_timestamp = records[0][0]
    encoded = []
    for offset_delta, (timestamp_ms, key, value, headers) in enumerate(records):
        _fits("timestamp", timestamp_ms, 64)
        timestamp_delta = timestamp_ms - base_timestamp
        if not -(2**63) <= timestamp_delta < 2**63:
            raise ValueError("the timestamps of a batch are further apart than 64 bits hold")
        encoded.append(encode_record(timestamp_delta, offset_delta, key, value, headers))
    payload = compress(compression, b"".join(encoded), level)
    if timestamp_type not in ("CreateTime", "LogAppendTime"):
        raise ValueError(f"timestamp type {timestamp_type!r} is neither CreateTime nor LogAppendTime")
    attributes = CODECS.index(compression)
    attributes |= _LOG_APPEND_TIME if timestamp_type == "LogAppendTime" else 0
    attributes |= _TRANSACTIONAL if is_transactional else 0
    attributes |= _CONTROL if is_control else 0
    checked = (
        _CHECKED.pack(
            attributes,
            len(records) - 1,
            base_timestamp,
            max(record[0] for record in records),
            _fits("producer id", producer_id, 64),
            _fits("producer epoch", producer_epoch, 16),
            _fits("base sequence", base_sequence, 32),
            len(records),
        )
        + payload
    )
    length = _HEADER.size - _LOG_OVERHEAD - _CHECKED.size + len(checked)
    if length >= 2**31:
        raise ValueError(f"a record batch of {length} bytes is over the format's 2 GiB")
    _fits("base offset", base_offset, 64)
    _fits("partition leader epoch", partition_leader_epoch, 32)
    return struct.pack(">qiibI", base_offset, length, partition_leader_epoch, _MAGIC, crc32c(checked)) + checked


def _decode_batch(data: bytes, start: int, limit: int) -> RecordBatch:
    """Decode the batch that starts at `start`."""
    available = len(data) - start
    # A batch of an older magic may be shorter than our header, and is to be named as what it is.
    if available > _MAGIC_POSITION and data[start + _MAGIC_POSITION] != _MAGIC:
        magic = data[start + _MAGIC_POSITION]
        raise CorruptBatchError(f"record batch has magic {magic}; only magic 2 is known")
    if available < _HEADER.size:
        raise CorruptBatchError(f"record batch cut short: {available} bytes of {_HEADER.size}")
    (
        base_offset,
        length,
        partition_leader_epoch,
        _,
        crc,
        attributes,
        last_offset_delta,
        base_timestamp,
        max_timestamp,
        producer_id,
        producer_epoch,
        base_sequence,
        count,
    ) = _HEADER.unpack_from(data, start)
    size = length + _LOG_OVERHEAD
    if size < _HEADER.size:
        raise CorruptBatchError(f"record batch claims {size} bytes, less than its header")
    if size > available:
        raise CorruptBatchError(f"record batch cut short: {available} bytes of {size}")
    end = start + size
    checksum = crc32c(data[start + _HEADER.size - _CHECKED.size : end])
    if checksum != crc:
        raise CorruptBatchError(f"record batch checksum is {crc:#010x}, its bytes give {checksum:#010x}")
    if count < 0 or last_offset_delta < 0 or base_offset + last_offset_delta >= 2**63:
        raise CorruptBatchError("record batch has a negative count or an impossible last offset")
    codec = attributes & _CODEC_MASK
    if codec >= len(CODECS):
        raise CorruptBatchError(f"record batch has compression codec {codec}, which does not exist")
    payload = decompress(CODECS[codec], data[start + _HEADER.size : end], limit)
    records = list(decode_records(payload, count, base_offset, base_timestamp))
    if any(record.offset > base_offset + last_offset_delta for record in records):
        raise CorruptBatchError("a record's offset is past the last of its batch")
    log_append_time = bool(attributes & _LOG_APPEND_TIME)
    if log_append_time:
        records = [Record(r.offset, max_timestamp, r.key, r.value, r.headers) for r in records]
    return RecordBatch(
        base_offset=base_offset,
        last_offset=base_offset + last_offset_delta,
        partition_leader_epoch=partition_leader_epoch,
        compression=CODECS[codec],
        timestamp_type="LogAppendTime" if log_append_time else "CreateTime",
        is_transactional=bool(attributes & _TRANSACTIONAL),
        is_control=bool(attributes & _CONTROL),
        base_timestamp_ms=base_timestamp,
        max_timestamp_ms=max_timestamp,
        producer_id=producer_id,
        producer_epoch=producer_epoch,
        base_sequence=base_sequence,
        crc=crc,
        size_bytes=size,
        records=records,
    )


def decode_batches(data: bytes, *, limit: int = _DECODE_LIMIT) -> list[RecordBatch]:
    """Decode the batches of `data`; see `odradek.record.Codec.decode_batches`."""
    batches: list[RecordBatch] = []
    position = 0
    while position < len(data):
        batches.append(_decode_batch(data, position, limit))
        position += batches[-1].size_bytes
    return batches
