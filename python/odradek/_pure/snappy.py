"""Snappy, in the framing of snappy-java ("xerial") that Kafka's clients use, and raw as some others send it.

```text
frame   82 53 4e 41 50 50 59 00, version int32 = 1, compatible version int32 = 1, then blocks
block   length int32 big-endian, then that many bytes of raw snappy
raw     uncompressed length (little-endian base 128), then elements by the low 2 bits of their tag byte:
  0 literal   length-1 in the upper 6 bits; 60..63 there: in the next 1..4 bytes, little-endian; then the bytes
  1 copy      length 4..11: bits 2-4 hold it less 4; offset 11 bits: bits 5-7 above the next byte
  2 copy      length-1 in the upper 6 bits, offset in the next 2 bytes, little-endian
  3 copy      the same with an offset of 4 bytes
```
Source: google/snappy `format_description.txt`, snappy-java `SnappyOutputStream`. The Rust twin is `compress/snappy.rs`.
The encoder is greedy over a table of 4-byte sequences: simpler than Google's, and its output no larger than the input
plus a sixth.
"""

import struct

from odradek.errors import CorruptBatchError

__all__ = ["decode", "encode"]

_MAGIC = b"\x82SNAPPY\x00"
_FRAME = struct.Struct(">8sii")
_BLOCK_BYTES = 32 * 1024
_MIN_MATCH, _MAX_COPY = 4, 64
# No element makes more than 64 bytes of 3: a longer claim is a lie, found before anything is allocated.
_MAX_RATIO = 22


def _literal(data: bytes) -> bytes:
    length = len(data) - 1
    if length < 60:
        return bytes([length << 2]) + data
    if length < 1 << 8:
        return bytes([60 << 2, length]) + data
    return bytes([61 << 2]) + length.to_bytes(2, "little") + data


def _encode_raw(block: bytes) -> bytes:
    out = bytearray()
    size = len(block)
    while size > 0x7F:
        out.append((size & 0x7F) | 0x80)
        size >>= 7
    out.append(size)
    seen: dict[bytes, int] = {}
    start = position = 0  # block[start:position] waits to be written as a literal
    while position + _MIN_MATCH <= len(block):
        word = block[position : position + _MIN_MATCH]
        match = seen.get(word)
        seen[word] = position
        if match is None:
            position += 1
            continue
        if position > start:
            out += _literal(block[start:position])
        length = _MIN_MATCH
        while (
            length < _MAX_COPY and position + length < len(block) and block[match + length] == block[position + length]
        ):
            length += 1
        out.append(((length - 1) << 2) | 2)
        out += (position - match).to_bytes(2, "little")
        position += length
        start = position
    if start < len(block):
        out += _literal(block[start:])
    return bytes(out)


def _copy(out: bytearray, offset: int, length: int) -> None:
    if offset == 0 or offset > len(out):
        raise CorruptBatchError("snappy: a copy reaches before the start of its block")
    source = len(out) - offset
    if offset >= length:
        out += out[source : source + length]
    else:  # the source overlaps what is being written: a repeated pattern
        out += (bytes(out[source:]) * (length // offset + 1))[:length]


def _decode_raw(block: bytes, limit: int) -> bytes:
    claimed = shift = position = 0
    while True:
        if position >= len(block) or shift > 28:
            raise CorruptBatchError("snappy: impossible length in front of a block")
        byte = block[position]
        position += 1
        claimed |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            break
    if claimed > limit:
        raise CorruptBatchError(f"decompressed records are over the limit of {limit} bytes")
    if claimed > _MAX_RATIO * len(block):
        raise CorruptBatchError("snappy: a block claims more than its bytes can hold")
    out = bytearray()
    while position < len(block) and len(out) <= claimed:
        tag = block[position]
        position += 1
        kind, upper = tag & 3, tag >> 2
        extra = (max(0, upper - 59), 1, 2, 4)[kind]
        if position + extra > len(block):
            raise CorruptBatchError("snappy: a block is cut short")
        number = int.from_bytes(block[position : position + extra], "little")
        position += extra
        if kind == 0:
            length = (number if extra else upper) + 1
            if position + length > len(block):
                raise CorruptBatchError("snappy: a block is cut short")
            out += block[position : position + length]
            position += length
        elif kind == 1:
            _copy(out, (upper >> 3) << 8 | number, (upper & 7) + 4)
        else:
            _copy(out, number, upper + 1)
    if len(out) != claimed:
        raise CorruptBatchError(f"snappy: a block claims {claimed} bytes and makes others")
    return bytes(out)


def encode(data: bytes) -> bytes:
    """Compress in xerial framing, in blocks of 32 KiB."""
    out = bytearray(_FRAME.pack(_MAGIC, 1, 1))
    for start in range(0, len(data), _BLOCK_BYTES):
        block = _encode_raw(data[start : start + _BLOCK_BYTES])
        out += struct.pack(">i", len(block)) + block
    return bytes(out)


def decode(data: bytes, limit: int) -> bytes:
    """Decompress xerial framing, or one raw block if the magic is not there.

    Raises:
        CorruptBatchError: not snappy, cut short, or more than `limit` bytes.
    """
    if not data.startswith(_MAGIC):
        return _decode_raw(data, limit)
    if len(data) < _FRAME.size:
        raise CorruptBatchError("snappy: the frame's header is cut short")
    out = bytearray()
    position = _FRAME.size
    while position < len(data):
        if position + 4 > len(data):
            raise CorruptBatchError("snappy: a block's length is cut short")
        (length,) = struct.unpack_from(">i", data, position)
        position += 4
        if length < 0 or length > len(data) - position:
            raise CorruptBatchError(f"snappy: a block claims {length} bytes, {len(data) - position} are left")
        out += _decode_raw(data[position : position + length], limit - len(out))
        position += length
    return bytes(out)
