"""Whatever the bytes are: records, or CorruptBatchError, and no memory for what they claim."""

from __future__ import annotations

import struct
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import CODECS, HEADER_BYTES, LIMIT, codec_names, plain, resealed

from odradek.errors import CorruptBatchError

if TYPE_CHECKING:
    from odradek.record import Codec, RecordBatch

RECORDS = [(1000 + n, b"%d" % n, bytes([n]) * n * 9, [("name", None), ("other", b"x")]) for n in range(12)]


def outcome(codec: Codec, data: bytes) -> list[tuple[object, ...]] | None:
    try:
        batches: list[RecordBatch] = list(codec.decode_batches(data, limit=LIMIT))
    except CorruptBatchError:
        return None
    return [plain(batch) for batch in batches]


@given(
    compression=codec_names,
    edits=st.lists(st.tuples(st.integers(21, 1 << 16), st.integers(0, 255)), min_size=1, max_size=3),
    cut=st.none() | st.integers(HEADER_BYTES, 1 << 16),
)
def test_edited_batches_with_a_right_checksum_are_read_alike_or_refused(
    codec: Codec, other: Codec, compression: str, edits: list, cut: int | None
) -> None:
    data = bytearray(codec.encode_batch(RECORDS, compression=compression))
    for at, value in edits:
        data[21 + at % (len(data) - 21)] = value
    if cut is not None:
        del data[HEADER_BYTES + cut % (len(data) - HEADER_BYTES) :]
    sealed = resealed(bytes(data))
    one, two = outcome(codec, sealed), outcome(other, sealed)
    assert one is None or two is None or one == two


@given(compression=codec_names, payload=st.binary(max_size=200), count=st.integers(-(2**31), 2**31 - 1))
def test_garbage_for_records_is_refused_or_read_alike(
    codec: Codec, other: Codec, compression: str, payload: bytes, count: int
) -> None:
    header = codec.encode_batch(RECORDS, compression=compression)[:HEADER_BYTES]
    sealed = resealed(header[:57] + struct.pack(">i", count) + payload)
    one, two = outcome(codec, sealed), outcome(other, sealed)
    assert one is None or two is None or one == two


@given(data=st.binary(max_size=200), name=st.sampled_from(CODECS[1:]))
def test_garbage_is_not_decompressed_into_anything_else(codec: Codec, other: Codec, data: bytes, name: str) -> None:
    results = []
    for twin in (codec, other):
        try:
            results.append(twin.decompress(name, data, LIMIT))
        except CorruptBatchError:
            results.append(None)
    assert None in results or results[0] == results[1]


@pytest.mark.parametrize("compression", CODECS)
def test_every_flipped_bit_after_the_checksum_is_found(codec: Codec, compression: str) -> None:
    data = codec.encode_batch(RECORDS[:3], compression=compression)
    for at in range(16, len(data)):
        edited = data[:at] + bytes([data[at] ^ 1 << at % 8]) + data[at + 1 :]
        assert outcome(codec, edited) is None


@pytest.mark.parametrize("compression", CODECS)
def test_every_cut_is_found(codec: Codec, compression: str) -> None:
    data = codec.encode_batch(RECORDS[:3], compression=compression)
    for size in range(1, len(data)):
        assert outcome(codec, data[:size]) is None
        if size >= HEADER_BYTES:
            assert outcome(codec, resealed(data[:size])) is None


@pytest.mark.parametrize("compression", CODECS)
@pytest.mark.parametrize("count", [-1, 0, 11, 13, 2**31 - 1])
def test_lying_counts_are_refused(codec: Codec, compression: str, count: int) -> None:
    data = codec.encode_batch(RECORDS, compression=compression)
    assert outcome(codec, resealed(data[:57] + struct.pack(">i", count) + data[61:])) is None


@pytest.mark.parametrize("length", [-1, 0, 48, 50, 2**31 - 1, -(2**31)])
def test_lying_lengths_are_refused(codec: Codec, length: int) -> None:
    data = codec.encode_batch(RECORDS)
    assert outcome(codec, data[:8] + struct.pack(">i", length) + data[12:]) is None


@pytest.mark.parametrize("magic", [0, 1, 3, 255])
def test_other_magics_are_named_even_in_a_batch_shorter_than_our_header(codec: Codec, magic: int) -> None:
    data = codec.encode_batch(RECORDS)
    with pytest.raises(CorruptBatchError, match="magic"):
        codec.decode_batches(data[:16] + bytes([magic]) + data[17:40])


@pytest.mark.parametrize(
    "record",
    ["0d 00 00 00 01 02 76 00", "10 00 00 00 01 02 76 00", "0e 00 00 00 03 02 76 00", "0e 00 00 00 01 02 76 01", "0e 00 00 00 01 02 76 02",
     "0e 00 00 00 01 05 76 00", "0e 00 00 01 01 02 76 00", "0e 00 00 02 01 02 76 00", "0f 00 00 00 01 02 76 00", "00",
     "14 00 00 00 01 02 76 02 01 01 00", "ff ff ff ff ff 01", "fe ff ff ff 0f 00"],
)  # fmt: skip
def test_records_that_contradict_themselves_are_refused(codec: Codec, record: str) -> None:
    header = codec.encode_batch([(0, None, b"v", [])])[:HEADER_BYTES]
    assert outcome(codec, resealed(header + bytes.fromhex("0e 00 00 00 01 02 76 00"))) is not None
    assert outcome(codec, resealed(header + bytes.fromhex(record))) is None


MAKE_BOMB = "import sys; from odradek import _native; sys.stdout.buffer.write(_native.compress(sys.argv[1], bytes(200_000_000)))"
DEFUSE = """
import resource, sys
import importlib
from odradek.errors import CorruptBatchError
twin = importlib.import_module(sys.argv[2])
bomb = sys.stdin.buffer.read()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    twin.decompress(sys.argv[1], bomb, int(sys.argv[3]))
except CorruptBatchError:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.parametrize("compression", CODECS[1:])
def test_a_bomb_is_refused_without_being_unpacked(codec: Codec, compression: str) -> None:
    # In processes of their own: the peak of this one's memory says nothing any more.
    bomb = subprocess.run([sys.executable, "-c", MAKE_BOMB, compression], capture_output=True, check=True).stdout
    assert len(bomb) < 20_000_000
    command = [sys.executable, "-c", DEFUSE, compression, codec.__name__, str(LIMIT)]
    grown_kib = int(subprocess.run(command, input=bomb, capture_output=True, check=True).stdout)
    assert grown_kib < 48 * 1024


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("snappy", "80 80 80 80 04 00 61"),
        ("zstd", "28 b5 2f fd e0 00 00 00 00 00 00 00 40 01 00 00"),
        ("zstd", "28 b5 2f fd 00 ff 01 00 00"),
    ],
)
def test_a_claimed_size_is_not_believed(codec: Codec, name: str, data: str) -> None:
    with pytest.raises(CorruptBatchError):
        codec.decompress(name, bytes.fromhex(data), 2**40)
