"""xxHash, 32 and 64 bits, seed 0: the checksums inside LZ4 and Zstandard frames.

Test vectors: xxh32(b"") = 0x02CC5D05, xxh32(b"abc") = 0x32D153FF; xxh64(b"") = 0xEF46DB3751D8E999,
xxh64(b"abc") = 0x44BC2CF5AD770999. Source: xxHash specification, Cyan4973/xxHash `doc/xxhash_spec.md`.
"""

import struct

__all__ = ["xxh32", "xxh64"]

_P32 = (0x9E3779B1, 0x85EBCA77, 0xC2B2AE3D, 0x27D4EB2F, 0x165667B1)
_P64 = (0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0x85EBCA77C2B2AE63, 0x27D4EB2F165667C5)
_M32, _M64 = 0xFFFFFFFF, 0xFFFFFFFFFFFFFFFF


def _rotate32(value: int, bits: int) -> int:
    value &= _M32
    return (value << bits | value >> (32 - bits)) & _M32


def _rotate64(value: int, bits: int) -> int:
    value &= _M64
    return (value << bits | value >> (64 - bits)) & _M64


def xxh32(data: bytes) -> int:
    """Return the 32-bit xxHash of `data` with seed 0."""
    p1, p2, p3, p4, p5 = _P32
    stripes = len(data) // 16
    if stripes:
        lanes = [p1 + p2, p2, 0, -p1]
        for words in struct.iter_unpack("<4I", data[: stripes * 16]):
            lanes = [_rotate32(lane + word * p2, 13) * p1 for lane, word in zip(lanes, words, strict=True)]
        value = sum(_rotate32(lane, bits) for lane, bits in zip(lanes, (1, 7, 12, 18), strict=True))
    else:
        value = p5
    value += len(data)
    rest = data[stripes * 16 :]
    words_end = len(rest) // 4 * 4
    for (word,) in struct.iter_unpack("<I", rest[:words_end]):
        value = _rotate32(value + word * p3, 17) * p4
    for byte in rest[words_end:]:
        value = _rotate32(value + byte * p5, 11) * p1
    value &= _M32
    value = (value ^ value >> 15) * p2 & _M32
    value = (value ^ value >> 13) * p3 & _M32
    return value ^ value >> 16


def xxh64(data: bytes) -> int:
    """Return the 64-bit xxHash of `data` with seed 0."""
    p1, p2, p3, p4, p5 = _P64
    stripes = len(data) // 32
    if stripes:
        lanes = [p1 + p2, p2, 0, -p1]
        for words in struct.iter_unpack("<4Q", data[: stripes * 32]):
            lanes = [_rotate64(lane + word * p2, 31) * p1 for lane, word in zip(lanes, words, strict=True)]
        value = sum(_rotate64(lane, bits) for lane, bits in zip(lanes, (1, 7, 12, 18), strict=True))
        for lane in lanes:
            value = (value ^ _rotate64(lane * p2, 31) * p1) * p1 + p4
    else:
        value = p5
    value += len(data)
    rest = data[stripes * 32 :]
    words_end = len(rest) // 8 * 8
    for (word,) in struct.iter_unpack("<Q", rest[:words_end]):
        value = _rotate64(value ^ _rotate64(word * p2, 31) * p1, 27) * p1 + p4
    rest = rest[words_end:]
    if len(rest) >= 4:
        (word,) = struct.unpack_from("<I", rest)
        value = _rotate64(value ^ word * p1, 23) * p2 + p3
        rest = rest[4:]
    for byte in rest:
        value = _rotate64(value ^ byte * p5, 11) * p1
    value &= _M64
    value = (value ^ value >> 33) * p2 & _M64
    value = (value ^ value >> 29) * p3 & _M64
    return value ^ value >> 32
