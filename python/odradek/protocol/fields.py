"""Fields of Kafka's messages and records: how one is written, and a cursor that reads them. For what kio does not encode.

What consists of them: the records in `__consumer_offsets` (`broker/coordinator/group/records.py`, `consumer_records.py`) and
the answers in `group_answers.py`.
Source: Kafka's protocol guide, "Protocol Primitive Types".
"""

from struct import Struct
from typing import Final

__all__ = ["INT", "LONG", "SHORT", "Reader", "blob", "compact_blob", "compact_string", "string", "unsigned_varint"]

SHORT: Final = Struct(">h")
INT: Final = Struct(">i")
LONG: Final = Struct(">q")
_SMALL: Final = tuple(bytes((number,)) for number in range(128))
"""Varints of one byte, which most are."""


def string(text: str | None) -> bytes:
    """Return a string as versions before the flexible ones have it, and all keys."""
    if text is None:
        return b"\xff\xff"
    encoded = text.encode()
    return SHORT.pack(len(encoded)) + encoded


def compact_string(text: str | None) -> bytes:
    """Return a string as flexible versions have it."""
    return b"\0" if text is None else compact_blob(text.encode())


def blob(data: bytes) -> bytes:
    """Return bytes as versions before the flexible ones have them."""
    return INT.pack(len(data)) + data


def compact_blob(data: bytes) -> bytes:
    """Return bytes as flexible versions have them."""
    return unsigned_varint(len(data) + 1) + data


def unsigned_varint(value: int) -> bytes:
    """Return 7 bits a byte, the lowest first."""
    if value < 128:
        return _SMALL[value]
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


class Reader:
    """A cursor over one key or value. Lengths are checked against what is there before anything is cut out."""

    __slots__ = ("_data", "_position", "compact")

    def __init__(self, data: bytes, *, compact: bool = False) -> None:
        self._data = data
        self._position = 0
        self.compact = compact
        """Lengths are varints, as in flexible versions."""

    def read_short(self) -> int:
        """Return an int16."""
        value: int = SHORT.unpack_from(self._data, self._position)[0]
        self._position += 2
        return value

    def read_int(self) -> int:
        """Return an int32."""
        value: int = INT.unpack_from(self._data, self._position)[0]
        self._position += 4
        return value

    def read_long(self) -> int:
        """Return an int64."""
        value: int = LONG.unpack_from(self._data, self._position)[0]
        self._position += 8
        return value

    def read_string(self) -> str:
        """Return a string that may not be null."""
        text = self.read_nullable_string()
        if text is None:
            raise ValueError("null where a string must be")
        return text

    def read_nullable_string(self) -> str | None:
        """Return a string, None for null."""
        length = self.read_varint() - 1 if self.compact else self.read_short()
        return None if length < 0 else self.read_raw(length).decode()

    def read_bytes(self) -> bytes:
        """Return bytes, none for null."""
        length = self.read_varint() - 1 if self.compact else self.read_int()
        return b"" if length < 0 else self.read_raw(length)

    def read_count(self) -> int:
        """Return how many elements follow, 0 for null."""
        count = self.read_varint() - 1 if self.compact else self.read_int()
        if count > len(self._data):  # an element takes a byte at least
            raise ValueError(f"{count} elements in {len(self._data)} bytes")
        return max(count, 0)

    def read_tagged_fields(self) -> dict[int, bytes]:
        """Return the tagged fields by number."""
        return {self.read_varint(): self.read_raw(self.read_varint()) for _ in range(self.read_varint())}

    def read_varint(self) -> int:
        """Return an unsigned varint of 32 bits at most."""
        value = 0
        for shift in range(0, 35, 7):
            if self._position >= len(self._data):
                raise ValueError("cut short")
            byte = self._data[self._position]
            self._position += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
        raise ValueError("a varint is longer than 5 bytes")

    def read_raw(self, length: int) -> bytes:
        """Return the next bytes as they are."""
        end = self._position + length
        if end > len(self._data):
            raise ValueError(f"{length} bytes announced, {len(self._data) - self._position} left")
        piece = self._data[self._position : end]
        self._position = end
        return piece
