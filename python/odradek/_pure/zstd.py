"""Zstandard frames."""

import struct

from odradek.errors import CorruptBatchError

__all__ = ["decode", "encode"]

_MAGIC = 0xFD2FB528
_BLOCK_BYTES = 128 * 1024


def encode(data: bytes) -> bytes:
    """Write one frame of blocks that are stored or a repeated byte: valid for every decoder, but hardly smaller."""
    out = bytearray(struct.pack("<IBQ", _MAGIC, 0xE0, len(data)))
    starts = range(0, max(len(data), 1), _BLOCK_BYTES)
    for start in starts:
        block = data[start : start + _BLOCK_BYTES]
        last = start == starts[-1]
        repeated = len(block) > 1 and block == block[:1] * len(block)
        out += (len(block) << 3 | (2 if repeated else 0) | last).to_bytes(3, "little")
        out += block[:1] if repeated else block
    return bytes(out)


def decode(data: bytes, limit: int) -> bytes:
    raise CorruptBatchError("zstd: not yet")
