"""Zstandard: all frames without a dictionary are read; what is written is valid, but stored rather than compressed.

```text
frame     28 b5 2f fd, descriptor, [window 1], [dictionary id 1|2|4], [content size 1|2|4|8], blocks, [xxh64 low 4]
  descriptor  bits 6-7 content size field, 5 single segment (no window field), 2 checksum, 0-1 dictionary id field
block     3 bytes: bit 0 last, bits 1-2 type (0 stored, 1 one byte repeated, 2 compressed), size above; then its bytes
compressed: literals section, then sequences section: (literals to copy, offset back, match length) in three FSE codes
```
All numbers are little-endian. The encoder knows stored blocks and repeated bytes only: a match finder with two entropy
codes would not be readable, and the native twin has the real one. The decoder keeps to the letter where libzstd is
lenient: a Huffman stream must end exactly with its literals. Tables and bit streams are in `zstd_entropy.py`.
Source: RFC 8878. The Rust twin is `compress/zstd.rs`.
"""

import struct

from odradek._pure.xxhash import xxh64
from odradek._pure.zstd_entropy import (
    BackwardBits,
    FseTable,
    build_fse,
    decode_huffman,
    read_fse,
    read_huffman,
    single_state,
)
from odradek.errors import CorruptBatchError

__all__ = ["decode", "encode"]

_MAGIC = 0xFD2FB528
_SKIPPABLE = 0x184D2A50
_BLOCK_BYTES = 128 * 1024
_SINGLE_SEGMENT, _RESERVED, _CHECKSUM = 0x20, 0x08, 0x04
_MAX_WINDOW_LOG = 27  # what libzstd takes by default
_STORED, _REPEATED, _COMPRESSED = 0, 1, 2

# (first value, extra bits) by code: RFC 8878 tables 16 and 17
_LITERAL_LENGTHS = [(code, 0) for code in range(16)] + list(
    zip(
        (16, 18, 20, 22, 24, 28, 32, 40, 48, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768, 65536),
        (1, 1, 1, 1, 2, 2, 3, 3, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16),
        strict=True,
    )
)
_MATCH_LENGTHS = [(code + 3, 0) for code in range(32)] + list(
    zip(
        (35, 37, 39, 41, 43, 47, 51, 59, 67, 83, 99, 131, 259, 515, 1027, 2051, 4099, 8195, 16387, 32771, 65539),
        (1, 1, 1, 1, 2, 2, 3, 3, 4, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16),
        strict=True,
    )
)
_OFFSETS = [(1 << code, code) for code in range(32)]
# (accuracy of the predefined table, its frequencies, largest accuracy, codes): RFC 8878 section 3.1.1.3.2.2
_KINDS = (
    (6, [4, 3] + [2] * 11 + [1] * 3 + [2] * 9 + [3, 2] + [1] * 5 + [-1] * 4, 9, _LITERAL_LENGTHS),
    (5, [1] * 6 + [2] * 3 + [1] * 15 + [-1] * 5, 8, _OFFSETS),
    (6, [1, 4, 3] + [2] * 6 + [1] * 37 + [-1] * 7, 9, _MATCH_LENGTHS),
)


def encode(data: bytes) -> bytes:
    """Write one frame of blocks that are stored or a repeated byte."""
    out = bytearray(struct.pack("<IBQ", _MAGIC, 0xE0, len(data)))
    starts = range(0, max(len(data), 1), _BLOCK_BYTES)
    for start in starts:
        block = data[start : start + _BLOCK_BYTES]
        repeated = len(block) > 1 and block == block[:1] * len(block)
        kind = _REPEATED if repeated else _STORED
        out += (len(block) << 3 | kind << 1 | (start == starts[-1])).to_bytes(3, "little")
        out += block[:1] if repeated else block
    return bytes(out)


class _Reader:
    """Takes bytes off the front, or says that there are too few."""

    def __init__(self, data: bytes) -> None:
        self.data, self.position = data, 0

    def take(self, count: int) -> bytes:
        if count > len(self.data) - self.position:
            raise CorruptBatchError("zstd: cut short")
        self.position += count
        return self.data[self.position - count : self.position]

    def number(self, count: int) -> int:
        return int.from_bytes(self.take(count), "little")

    def rest(self) -> bytes:
        return self.data[self.position :]


class _Frame:
    """What a frame's blocks hand on to each other."""

    def __init__(self, reader: _Reader, limit: int) -> None:
        self.out = bytearray()
        self.limit = limit
        self.huffman: list[tuple[int, int]] | None = None
        self.tables: list[FseTable | None] = [None, None, None]
        self.recent = [1, 4, 8]
        descriptor = reader.number(1)
        if descriptor & _RESERVED:
            raise CorruptBatchError("zstd: reserved bit set")
        self.window = 0
        if not descriptor & _SINGLE_SEGMENT:
            window = reader.number(1)
            if (window >> 3) + 10 > _MAX_WINDOW_LOG:
                raise CorruptBatchError("zstd: the window is too large")
            self.window = (1 << (10 + (window >> 3))) // 8 * (8 + (window & 7))
        if reader.number((0, 1, 2, 4)[descriptor & 3]):
            raise CorruptBatchError("zstd: the frame wants a dictionary")
        field = (1 if descriptor & _SINGLE_SEGMENT else 0, 2, 4, 8)[descriptor >> 6]
        self.content_size = reader.number(field) + (256 if field == 2 else 0) if field else None
        if descriptor & _SINGLE_SEGMENT:
            self.window = self.content_size or 0
        self.block_bytes = min(self.window, _BLOCK_BYTES)
        self.block_end = 0
        if self.content_size is not None and self.content_size > limit:
            raise CorruptBatchError(f"decompressed records are over the limit of {limit} bytes")
        self.has_checksum = bool(descriptor & _CHECKSUM)

    def grow(self, data: bytes | bytearray) -> None:
        self.out += data
        if len(self.out) > self.block_end:
            raise CorruptBatchError("zstd: a block makes more than a block may")
        if len(self.out) > self.limit:
            raise CorruptBatchError(f"decompressed records are over the limit of {self.limit} bytes")


def _literals(frame: _Frame, reader: _Reader) -> bytes:
    first = reader.data[reader.position] if reader.rest() else reader.number(1)
    kind, layout = first & 3, first >> 2 & 3
    if kind in (_STORED, _REPEATED):
        width, shift = ((1, 3), (2, 4), (1, 3), (3, 4))[layout]
        size = reader.number(width) >> shift
        if size > _BLOCK_BYTES:
            raise CorruptBatchError("zstd: too many literals")
        return reader.take(size) if kind == _STORED else reader.take(1) * size
    width, bits = ((3, 10), (3, 10), (4, 14), (5, 18))[layout]
    header = reader.number(width)
    size, packed = header >> 4 & (1 << bits) - 1, header >> (4 + bits) & (1 << bits) - 1
    if size > _BLOCK_BYTES:
        raise CorruptBatchError("zstd: too many literals")
    data = reader.take(packed)
    if kind == _COMPRESSED:
        frame.huffman, used = read_huffman(data)
        data = data[used:]
    if frame.huffman is None:
        raise CorruptBatchError("zstd: a block uses a Huffman table before there is one")
    if layout == 0:
        return decode_huffman(frame.huffman, data, size)
    streams = _Reader(data)
    sizes = [streams.number(2) for _ in range(3)]
    parts = [streams.take(part) for part in sizes] + [streams.rest()]
    each = (size + 3) // 4
    if size < 3 * each:
        raise CorruptBatchError("zstd: too few literals for four streams")
    wanted = (each, each, each, size - 3 * each)
    return b"".join(decode_huffman(frame.huffman, part, want) for part, want in zip(parts, wanted, strict=True))


def _table(frame: _Frame, reader: _Reader, kind: int, mode: int) -> FseTable:
    accuracy, frequencies, most_accuracy, codes = _KINDS[kind]
    if mode == 0:
        table = build_fse(accuracy, frequencies)
    elif mode == 1:
        table = single_state(reader.number(1))
    elif mode == 2:
        table, used = read_fse(reader.rest(), most_accuracy, len(codes))
        reader.take(used)
    else:
        previous = frame.tables[kind]
        if previous is None:
            raise CorruptBatchError("zstd: a block repeats a table before there is one")
        table = previous
    if max(table.symbols) >= len(codes):
        raise CorruptBatchError("zstd: a table has an unknown code")
    frame.tables[kind] = table
    return table


def _offset(frame: _Frame, value: int, literal_length: int) -> int:
    """The distance that an offset code means: 1..3 repeat one of the last three, and each use moves to the front."""
    recent = frame.recent
    if value > 3:
        distance = value - 3
        frame.recent = [distance, recent[0], recent[1]]
        return distance
    place = value - 1 if literal_length else value
    if place == 3:
        distance = recent[0] - 1
        frame.recent = [distance, recent[0], recent[1]]
    else:
        distance = recent.pop(place)
        recent.insert(0, distance)
    return distance


def _copy(frame: _Frame, distance: int, length: int) -> None:
    out = frame.out
    if not 0 < distance <= min(len(out), max(frame.window, _BLOCK_BYTES)):
        raise CorruptBatchError("zstd: a copy reaches before the start of the frame")
    source = len(out) - distance
    if distance >= length:
        frame.grow(out[source : source + length])
    else:  # the source overlaps what is being written: a repeated pattern
        frame.grow((bytes(out[source:]) * (length // distance + 1))[:length])


def _decode_block(frame: _Frame, block: bytes) -> None:
    reader = _Reader(block)
    literals = _literals(frame, reader)
    count = reader.number(1)
    if count >= 255:
        count = reader.number(2) + 0x7F00
    elif count >= 128:
        count = (count - 128 << 8) + reader.number(1)
    if count == 0:
        if reader.rest():
            raise CorruptBatchError("zstd: bytes follow a block's literals")
        frame.grow(literals)
        return
    modes = reader.number(1)
    if modes & 3:
        raise CorruptBatchError("zstd: reserved bits set")
    tables = [_table(frame, reader, kind, modes >> (6 - 2 * kind) & 3) for kind in range(3)]
    lengths, offsets, matches = tables
    stream = BackwardBits(reader.rest())
    states = [stream.read(table.accuracy) for table in tables]
    position = 0
    for number in range(count):
        offset_base, offset_bits = _OFFSETS[offsets.symbols[states[1]]]
        match_base, match_bits = _MATCH_LENGTHS[matches.symbols[states[2]]]
        length_base, length_bits = _LITERAL_LENGTHS[lengths.symbols[states[0]]]
        value = offset_base + stream.read(offset_bits)
        match_length = match_base + stream.read(match_bits)
        literal_length = length_base + stream.read(length_bits)
        if literal_length > len(literals) - position:
            raise CorruptBatchError("zstd: a block uses more literals than it has")
        frame.grow(literals[position : position + literal_length])
        position += literal_length
        _copy(frame, _offset(frame, value, literal_length), match_length)
        if number + 1 < count:
            for kind in (0, 2, 1):
                state = states[kind]
                states[kind] = tables[kind].bases[state] + stream.read(tables[kind].bits[state])
    if stream.left != 0:
        raise CorruptBatchError("zstd: a block's sequences do not end with their bits")
    frame.grow(literals[position:])


def _decode_frame(reader: _Reader, limit: int) -> bytes:
    frame = _Frame(reader, limit)
    last = False
    while not last:
        header = reader.number(3)
        last, kind, size = bool(header & 1), header >> 1 & 3, header >> 3
        if size > frame.block_bytes:
            raise CorruptBatchError("zstd: a block is larger than allowed")
        frame.block_end = len(frame.out) + frame.block_bytes
        if kind == _STORED:
            frame.grow(reader.take(size))
        elif kind == _REPEATED:
            frame.grow(reader.take(1) * size)
        elif kind == _COMPRESSED:
            _decode_block(frame, reader.take(size))
        else:
            raise CorruptBatchError("zstd: reserved block type")
    if frame.content_size not in (None, len(frame.out)):
        raise CorruptBatchError("zstd: the frame's content is not of the size it claims")
    if frame.has_checksum and reader.number(4) != xxh64(bytes(frame.out)) & 0xFFFFFFFF:
        raise CorruptBatchError("zstd: the content does not match its checksum")
    return bytes(frame.out)


def decode(data: bytes, limit: int) -> bytes:
    """Decompress frames one after the other.

    Raises:
        CorruptBatchError: not Zstandard, cut short, a checksum is wrong, a dictionary is wanted, or more than `limit` bytes.
    """
    reader = _Reader(data)
    out = bytearray()
    while reader.rest() or not data:
        magic = reader.number(4)
        if magic & ~15 == _SKIPPABLE:
            reader.take(reader.number(4))
        elif magic == _MAGIC:
            out += _decode_frame(reader, limit - len(out))
        else:
            raise CorruptBatchError("zstd: not a frame")
    return bytes(out)
