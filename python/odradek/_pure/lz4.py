"""LZ4 in its frame format, as the clients of message format v2 send it.

```text
frame   04 22 4d 18, FLG, BD, [content size 8], [dictionary id 4], header checksum, blocks, end mark 00 00 00 00, [content checksum 4]
FLG     bits 6-7 version = 01, 5 blocks independent, 4 block checksums, 3 content size, 2 content checksum, 0 dictionary id
BD      bits 4-6 largest block: 4 = 64 KiB, 5 = 256 KiB, 6 = 1 MiB, 7 = 4 MiB
block   size uint32 little-endian (top bit: stored, not compressed), the bytes, [xxh32 of them]
stored sequences of a block: token (literal length << 4 | match length - 4; 15 there: add following bytes up to one
        below 255), literals, offset uint16 little-endian; the last sequence ends after its literals
```
All numbers are little-endian. The header checksum is the second byte of the xxh32 of FLG..dictionary id.
Source: lz4 `doc/lz4_Frame_format.md`, `doc/lz4_Block_format.md`; Kafka `Lz4BlockOutputStream`. The Rust twin is `compress/lz4.rs`.
The encoder is greedy over a table of 4-byte sequences and writes independent blocks of 64 KiB without checksums.
"""

import struct

from odradek._pure.xxhash import xxh32
from odradek.errors import CorruptBatchError

__all__ = ["decode", "encode"]

_MAGIC = b"\x04\x22\x4d\x18"
_VERSION, _INDEPENDENT, _BLOCK_CHECKSUM, _CONTENT_SIZE, _CONTENT_CHECKSUM, _DICTIONARY = (
    0x40,
    0x20,
    0x10,
    0x08,
    0x04,
    0x01,
)
_STORED = 0x80000000
_BLOCK_BYTES = 64 * 1024
_MIN_MATCH = 4
_LAST_LITERALS, _LAST_MATCH_START = 5, 12  # the format's rules for the end of a block
_WINDOW = 65535


def _length(value: int) -> bytes:
    """The bytes that follow a 15 in the token."""
    return b"\xff" * (value // 255) + bytes([value % 255])


def _sequence(literals: bytes, offset: int, match_length: int) -> bytes:
    upper, lower = min(len(literals), 15), min(match_length - _MIN_MATCH, 15) if match_length else 0
    out = bytes([upper << 4 | lower])
    if upper == 15:
        out += _length(len(literals) - 15)
    out += literals
    if match_length:
        out += offset.to_bytes(2, "little")
        if lower == 15:
            out += _length(match_length - _MIN_MATCH - 15)
    return out


def _encode_block(block: bytes) -> bytes:
    out = bytearray()
    seen: dict[bytes, int] = {}
    start = position = 0  # block[start:position] waits to be written as literals
    while position + _LAST_MATCH_START <= len(block):
        word = block[position : position + _MIN_MATCH]
        match = seen.get(word)
        seen[word] = position
        if match is None or position - match > _WINDOW:
            position += 1
            continue
        length = _MIN_MATCH
        longest = len(block) - _LAST_LITERALS - position
        while length < longest and block[match + length] == block[position + length]:
            length += 1
        out += _sequence(block[start:position], position - match, length)
        position += length
        start = position
    return bytes(out + _sequence(block[start:], 0, 0))


def _extended(block: bytes, position: int, length: int) -> tuple[int, int]:
    """Add the bytes that follow a 15 in the token."""
    if length < 15:
        return length, position
    while True:
        if position >= len(block):
            raise CorruptBatchError("lz4: a block is cut short")
        byte = block[position]
        position += 1
        length += byte
        if byte != 255:
            return length, position


def _decode_block(block: bytes, out: bytearray, floor: int, ceiling: int) -> None:
    """Append what `block` holds to `out`; copies reach back to `floor` and nothing grows past `ceiling`."""
    position = 0
    while True:
        if position >= len(block):
            raise CorruptBatchError("lz4: a block is cut short")
        token = block[position]
        length, position = _extended(block, position + 1, token >> 4)
        if length > len(block) - position or len(out) + length > ceiling:
            raise CorruptBatchError("lz4: literals reach past their block")
        out += block[position : position + length]
        position += length
        if position == len(block):
            return
        if position + 2 > len(block):
            raise CorruptBatchError("lz4: a block is cut short")
        offset = int.from_bytes(block[position : position + 2], "little")
        length, position = _extended(block, position + 2, token & 15)
        length += _MIN_MATCH
        if offset == 0 or offset > len(out) - floor:
            raise CorruptBatchError("lz4: a copy reaches before the start of its block")
        if len(out) + length > ceiling:
            raise CorruptBatchError("lz4: a block makes more than its frame allows")
        source = len(out) - offset
        if offset >= length:
            out += out[source : source + length]
        else:  # the source overlaps what is being written: a repeated pattern
            out += (bytes(out[source:]) * (length // offset + 1))[:length]


def encode(data: bytes) -> bytes:
    """Compress into one frame."""
    flags = bytes([_VERSION | _INDEPENDENT, 4 << 4])
    out = bytearray(_MAGIC + flags + bytes([xxh32(flags) >> 8 & 0xFF]))
    for start in range(0, len(data), _BLOCK_BYTES):
        block = data[start : start + _BLOCK_BYTES]
        packed = _encode_block(block)
        if len(packed) < len(block):
            out += struct.pack("<I", len(packed)) + packed
        else:
            out += struct.pack("<I", len(block) | _STORED) + block
    return bytes(out + b"\x00\x00\x00\x00")


class _Reader:
    """Takes bytes off the front, or says that there are too few."""

    def __init__(self, data: bytes) -> None:
        self.data, self.position = data, 0

    def take(self, count: int) -> bytes:
        if count > len(self.data) - self.position:
            raise CorruptBatchError("lz4: the frame is cut short")
        self.position += count
        return self.data[self.position - count : self.position]

    def number(self, count: int) -> int:
        return int.from_bytes(self.take(count), "little")


def _decode_header(reader: _Reader) -> tuple[int, int, int | None]:
    """Check the frame's header; return its flags, the size of its largest block and that of its content, if stated."""
    if reader.take(4) != _MAGIC:
        raise CorruptBatchError("lz4: not a frame")
    start = reader.position
    flags, descriptor = reader.take(2)
    if flags & 0xC2 != _VERSION or descriptor & 0x8F or descriptor < 0x40:
        raise CorruptBatchError("lz4: unknown version, reserved bits or block size")
    if flags & _DICTIONARY:
        raise CorruptBatchError("lz4: the frame wants a dictionary")
    content_size = reader.number(8) if flags & _CONTENT_SIZE else None
    checksum = xxh32(reader.data[start : reader.position]) >> 8 & 0xFF
    if reader.number(1) != checksum:
        raise CorruptBatchError("lz4: the frame's header does not match its checksum")
    return flags, 1 << (8 + 2 * (descriptor >> 4)), content_size


def decode(data: bytes, limit: int) -> bytes:
    """Decompress one frame.

    Raises:
        CorruptBatchError: not LZ4, cut short, a checksum is wrong, bytes follow the frame, or more than `limit` bytes.
    """
    reader = _Reader(data)
    flags, block_bytes, content_size = _decode_header(reader)
    out = bytearray()
    while (size := reader.number(4)) != 0:
        stored, size = size & _STORED, size & ~_STORED
        if size > block_bytes:
            raise CorruptBatchError("lz4: a block is larger than its frame allows")
        block = reader.take(size)
        if flags & _BLOCK_CHECKSUM and reader.number(4) != xxh32(block):
            raise CorruptBatchError("lz4: a block does not match its checksum")
        if stored:
            out += block
        else:
            floor = len(out) if flags & _INDEPENDENT else max(0, len(out) - _WINDOW)
            _decode_block(block, out, floor, len(out) + block_bytes)
        if len(out) > limit:
            raise CorruptBatchError(f"decompressed records are over the limit of {limit} bytes")
    if content_size not in (None, len(out)):
        raise CorruptBatchError("lz4: the frame's content is not of the size it claims")
    if flags & _CONTENT_CHECKSUM and reader.number(4) != xxh32(bytes(out)):
        raise CorruptBatchError("lz4: the content does not match its checksum")
    if reader.position != len(data):
        raise CorruptBatchError("lz4: bytes follow the frame")
    return bytes(out)
