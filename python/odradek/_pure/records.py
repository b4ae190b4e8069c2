"""Single records: the part of a batch that is compressed.

```text
length          varint    bytes of this record after the length
attributes      int8      unused, 0
timestamp delta varlong   less the batch's base timestamp, ms
offset delta    varint    less the batch's base offset
key length      varint    -1 = null, then the key
value length    varint    -1 = null, then the value
header count    varint    then for each: key length (never null), key in UTF-8, value length (-1 = null), value
```
Test vector: timestamp delta 0, offset delta 0, key null, value b"v", no headers -> 0e 00 00 00 01 02 76 00.
Source: Kafka `DefaultRecord`, KIP-82, KIP-98. Its Rust twins are `record/reader.rs` and `record/builder.rs`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from odradek._pure.varint import decode_varint, decode_varlong, encode_varint
from odradek.errors import CorruptBatchError

__all__ = ["Record", "decode_records", "encode_record"]


@dataclass(frozen=True, slots=True)
class Record:
    """One record of a batch; `null` keys, values and header values are None, empty ones are b""."""

    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]


def _nullable(data: bytes | None) -> bytes:
    return b"\x01" if data is None else encode_varint(len(data)) + data


def encode_record(
    timestamp_delta: int,
    offset_delta: int,
    key: bytes | None,
    value: bytes | None,
    headers: Sequence[tuple[str, bytes | None]],
) -> bytes:
    """Encode one record with its length in front."""
    parts = [b"\x00", encode_varint(timestamp_delta), encode_varint(offset_delta), _nullable(key), _nullable(value)]
    parts.append(encode_varint(len(headers)))
    for name, header_value in headers:
        parts.append(_nullable(name.encode()))
        parts.append(_nullable(header_value))
    body = b"".join(parts)
    return encode_varint(len(body)) + body


def _take(data: bytes, position: int, end: int, what: str) -> tuple[bytes | None, int]:
    length, position = decode_varint(data, position)
    if length < 0:
        if length != -1:
            raise CorruptBatchError(f"length of a record's {what} is negative: {length}")
        return None, position
    if length > end - position:
        raise CorruptBatchError(f"a record's {what} reaches past the record")
    return data[position : position + length], position + length


def _headers(data: bytes, position: int, end: int) -> tuple[tuple[tuple[str, bytes | None], ...], int]:
    count, position = decode_varint(data, position)
    # A header takes two bytes at least: a lying count is found before anything is made of it.
    if count < 0 or count > (end - position) // 2:
        raise CorruptBatchError(f"impossible number of headers: {count}")
    headers = []
    for _ in range(count):
        name, position = _take(data, position, end, "header key")
        if name is None:
            raise CorruptBatchError("a record's header key is null")
        value, position = _take(data, position, end, "header value")
        headers.append((name.decode("utf-8", errors="replace"), value))
    return tuple(headers), position


def decode_records(data: bytes, count: int, base_offset: int, base_timestamp_ms: int) -> Iterator[Record]:
    """Yield the `count` records of `data`, which has to end exactly with the last of them.

    Raises:
        CorruptBatchError: a length or count is not that of the bytes, or an offset or timestamp leaves 64 bits.
    """
    position = 0
    for _ in range(count):
        length, position = decode_varint(data, position)
        if length < 0 or length > len(data) - position:
            raise CorruptBatchError(f"a record claims {length} bytes, {len(data) - position} are left")
        end = position + length
        if length == 0:
            raise CorruptBatchError("a record is empty")
        timestamp_delta, position = decode_varlong(data, position + 1)
        offset_delta, position = decode_varint(data, position)
        key, position = _take(data, position, end, "key")
        value, position = _take(data, position, end, "value")
        headers, position = _headers(data, position, end)
        if position != end:
            raise CorruptBatchError("a record's length is not that of its fields")
        offset, timestamp_ms = base_offset + offset_delta, base_timestamp_ms + timestamp_delta
        if offset_delta < 0 or offset > 2**63 - 1 or not -(2**63) <= timestamp_ms < 2**63:
            raise CorruptBatchError("a record's offset or timestamp is outside the range of its batch")
        yield Record(offset, timestamp_ms, key, value, headers)
    if position != len(data):
        raise CorruptBatchError(f"{len(data) - position} bytes follow the last of {count} records")
