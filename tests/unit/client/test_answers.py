"""Responses as a client reads them: newer brokers' tagged fields are ignored, lies are refused."""

import struct

import pytest

from odradek.errors import ErrorCode, RemoteProtocolError
from odradek.protocol.answers import decode_answer, kio_versions
from odradek.protocol.api_keys import ApiKey
from odradek.protocol.codec import encode, schema


def heartbeat_with(tags: bytes) -> bytes:
    body = encode(schema(ApiKey.HEARTBEAT, 4).HeartbeatResponse(error_code=ErrorCode.REBALANCE_IN_PROGRESS))
    assert body.endswith(b"\0")
    return body[:-1] + tags


def test_a_response_comes_back() -> None:
    assert decode_answer(ApiKey.HEARTBEAT, 4, heartbeat_with(b"\0")).error_code == ErrorCode.REBALANCE_IN_PROGRESS


def test_tagged_fields_that_kio_does_not_know_are_ignored() -> None:
    two = b"\x02" + b"\x05\x03abc" + b"\x81\x01\x00"
    assert decode_answer(ApiKey.HEARTBEAT, 4, heartbeat_with(two)) == decode_answer(
        ApiKey.HEARTBEAT, 4, heartbeat_with(b"\0")
    )


def test_known_tagged_fields_stay_beside_unknown_ones() -> None:
    m = schema(ApiKey.API_VERSIONS, 3)
    body = encode(
        m.ApiVersionsResponse(
            error_code=ErrorCode.NONE,
            api_keys=(),
            supported_features=(),
            finalized_features_epoch=7,
            finalized_features=(),
            zk_migration_ready=False,
        )
    )
    assert body[-11] == 1, "one tagged field: the epoch"
    more = body[:-11] + b"\x02" + body[-10:] + b"\x63\x02hi"
    assert decode_answer(ApiKey.API_VERSIONS, 3, more).finalized_features_epoch == 7


def test_unknown_fields_inside_of_array_elements_are_ignored() -> None:
    m = schema(ApiKey.DELETE_GROUPS, 2)
    plain = encode(
        m.DeleteGroupsResponse(results=(m.DeletableGroupResult(group_id="g", error_code=ErrorCode.NONE),) * 2)
    )
    element = b"\x02g\0\0\0"
    assert plain.count(element) == 2
    more = plain.replace(element, element[:-1] + b"\x01\x00\x01x")
    assert decode_answer(ApiKey.DELETE_GROUPS, 2, more) == decode_answer(ApiKey.DELETE_GROUPS, 2, plain)


@pytest.mark.parametrize("body", [b"", b"\0\0\0", b"\0\0\0\0\0\x1b\x01\x05\x09ab"])
def test_a_response_cut_short_is_the_peers_fault(body: bytes) -> None:
    with pytest.raises(RemoteProtocolError, match="HEARTBEAT version 4"):
        decode_answer(ApiKey.HEARTBEAT, 4, body)


def test_a_count_of_billions_costs_nothing() -> None:
    with pytest.raises(RemoteProtocolError, match=r"more than|missing"):
        decode_answer(ApiKey.DELETE_GROUPS, 1, struct.pack(">ii", 0, 2**31 - 1))


def test_a_null_array_that_may_not_be_is_refused() -> None:
    with pytest.raises(RemoteProtocolError, match="null"):
        decode_answer(ApiKey.DELETE_GROUPS, 1, struct.pack(">ii", 0, -1))


def test_versions_are_those_of_the_installed_kio() -> None:
    low, high = kio_versions(ApiKey.METADATA)
    assert low <= 4
    assert high >= 12
