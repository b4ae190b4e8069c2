"""Whole record batches of 16 KiB: encode, decode."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cases import CODECS, RECORD_BYTES, records

from odradek import _native

if TYPE_CHECKING:
    from conftest import Grouped

    from odradek.record import Codec, CodecName


def decoded(codec: Codec, data: bytes) -> list[tuple[object, ...]]:
    [batch] = codec.decode_batches(data)
    return [(record.timestamp_ms, record.key, record.value, list(record.headers)) for record in batch.records]


@pytest.mark.parametrize("record_bytes", RECORD_BYTES)
@pytest.mark.parametrize("compression", CODECS)
def bench_encode(codec: Codec, timed: Grouped, compression: CodecName, record_bytes: int) -> None:
    if compression == "zstd" and codec is not _native:
        pytest.skip("pure zstd stores instead of compressing: nothing to compare")
    batch = records(record_bytes)
    data = timed(f"encode, {compression}, records of {record_bytes} B")(
        codec.encode_batch, batch, compression=compression
    )
    assert decoded(codec, data) == batch


@pytest.mark.parametrize("record_bytes", RECORD_BYTES)
@pytest.mark.parametrize("compression", CODECS)
def bench_decode(codec: Codec, timed: Grouped, compression: CodecName, record_bytes: int) -> None:
    batch = records(record_bytes)
    data = _native.encode_batch(batch, compression=compression)
    result = timed(f"decode, {compression}, records of {record_bytes} B")(codec.decode_batches, data)
    assert [
        (record.timestamp_ms, record.key, record.value, list(record.headers)) for record in result[0].records
    ] == batch
