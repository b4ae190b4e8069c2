"""Each compression by itself, on 16 KiB of JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cases import BATCH_BYTES, CODECS, LIMIT, values

from odradek import _native

if TYPE_CHECKING:
    from conftest import Grouped

    from odradek.record import Codec, CodecName

DATA = b"".join(values(256, BATCH_BYTES // 256))


@pytest.mark.parametrize("name", CODECS[1:])
def bench_compress(codec: Codec, timed: Grouped, name: CodecName) -> None:
    if name == "zstd" and codec is not _native:
        pytest.skip("pure zstd stores instead of compressing: nothing to compare")
    packed = timed(f"compress, {name}")(codec.compress, name, DATA)
    assert len(packed) < len(DATA)
    assert _native.decompress(name, packed, LIMIT) == DATA


@pytest.mark.parametrize("name", CODECS[1:])
def bench_decompress(codec: Codec, timed: Grouped, name: CodecName) -> None:
    packed = _native.compress(name, DATA)
    assert timed(f"decompress, {name}")(codec.decompress, name, packed, LIMIT) == DATA
