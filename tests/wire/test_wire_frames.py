"""Bytes that are no Kafka request: the connection is closed, the broker goes on."""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest
import samples
from kio.schema.errors import ErrorCode
from support import hostile, messages, protocol_table, topics
from support.canary import Canary
from support.wire import Wire

pytestmark = pytest.mark.brokers("odradek", "kafka")

TLS_CLIENT_HELLO = bytes.fromhex("16030100c8010000c40303") + bytes(range(190))
HTTP_GET = b"GET / HTTP/1.1\r\nHost: localhost:9092\r\nUser-Agent: curl\r\n\r\n"
UNKNOWN_API_KEY = 9_999
MAX_REQUEST_BYTES = 100 << 20

RAW = {
    "garbage": bytes(range(255, 0, -1)) * 4,
    "tls": TLS_CLIENT_HELLO,
    "http": HTTP_GET,
    "length_negative": struct.pack(">i", -1),
    "length_int_min": struct.pack(">i", -(2**31)),
    "length_int_max": struct.pack(">i", 2**31 - 1),
    "length_over_the_limit": struct.pack(">i", MAX_REQUEST_BYTES + 1),
    "length_zero": struct.pack(">i", 0),
}


@pytest.mark.parametrize("case", RAW)
def test_bytes_that_are_no_request_close_the_connection(
    case: str, connect: Callable[..., Wire], canary: Canary
) -> None:
    wire = connect()
    wire.send_raw(RAW[case])
    assert wire.closed_by_broker()


@pytest.mark.parametrize("size", range(1, 10))
def test_frame_shorter_than_a_header_closes_the_connection(size: int, bootstrap: str, canary: Canary) -> None:
    whole = messages.encode_request("metadata", 9, topics.metadata_fields(None))
    assert hostile.provoke(bootstrap, whole[:size]) == "closed"


@pytest.mark.parametrize("row", protocol_table.rows(), ids=lambda row: row.api)
def test_request_without_its_body_closes_the_connection(
    row: protocol_table.Promise, bootstrap: str, canary: Canary
) -> None:
    low, high = messages.kio_versions(row.api)
    for version in {max(low, row.low), min(high, row.high)}:
        whole = messages.encode_request(row.api, version, samples.requests("none", None)[row.api])
        schema = type(messages.request(row.api, version, samples.requests("none", None)[row.api]))
        header = messages.header_of(schema, correlation_id=1, client_id="wire")
        if len(whole) > len(header) and row.api != "api_versions":
            assert hostile.provoke(bootstrap, header) == "closed"


def test_unknown_api_key_closes_the_connection(bootstrap: str, canary: Canary) -> None:
    assert hostile.provoke(bootstrap, struct.pack(">hhih", UNKNOWN_API_KEY, 0, 1, -1)) == "closed"
    assert hostile.provoke(bootstrap, struct.pack(">hhih", -1, 0, 1, -1)) == "closed"


@pytest.mark.parametrize(
    "row", [row for row in protocol_table.rows() if row.api != "api_versions"], ids=lambda row: row.api
)
def test_version_that_is_not_served_closes_the_connection(
    row: protocol_table.Promise, bootstrap: str, canary: Canary
) -> None:
    for version in (-1, row.high + 1, 0x7FFF):
        assert hostile.provoke(bootstrap, struct.pack(">hhih", row.key, version, 1, -1) + b"\0" * 32) == "closed"


@pytest.mark.parametrize("version", [5, 99, 0x7FFF])
def test_api_versions_from_the_future_is_answered_in_v0_form_with_error_35(
    version: int, wire: Wire, canary: Canary
) -> None:
    body = b"\x0alibrary\x00\x021\x00" + b"\xff" * 20
    wire.send_frame(struct.pack(">hhihb", 18, version, 77, -1, 0) + body)
    frame = wire.receive_frame()
    correlation_id, response = messages.decode_response("api_versions", 0, frame)
    assert (correlation_id, response.error_code) == (77, ErrorCode.unsupported_version)
    assert any(row.api_key == 18 and row.max_version >= 3 for row in response.api_keys)
    # The same connection goes on with a version that the answer offers.
    assert wire.advertised()[18][1] >= 3


def test_half_a_frame_and_a_hang_up_leave_no_trace(connect: Callable[..., Wire], canary: Canary) -> None:
    whole = messages.encode_request("metadata", 9, topics.metadata_fields(None))
    for size in (1, 3, 4, 5, 20, len(whole) + 3):
        wire = connect()
        wire.send_raw((struct.pack(">i", len(whole)) + whole)[:size])
        wire.close()


def test_frame_sent_byte_by_byte_is_answered(wire: Wire, topic: str) -> None:
    frame = messages.encode_request("metadata", 9, topics.metadata_fields([topic]), correlation_id=5)
    for byte in struct.pack(">i", len(frame)) + frame:
        wire.send_raw(bytes([byte]))
    assert wire.receive("metadata", 9, 5).topics[0].name == topic


def test_many_frames_in_one_write_are_answered_in_order(wire: Wire, topic: str) -> None:
    apis = [
        ("metadata", 9, topics.metadata_fields([topic])),
        ("list_groups", 3, {}),
        ("fetch", 12, topics.fetch_fields(topic, 0)),
    ]
    wanted = [(api, version, number, fields) for number, (api, version, fields) in enumerate(apis * 40)]
    frames = [
        messages.encode_request(api, version, fields, correlation_id=number) for api, version, number, fields in wanted
    ]
    wire.send_raw(b"".join(struct.pack(">i", len(frame)) + frame for frame in frames))
    for api, version, number, _ in wanted:
        wire.receive(api, version, number)


def test_client_that_hangs_up_with_answers_under_way_hurts_nobody(
    connect: Callable[..., Wire], topic: str, canary: Canary
) -> None:
    for _ in range(20):
        wire = connect()
        for _ in range(50):
            wire.send("metadata", 9, topics.metadata_fields(None))
        wire.close()
        canary.sing()
