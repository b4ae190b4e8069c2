"""Whole batches: what one twin encodes, both decode alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import codec_names, expected, fields, plain, records

if TYPE_CHECKING:
    from odradek.record import Codec

VALUE = [(1000, b"key", b"value", [("name", b"text"), ("none", None)])]


@given(records=records, compression=codec_names, base_offset=st.integers(0, 2**62))
def test_records_come_back_as_they_went_in(codec: Codec, records: list, compression: str, base_offset: int) -> None:
    [batch] = codec.decode_batches(codec.encode_batch(records, base_offset=base_offset, compression=compression))
    assert [fields(record) for record in batch.records] == expected(records, base_offset)
    assert batch.last_offset == base_offset + len(records) - 1
    assert batch.max_timestamp_ms == max(record[0] for record in records)


@given(records=records, compression=codec_names)
def test_each_twin_reads_the_batches_of_the_other(codec: Codec, other: Codec, records: list, compression: str) -> None:
    data = codec.encode_batch(records, compression=compression)
    assert [plain(batch) for batch in other.decode_batches(data)] == [
        plain(batch) for batch in codec.decode_batches(data)
    ]


@given(
    records=records,
    base_offset=st.integers(-(2**63), 2**62),
    producer=st.tuples(st.integers(-1, 2**63 - 1), st.integers(-1, 2**15 - 1), st.integers(-1, 2**31 - 1)),
    flags=st.tuples(st.booleans(), st.booleans()),
    timestamp_type=st.sampled_from(["CreateTime", "LogAppendTime"]),
    epoch=st.integers(-1, 2**31 - 1),
)
def test_the_twins_encode_uncompressed_batches_to_the_same_bytes(
    codec: Codec,
    other: Codec,
    records: list,
    base_offset: int,
    producer: tuple,
    flags: tuple,
    timestamp_type: str,
    epoch: int,
) -> None:
    options = {
        "base_offset": base_offset,
        "producer_id": producer[0],
        "producer_epoch": producer[1],
        "base_sequence": producer[2],
        "is_transactional": flags[0],
        "is_control": flags[1],
        "timestamp_type": timestamp_type,
        "partition_leader_epoch": epoch,
    }
    data = codec.encode_batch(records, **options)
    assert data == other.encode_batch(records, **options)
    [batch] = codec.decode_batches(data)
    assert {name: getattr(batch, name) for name in options} == options


def test_a_batch_is_the_bytes_of_its_format(codec: Codec) -> None:
    data = codec.encode_batch([(1_700_000_000_000, None, b"v", [])], base_offset=5, partition_leader_epoch=2)
    assert data.hex(" ") == (
        "00 00 00 00 00 00 00 05 00 00 00 39 00 00 00 02 02 d3 f2 ac 75 00 00 00 00 00 00 00 00 01 8b cf e5 68 00 "
        "00 00 01 8b cf e5 68 00 ff ff ff ff ff ff ff ff ff ff ff ff ff ff 00 00 00 01 0e 00 00 00 01 02 76 00"
    )


def test_batches_that_follow_each_other_are_all_decoded(codec: Codec) -> None:
    data = b"".join(codec.encode_batch(VALUE, base_offset=offset) for offset in range(3))
    assert [batch.base_offset for batch in codec.decode_batches(data)] == [0, 1, 2]
    assert list(codec.decode_batches(b"")) == []


def test_null_and_empty_are_kept_apart(codec: Codec) -> None:
    records = [(0, None, b"", [("a", None), ("a", b"")]), (0, b"", None, [])]
    [batch] = codec.decode_batches(codec.encode_batch(records))
    assert [fields(record) for record in batch.records] == expected(records)


def test_log_append_time_gives_every_record_the_time_of_the_batch(codec: Codec) -> None:
    [batch] = codec.decode_batches(
        codec.encode_batch([(5, None, b"a", []), (9, None, b"b", [])], timestamp_type="LogAppendTime")
    )
    assert [record.timestamp_ms for record in batch.records] == [9, 9]


def test_a_header_name_that_is_not_utf8_is_shown_and_not_refused(codec: Codec) -> None:
    from strategies import resealed

    data = codec.encode_batch([(0, None, None, [("name", b"text")])])
    [batch] = codec.decode_batches(resealed(data.replace(b"name", b"na\xff\xfe")))
    assert batch.records[0].headers == (("na\ufffd\ufffd", b"text"),)


def test_decoded_values_are_frozen(codec: Codec) -> None:
    [batch] = codec.decode_batches(codec.encode_batch(VALUE))
    for value, name in ((batch, "crc"), (batch.records[0], "offset")):
        with pytest.raises(AttributeError):
            setattr(value, name, 1)


def test_equal_records_are_equal_and_hash_alike(codec: Codec) -> None:
    [[one], [two]] = ([*codec.decode_batches(codec.encode_batch(VALUE))[0].records] for _ in range(2))
    [other] = codec.decode_batches(codec.encode_batch(VALUE, base_offset=1))[0].records
    assert one == two
    assert hash(one) == hash(two)
    assert one != other
    assert (
        repr(one)
        == "Record(offset=0, timestamp_ms=1000, key=b'key', value=b'value', headers=(('name', b'text'), ('none', None)))"
    )


@pytest.mark.parametrize(
    ("records", "options", "error"),
    [
        ([], {}, ValueError),
        (VALUE, {"compression": "brotli"}, ValueError),
        (VALUE, {"compression": "gzip", "level": 10}, ValueError),
        (VALUE, {"compression": "none", "level": 1}, ValueError),
        (VALUE, {"timestamp_type": "NoTimestampType"}, ValueError),
        ([(-(2**63), None, None, []), (2**63 - 1, None, None, [])], {}, ValueError),
        ([(2**63, None, None, [])], {}, OverflowError),
        (VALUE, {"base_offset": 2**63}, OverflowError),
        (VALUE, {"producer_id": 2**63}, OverflowError),
        (VALUE, {"producer_epoch": 2**15}, OverflowError),
        (VALUE, {"base_sequence": -(2**31) - 1}, OverflowError),
        (VALUE, {"partition_leader_epoch": 2**31}, OverflowError),
    ],
)
def test_what_has_no_place_in_a_batch_is_refused(codec: Codec, records: list, options: dict, error: type) -> None:
    with pytest.raises(error):
        codec.encode_batch(records, **options)
