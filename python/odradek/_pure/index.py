"""The offset index of a segment: where in the log file to start looking for an offset.

```text
offset size field
     0    4 relative offset (offset less the segment's base offset), uint32 big-endian
     4    4 file position of the batch that ends with that offset or later, uint32 big-endian
```
Entries are sparse and strictly ascending in both fields. Test vector: base offset 100, (105, 4096) -> 00 00 00 05 00 00 10 00.
Source: Kafka `OffsetIndex`. The Rust twin is `log/offset_index.rs`.
"""

import struct
from collections.abc import Sequence

from odradek.errors import StorageError

__all__ = ["encode_index", "index_lookup"]

_ENTRY = struct.Struct(">II")


def encode_index(entries: Sequence[tuple[int, int]], base_offset: int) -> bytes:
    """Encode (offset, file position) pairs; see `odradek.record.Codec.encode_index`."""
    out = bytearray()
    last = (-1, -1)
    for offset, file_position in entries:
        entry = (offset - base_offset, file_position)
        if not (0 <= entry[0] < 2**31 and 0 <= entry[1] < 2**31):
            raise ValueError(f"index entry {offset}, {file_position} is outside 31 bits of its segment")
        if entry[0] <= last[0] or entry[1] <= last[1]:
            raise ValueError(f"index entry {offset}, {file_position} is not past the one before")
        out += _ENTRY.pack(*entry)
        last = entry
    return bytes(out)


def index_lookup(index: bytes, base_offset: int, target: int) -> tuple[int, int]:
    """Find the last entry at or below `target`; see `odradek.record.Codec.index_lookup`."""
    if len(index) % _ENTRY.size:
        raise StorageError(f"offset index of {len(index)} bytes is no multiple of {_ENTRY.size}")
    low, high = 0, len(index) // _ENTRY.size  # entries below `low` are at or below the target, from `high` on above it
    while low < high:
        middle = (low + high) // 2
        relative, _ = _ENTRY.unpack_from(index, middle * _ENTRY.size)
        if base_offset + relative <= target:
            low = middle + 1
        else:
            high = middle
    if low == 0:
        return base_offset, 0
    relative, file_position = _ENTRY.unpack_from(index, (low - 1) * _ENTRY.size)
    return base_offset + relative, file_position
