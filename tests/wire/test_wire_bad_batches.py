"""Record batches that lie: each is refused with its error code, stores nothing and hurts nobody.

The codes are those of Apache Kafka 4.3.1, seen with these same tests; where Kafka only knows UNKNOWN_SERVER_ERROR, a code that says
what is wrong is as good.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from kio.schema.errors import ErrorCode
from support import batches, topics
from support.canary import Canary
from support.wire import Wire

pytestmark = pytest.mark.brokers("odradek", "kafka")

GOOD = batches.batch([b"a" * 10, b"b" * 10, b"c" * 10])
ONE = batches.batch([b"v"])
RECORD = ONE[batches.HEADER.size :]
SIZE = len(GOOD) - batches.LENGTH_COVERS_FROM
INT_MAX, INT_MIN = 2**31 - 1, -(2**31)

CORRUPT = {ErrorCode.corrupt_message}
INVALID = {ErrorCode.invalid_record}
EITHER = CORRUPT | INVALID
UNREADABLE = {
    ErrorCode.unknown_server_error,
    ErrorCode.corrupt_message,
    ErrorCode.invalid_record,
    ErrorCode.unsupported_compression_type,
}


def with_record(raw: bytes) -> bytes:
    """Return a batch of one record made of these bytes, its header true."""
    return batches.with_payload(ONE, raw)


HEADERS = {
    "bad_crc": (batches.altered(GOOD, crc=1), CORRUPT),
    **{f"magic_{magic}": (batches.altered(GOOD, magic=magic), INVALID) for magic in (0, 1)},
    **{f"magic_{magic}": (batches.altered(GOOD, magic=magic), CORRUPT) for magic in (-1, 3, 7)},
    **{f"count_{count}": (batches.altered(GOOD, count=count), INVALID) for count in (INT_MIN, -1, 0, 2, 4, INT_MAX)},
    **{
        f"last_delta_{delta}": (batches.altered(GOOD, last_offset_delta=delta), INVALID)
        for delta in (-1, 0, 3, INT_MAX)
    },
    **{
        f"count_and_delta_{count}": (batches.altered(GOOD, count=count, last_offset_delta=count - 1), INVALID)
        for count in (0, 2, 4, INT_MAX)
    },
    **{
        f"length_{size}": (batches.altered(GOOD, length=size), CORRUPT)
        for size in (INT_MIN, -1, 0, 10, 48, 49, SIZE - 1)
    },
    "length_one_more": (batches.altered(GOOD, length=SIZE + 1), EITHER),
    "length_int_max": (batches.altered(GOOD, length=INT_MAX), UNREADABLE),
    "base_offset_1000": (batches.altered(GOOD, base_offset=1000), INVALID),
    "base_offset_negative": (batches.altered(GOOD, base_offset=-5), INVALID),
    "control_batch_from_a_client": (batches.altered(GOOD, attributes=0x20), INVALID),
    "producer_id_without_epoch": (batches.altered(GOOD, producer_id=5), INVALID),
    "producer_id_without_sequence": (batches.altered(GOOD, producer_id=5, producer_epoch=0), INVALID),
    "no_records": (batches.with_payload(GOOD, b"", count=0, last_offset_delta=-1), INVALID),
    "two_batches": (GOOD + GOOD, INVALID),
    "part_of_a_batch": (GOOD[:-1], EITHER),
    "part_of_a_header": (GOOD[:30], EITHER),
    "five_bytes": (GOOD[:5], EITHER),
    "nothing": (b"", INVALID),
    "transactional_without_producer_id": (
        batches.altered(GOOD, attributes=batches.TRANSACTIONAL),
        {ErrorCode.transactional_id_authorization_failed},
    ),
}

RECORDS = {
    "record_longer_than_its_bytes": with_record(b"\x10" + RECORD[1:]),
    "record_shorter_than_its_bytes": with_record(b"\x0c" + RECORD[1:]),
    "record_length_negative": with_record(b"\x01" + RECORD[1:]),
    "record_length_int_max": with_record(b"\xfe\xff\xff\xff\x0f" + RECORD[1:]),
    "key_length_int_max": with_record(RECORD[:4] + b"\xfe\xff\xff\xff\x0f" + RECORD[5:]),
    "value_length_minus_two": with_record(RECORD[:5] + b"\x03" + RECORD[6:]),
    "header_count_negative": with_record(RECORD[:-1] + b"\x01"),
    "header_count_five_of_none": with_record(RECORD[:-1] + b"\x0a"),
    "header_count_int_max": with_record(RECORD[:-1] + b"\xfe\xff\xff\xff\x0f"),
    "bytes_after_the_last_record": with_record(RECORD + b"junk"),
}

CODEC_NAMES = {number: name for name, number in batches.CODECS.items()}


@pytest.fixture
def refused(wire: Wire, topic: str, canary: Canary) -> Callable[[bytes, set[ErrorCode]], None]:
    """Return a function that produces bytes, expects one of the codes, and checks that nothing was stored."""
    topics.produce(wire, topic, GOOD)

    def produce(raw: bytes, expected: set[ErrorCode]) -> None:
        row = topics.try_produce(wire, topic, raw)
        assert row.error_code in expected, row
        assert row.base_offset == -1
        assert topics.list_offset(wire, topic, topics.LATEST)[0] == 3
        assert topics.produce(wire, topic, GOOD) == 3

    return produce


@pytest.mark.parametrize("case", HEADERS)
def test_batch_with_a_lying_header_is_refused(case: str, refused: Callable[[bytes, set[ErrorCode]], None]) -> None:
    refused(*HEADERS[case])


@pytest.mark.parametrize("case", RECORDS)
def test_batch_with_a_lying_record_is_refused(case: str, refused: Callable[[bytes, set[ErrorCode]], None]) -> None:
    refused(RECORDS[case], INVALID)


def test_batch_with_an_overlong_varint_is_refused(refused: Callable[[bytes, set[ErrorCode]], None]) -> None:
    refused(with_record(b"\xff" * 9 + b"\x01" + RECORD[1:]), UNREADABLE)


@pytest.mark.parametrize("payload", [b"", b"\xde\xad\xbe\xef" * 8], ids=["empty", "garbage"])
@pytest.mark.parametrize("codec", range(1, 8), ids=lambda number: CODEC_NAMES.get(number, f"codec{number}"))
def test_payload_that_its_codec_can_not_read_is_refused(
    codec: int, payload: bytes, refused: Callable[[bytes, set[ErrorCode]], None]
) -> None:
    refused(batches.with_payload(GOOD, payload, attributes=codec), UNREADABLE)


@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
@pytest.mark.parametrize("count", [2, 4, INT_MAX])
def test_compressed_batch_with_a_lying_count_is_refused(
    codec: str, count: int, refused: Callable[[bytes, set[ErrorCode]], None]
) -> None:
    good = batches.batch([b"a" * 100, b"b" * 100, b"c" * 100], codec=codec)
    assert batches.header_field(good, "attributes") == batches.CODECS[codec]
    refused(batches.altered(good, count=count, last_offset_delta=count - 1), INVALID)


@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
def test_compressed_batch_cut_in_its_payload_is_refused(
    codec: str, refused: Callable[[bytes, set[ErrorCode]], None]
) -> None:
    good = batches.batch([bytes(range(256)) * 3 for _ in range(3)], codec=codec)
    payload = good[batches.HEADER.size :]
    refused(batches.with_payload(good, payload[: len(payload) // 2]), UNREADABLE)


def test_timestamp_too_far_ahead_is_refused(refused: Callable[[bytes, set[ErrorCode]], None]) -> None:
    tomorrow = batches.Entry(b"x", timestamp=batches.NOW + 24 * 3_600_000)
    refused(batches.batch([tomorrow]), {ErrorCode.invalid_timestamp})


@pytest.mark.parametrize("acks", [2, -2, 0x7FFF])
def test_unknown_acks_are_refused(acks: int, wire: Wire, topic: str, canary: Canary) -> None:
    row = topics.try_produce(wire, topic, GOOD, acks=acks)
    assert row.error_code is ErrorCode.invalid_required_acks
    assert topics.list_offset(wire, topic, topics.LATEST)[0] == 0


@pytest.mark.parametrize(
    "rest", [GOOD[:5], GOOD[:30], GOOD[:-1]], ids=["five_bytes", "half_a_header", "all_but_one_byte"]
)
def test_whole_batch_before_a_part_of_another_is_taken_and_the_part_left(
    rest: bytes, wire: Wire, topic: str, canary: Canary
) -> None:
    assert topics.produce(wire, topic, GOOD + rest) == 0
    assert topics.produce(wire, topic, ONE) == 3
    assert [entry.value for entry in topics.read_all(wire, topic)] == [b"a" * 10, b"b" * 10, b"c" * 10, b"v"]


def test_produced_fields_that_are_the_brokers_are_overwritten(wire: Wire, topic: str, canary: Canary) -> None:
    assert topics.produce(wire, topic, batches.altered(GOOD, leader_epoch=77)) == 0
    raw = topics.try_fetch(wire, topic, 0).records
    assert batches.header_field(raw, "leader_epoch") == 0
    assert batches.header_field(raw, "base_offset") == 0


@pytest.mark.parametrize("codec", ["none", "gzip"])
def test_batch_over_max_message_bytes_is_refused(
    codec: str, wire: Wire, make_topic: Callable[..., str], canary: Canary
) -> None:
    name = make_topic(max_message_bytes=200)
    noise = bytes((n * n + n // 7) % 251 for n in range(3_000))
    small, large = batches.batch([b"v" * 50]), batches.batch([noise], codec=codec)
    assert len(small) < 200 < len(large)
    assert topics.produce(wire, name, small) == 0
    assert topics.try_produce(wire, name, large).error_code is ErrorCode.message_too_large
    assert topics.produce(wire, name, small) == 1
    squeezed = batches.batch([b"v" * 3_000], codec="gzip")
    assert len(squeezed) < 200
    assert topics.produce(wire, name, squeezed) == 2


@pytest.mark.parametrize("codec", ["none", "gzip", "zstd"])
def test_null_key_on_a_compacted_topic_is_refused(
    codec: str, wire: Wire, make_topic: Callable[..., str], canary: Canary
) -> None:
    name = make_topic(cleanup_policy="compact")
    keyed = [batches.Entry(b"v" * 50, key=b"k%d" % n) for n in range(3)]
    assert topics.produce(wire, name, batches.batch(keyed, codec=codec)) == 0
    row = topics.try_produce(wire, name, batches.batch([*keyed, batches.Entry(b"v" * 50)], codec=codec))
    assert row.error_code is ErrorCode.invalid_record
    assert topics.list_offset(wire, name, topics.LATEST)[0] == 3


def test_bomb_is_taken_without_unpacking_it_in_memory(wire: Wire, topic: str, broker, canary: Canary) -> None:
    bomb = batches.batch([b"z" * (256 << 20)], codec="gzip")
    assert len(bomb) < 1 << 20
    before = broker.resident_bytes()
    assert topics.produce(wire, topic, bomb) == 0
    after = broker.resident_bytes()
    if before is not None:
        assert after - before < 64 << 20
    assert topics.try_fetch(wire, topic, 0).records[61:] == bomb[61:]


def test_bomb_with_a_lying_count_is_refused(wire: Wire, topic: str, canary: Canary) -> None:
    bomb = batches.batch([b"z" * (64 << 20)], codec="gzip")
    row = topics.try_produce(wire, topic, batches.altered(bomb, count=7, last_offset_delta=6))
    assert row.error_code is ErrorCode.invalid_record
    assert topics.list_offset(wire, topic, topics.LATEST)[0] == 0
