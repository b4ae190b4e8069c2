"""The codecs of the record batch by name: one table, two functions.

The framing of each is in the file of its name (`snappy.py`, `lz4.py`, `zstd.py`); gzip is the standard library's.
The Rust twin is `compress/`.
"""

import zlib

from odradek._pure import lz4, snappy, zstd
from odradek.errors import CorruptBatchError

__all__ = ["CODECS", "compress", "decompress"]

CODECS = ("none", "gzip", "snappy", "lz4", "zstd")
"""Each codec's number in a batch's attributes is its place here."""

_LEVELS = {"gzip": (1, 9), "lz4": (1, 17), "zstd": (-131072, 22)}
_GZIP_WINDOW = 31  # zlib's 15 bits, plus 16 for the gzip header and trailer


def _check_level(codec: str, level: int | None) -> None:
    if level is None:
        return
    if codec not in _LEVELS:
        raise ValueError(f"compression {codec!r} has no levels")
    low, high = _LEVELS[codec]
    if not low <= level <= high:
        raise ValueError(f"level {level} of {codec} is outside {low}..{high}")


def _gzip(data: bytes, level: int | None) -> bytes:
    encoder = zlib.compressobj(zlib.Z_DEFAULT_COMPRESSION if level is None else level, zlib.DEFLATED, _GZIP_WINDOW)
    return encoder.compress(data) + encoder.flush()


def _gunzip(data: bytes, limit: int) -> bytes:
    out = bytearray()
    while True:  # one round a gzip member
        decoder = zlib.decompressobj(_GZIP_WINDOW)
        try:
            out += decoder.decompress(data, limit - len(out) + 1)
        except zlib.error as error:
            raise CorruptBatchError(f"gzip: {error}") from error
        if len(out) > limit:
            raise CorruptBatchError(f"decompressed records are over the limit of {limit} bytes")
        if not decoder.eof:
            raise CorruptBatchError("gzip: cut short")
        data = decoder.unused_data
        if not data:
            return bytes(out)


def compress(codec: str, data: bytes, level: int | None = None) -> bytes:
    """Compress as Kafka's clients frame it; see `odradek.record.Codec.compress`."""
    if codec not in CODECS:
        raise ValueError(f"compression {codec!r} is not one of {', '.join(CODECS)}")
    _check_level(codec, level)
    match codec:
        case "gzip":
            return _gzip(data, level)
        case "snappy":
            return snappy.encode(data)
        case "lz4":
            return lz4.encode(data)
        case "zstd":
            return zstd.encode(data)
        case _:
            return data


def decompress(codec: str, data: bytes, limit: int) -> bytes:
    """Decompress what `compress` or another client made; see `odradek.record.Codec.decompress`."""
    if codec not in CODECS:
        raise ValueError(f"compression {codec!r} is not one of {', '.join(CODECS)}")
    if limit < 0:
        raise OverflowError(f"limit {limit} is negative")
    match codec:
        case "gzip":
            return _gunzip(data, limit)
        case "snappy":
            return snappy.decode(data, limit)
        case "lz4":
            return lz4.decode(data, limit)
        case "zstd":
            return zstd.decode(data, limit)
        case _:
            if len(data) > limit:
                raise CorruptBatchError(f"records are over the limit of {limit} bytes")
            return data
