"""Compression: both twins read each other, and what independent libraries write in every form they have."""

from __future__ import annotations

import gzip
import zlib
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from strategies import CODECS, LIMIT, codec_names, payloads

from odradek.errors import CorruptBatchError

if TYPE_CHECKING:
    from odradek.record import Codec

TEXT = b"".join(b'{"id": %d, "name": "user-%d"}' % (number, number * 7919 % 1000) for number in range(6000))
SAMPLES = {
    "empty": b"",
    "byte": b"a",
    "short": b"abc" * 20,
    "zeros": bytes(150_000),
    "text": TEXT,
    "noise": zlib.compress(TEXT),
}


@given(data=payloads, name=codec_names)
def test_what_is_compressed_comes_back_in_both_twins(codec: Codec, other: Codec, data: bytes, name: str) -> None:
    packed = codec.compress(name, data)
    assert codec.decompress(name, packed, len(data)) == data
    assert other.decompress(name, packed, len(data)) == data


@pytest.mark.parametrize("name", CODECS)
@pytest.mark.parametrize("sample", SAMPLES)
def test_inputs_of_many_blocks_come_back(codec: Codec, other: Codec, name: str, sample: str) -> None:
    data = SAMPLES[sample]
    assert other.decompress(name, codec.compress(name, data), len(data)) == data


@pytest.mark.parametrize("name", CODECS[1:])
def test_one_byte_over_the_limit_is_refused(codec: Codec, name: str) -> None:
    packed = codec.compress(name, TEXT[:1000])
    with pytest.raises(CorruptBatchError):
        codec.decompress(name, packed, 999)


@pytest.mark.parametrize("name", CODECS[1:])
def test_every_cut_is_refused(codec: Codec, name: str) -> None:
    packed = codec.compress(name, TEXT[:200])
    for size in range(len(packed)):
        if name == "snappy" and size == 16:
            continue  # a frame without blocks is whole
        with pytest.raises(CorruptBatchError):
            codec.decompress(name, packed[:size], LIMIT)


@pytest.mark.parametrize("name", CODECS[1:])
def test_bytes_after_the_end_are_refused(codec: Codec, name: str) -> None:
    with pytest.raises(CorruptBatchError):
        codec.decompress(name, codec.compress(name, TEXT[:200]) + b"\x00", LIMIT)


def test_several_gzip_members_read_as_one(codec: Codec) -> None:
    assert codec.decompress("gzip", gzip.compress(b"one") + gzip.compress(b"two"), LIMIT) == b"onetwo"


@pytest.mark.parametrize("sample", SAMPLES)
@pytest.mark.parametrize("raw", [False, True])
def test_snappy_is_read_raw_and_framed_and_written_for_others(codec: Codec, sample: str, raw: bool) -> None:
    cramjam = pytest.importorskip("cramjam")
    data = SAMPLES[sample]
    block = bytes(cramjam.snappy.compress_raw(data))
    framed = b"\x82SNAPPY\x00\x00\x00\x00\x01\x00\x00\x00\x01" + len(block).to_bytes(4, "big") + block
    assert codec.decompress("snappy", block if raw else framed, len(data)) == data
    packed, position, out = codec.compress("snappy", data), 16, b""
    while position < len(packed):
        size = int.from_bytes(packed[position : position + 4], "big")
        out += bytes(cramjam.snappy.decompress_raw(packed[position + 4 : position + 4 + size]))
        position += 4 + size
    assert out == data


@pytest.mark.parametrize("sample", SAMPLES)
@pytest.mark.parametrize(
    "options",
    [
        {"block_linked": False},
        {"block_linked": True},
        {"block_linked": True, "content_checksum": True},
        {"block_checksum": True, "content_checksum": True},
        {"block_size": 5, "block_linked": True, "store_size": False},
        {"block_size": 7, "compression_level": 9},
    ],
    ids=lambda options: "-".join(f"{key}={value}" for key, value in options.items()),
)
def test_lz4_frames_of_liblz4_are_read_in_every_form(codec: Codec, sample: str, options: dict) -> None:
    frame = pytest.importorskip("lz4.frame")
    data = SAMPLES[sample]
    assert codec.decompress("lz4", frame.compress(data, **options), len(data)) == data
    assert frame.decompress(codec.compress("lz4", data)) == data


@pytest.mark.parametrize("sample", SAMPLES)
@pytest.mark.parametrize("level", [1, 3, 12, 19])
def test_zstd_frames_of_libzstd_are_read_at_every_level(codec: Codec, sample: str, level: int) -> None:
    cramjam = pytest.importorskip("cramjam")
    data = SAMPLES[sample]
    assert codec.decompress("zstd", bytes(cramjam.zstd.compress(data, level=level)), len(data)) == data
    assert bytes(cramjam.zstd.decompress(codec.compress("zstd", data))) == data


@pytest.mark.parametrize("level", [1, 6, 9])
def test_gzip_levels_come_back_through_the_standard_library(codec: Codec, level: int) -> None:
    assert gzip.decompress(codec.compress("gzip", TEXT, level)) == TEXT


@pytest.mark.parametrize(
    ("name", "level"),
    [("none", 1), ("snappy", 1), ("gzip", 0), ("gzip", 10), ("lz4", 18), ("zstd", 23), ("lzma", None)],
)
def test_unknown_codecs_and_levels_are_refused(codec: Codec, name: str, level: int | None) -> None:
    with pytest.raises(ValueError, match=name):
        codec.compress(name, b"data", level)
