"""Bodies whose counts lie are refused before a decoder can believe them; true ones pass, at every version of every API."""

import dataclasses
import io
import struct
from typing import Any

import pytest
from kio.index import load_request_schema
from kio.schema.index import api_key_map, schema_name_map
from kio.serial import entity_writer
from support.messages import encode, request
from support.protocol_table import rows

from odradek.protocol.claims import MAX_ELEMENTS, check_claims


def heartbeat(version: int) -> Any:
    return request(
        "heartbeat", version, {"group_id": "g", "generation_id": 1, "member_id": "m", "group_instance_id": None}
    )


def delete_groups(version: int, names: list[str]) -> Any:
    return request("delete_groups", version, {"groups_names": names})


@pytest.mark.parametrize("version", [0, 4])
def test_true_body_passes_and_a_shorter_one_does_not(version: int) -> None:
    message = heartbeat(version)
    body = encode(message)
    check_claims(type(message), body)
    for size in range(len(body)):
        with pytest.raises(ValueError, match="missing"):
            check_claims(type(message), body[:size])


@pytest.mark.parametrize("count", [3, 1_000_000, 2**31 - 1])
def test_count_beyond_the_body_is_refused(count: int) -> None:
    message = delete_groups(1, ["a", "b"])
    body = struct.pack(">i", count) + encode(message)[4:]
    with pytest.raises(ValueError, match=r"missing|elements"):
        check_claims(type(message), body)


def test_compact_count_of_billions_is_refused() -> None:
    # It asked kio for 180 GB, which ended the broker.
    message = delete_groups(2, ["a"])
    with pytest.raises(ValueError, match="elements"):
        check_claims(type(message), b"\xff\xff\xff\xff\x7f" + encode(message)[1:])


def test_negative_count_is_refused() -> None:
    message = delete_groups(1, ["a"])
    with pytest.raises(ValueError, match="impossible length -2"):
        check_claims(type(message), struct.pack(">i", -2))


@pytest.mark.parametrize("version", [1, 2])
def test_a_string_is_as_long_as_kafka_has_it_at_most(version: int) -> None:
    """Compact lengths can say more than the two bytes of old; Kafka calls that malformed."""
    longest = delete_groups(version, ["a" * 32_767])
    check_claims(type(longest), encode(longest))
    if version == 2:
        too_long = delete_groups(version, ["a" * 32_768])
        with pytest.raises(ValueError, match="string of 32768 bytes"):
            check_claims(type(too_long), encode(too_long))
    member = request(
        "heartbeat", 4, {"group_id": "g" * 32_768, "generation_id": 1, "member_id": "m", "group_instance_id": None}
    )
    with pytest.raises(ValueError, match="string of 32768 bytes"):
        check_claims(type(member), encode(member))


def test_elements_are_limited() -> None:
    message = delete_groups(1, [])
    for count in (MAX_ELEMENTS, MAX_ELEMENTS + 1):
        body = struct.pack(">i", count) + b"\0\0" * count
        if count == MAX_ELEMENTS:
            check_claims(type(message), body)
        else:
            with pytest.raises(ValueError, match="elements"):
                check_claims(type(message), body)


@pytest.mark.parametrize("row", rows(), ids=lambda row: row.api)
def test_no_served_request_has_an_array_in_a_tagged_field(row: Any) -> None:
    # Tagged fields are skipped whole; an array inside one would be believed again.
    if row.side == "Rust":
        return
    for version in schema_name_map[api_key_map[row.key]]:
        for field in dataclasses.fields(load_request_schema(row.key, version)):
            assert "tag" not in field.metadata or "tuple" not in str(field.type)


def test_null_struct_passes() -> None:
    fields = {"topics": [{"name": "t"}], "response_partition_limit": 1, "cursor": None}
    message = request("describe_topic_partitions", 0, fields)
    buffer = io.BytesIO()
    entity_writer(type(message))(buffer, message)
    check_claims(type(message), buffer.getvalue())
    with_cursor = request(
        "describe_topic_partitions", 0, fields | {"cursor": {"topic_name": "t", "partition_index": 0}}
    )
    check_claims(type(with_cursor), encode(with_cursor))
