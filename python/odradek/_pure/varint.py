"""The record format's variable-length integers.

A signed number is zigzag-mapped (0, -1, 1, -2, ... -> 0, 1, 2, 3, ...) and written seven bits at a time, lowest first;
the top bit of a byte says that another follows. A varint holds 32 bits in at most 5 bytes, a varlong 64 in at most 10.

Test vectors: 0 -> 00, -1 -> 01, 1 -> 02, 63 -> 7e, -64 -> 7f, 64 -> 80 01, 2**31 - 1 -> fe ff ff ff 0f.
Source: Kafka `ByteUtils`; Protocol Buffers' zigzag encoding. Its Rust twin is `wire/primitives.rs`.
"""

from odradek.errors import CorruptBatchError

__all__ = ["decode_varint", "decode_varlong", "encode_varint"]


def encode_varint(value: int) -> bytes:
    """Encode a signed number of up to 64 bits; varint and varlong differ only in the range they allow."""
    rest = (value << 1) ^ (value >> 63)
    out = bytearray()
    while rest > 0x7F:
        out.append((rest & 0x7F) | 0x80)
        rest >>= 7
    out.append(rest)
    return bytes(out)


def _decode(data: bytes, position: int, bits: int) -> tuple[int, int]:
    raw = shift = 0
    while True:
        if position >= len(data):
            raise CorruptBatchError("records end inside a variable-length integer")
        byte = data[position]
        position += 1
        raw |= (byte & 0x7F) << shift
        if byte < 0x80:
            break
        shift += 7
        if shift >= bits:
            raise CorruptBatchError(f"variable-length integer is longer than {bits} bits")
    raw &= (1 << bits) - 1
    return (raw >> 1) ^ -(raw & 1), position


def decode_varint(data: bytes, position: int) -> tuple[int, int]:
    """Read a signed 32-bit number at `position`; return it and the position after it.

    Raises:
        CorruptBatchError: the bytes end inside it, or it has more than 5 bytes.
    """
    return _decode(data, position, 32)


def decode_varlong(data: bytes, position: int) -> tuple[int, int]:
    """Read a signed 64-bit number at `position`; return it and the position after it.

    Raises:
        CorruptBatchError: the bytes end inside it, or it has more than 10 bytes.
    """
    return _decode(data, position, 64)
