"""Independent codecs read our batches and we read theirs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import CODECS, expected, fields, records

if TYPE_CHECKING:
    from odradek.record import Codec

NUMBERS = dict(zip(CODECS, range(5), strict=True))
WITHOUT_LIBRARY = {
    "kafka": {"snappy", "zstd"},
    "aiokafka": set(),
}  # kafka-python's come from packages we don't need else


@given(data=st.binary(max_size=2000))
def test_crc32c_is_that_of_another_library(codec: Codec, data: bytes) -> None:
    crc32c = pytest.importorskip("crc32c")
    assert codec.crc32c(data) == crc32c.crc32c(data)


def test_crc32c_of_the_standard_check_is_its_published_value(codec: Codec) -> None:
    assert codec.crc32c(b"123456789") == 0xE3069283
    assert codec.crc32c(b"") == 0
    assert codec.crc32c(bytes(32)) == 0x8A9136AA


def pairs(library: str) -> list:
    module = pytest.importorskip(f"{library}.record.default_records")
    if library == "aiokafka":
        return [module._DefaultRecordBatchPy, module._DefaultRecordBatchBuilderPy]
    return [module.DefaultRecordBatch, module.DefaultRecordBatchBuilder]


@pytest.mark.parametrize(
    ("library", "compression"),
    [(library, name) for library, lacking in WITHOUT_LIBRARY.items() for name in CODECS if name not in lacking],
)
class TestOracle:
    @given(records=records)
    def test_it_reads_our_batches(self, codec: Codec, library: str, compression: str, records: list) -> None:
        reader, _ = pairs(library)
        batch = reader(bytearray(codec.encode_batch(records, base_offset=9, compression=compression)))
        assert batch.validate_crc()
        read = [
            (
                record.offset,
                record.timestamp,
                record.key,
                record.value,
                tuple((name, value) for name, value in record.headers),
            )
            for record in batch
        ]
        assert read == expected(records, 9)

    @given(records=records)
    def test_we_read_its_batches(self, codec: Codec, library: str, compression: str, records: list) -> None:
        _, builder_class = pairs(library)
        builder = builder_class(
            magic=2,
            compression_type=NUMBERS[compression],
            is_transactional=False,
            producer_id=-1,
            producer_epoch=-1,
            base_sequence=-1,
            batch_size=1 << 24,
        )
        for delta, (timestamp, key, value, headers) in enumerate(records):
            assert builder.append(delta, timestamp, key, value, headers) is not None
        [batch] = codec.decode_batches(bytes(builder.build()))
        assert [fields(record) for record in batch.records] == expected(records)
