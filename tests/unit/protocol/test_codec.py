"""The codec over kio: fields a version lacks are dropped, hostile bodies fail cleanly and cheaply."""

import struct
import subprocess
import sys
import tracemalloc
from importlib import import_module

import pytest
from kio.schema.index import api_key_map

from odradek.errors import ErrorCode, RemoteProtocolError
from odradek.protocol.api_keys import ApiKey
from odradek.protocol.codec import MAX_BODY_BYTES, decode, encode, schema


@pytest.mark.parametrize("key", list(ApiKey))
def test_api_key_names_are_those_of_the_codec(key):
    assert api_key_map[key] == key.name.lower()


@pytest.mark.parametrize("version", range(10))
def test_one_call_builds_every_version_of_a_response(version):
    m = schema(ApiKey.JOIN_GROUP, version)
    response = m.JoinGroupResponse(
        error_code=ErrorCode.NONE,
        generation_id=3,
        protocol_type="consumer",
        protocol_name="range",
        leader="a",
        skip_assignment=False,
        member_id="a",
        members=(m.JoinGroupResponseMember(member_id="a", group_instance_id=None, metadata=b"x"),),
    )
    body = encode(response)
    kio = import_module(f"kio.schema.join_group.v{version}.response")
    from kio.serial import entity_reader

    decoded, size = entity_reader(kio.JoinGroupResponse)(body, 0)
    assert size == len(body)
    assert decoded.generation_id == 3
    assert decoded.members[0].metadata == b"x"
    assert hasattr(decoded, "protocol_type") == (version >= 7)


def test_error_codes_are_written_as_their_numbers():
    m = schema(ApiKey.HEARTBEAT, 0)
    assert encode(m.HeartbeatResponse(error_code=ErrorCode.REBALANCE_IN_PROGRESS)) == struct.pack(">h", 27)


def test_a_struct_the_version_lacks_builds_none():
    assert schema(ApiKey.DELETE_TOPICS, 5).DeleteTopicState(name="x", topic_id=None) is None


@pytest.mark.parametrize(
    ("api_key", "version", "body"),
    [
        pytest.param(ApiKey.CREATE_TOPICS, 7, b"", id="empty"),
        pytest.param(ApiKey.DESCRIBE_GROUPS, 0, struct.pack(">i", 0x7FFFFFFF), id="array count lies"),
        pytest.param(ApiKey.DESCRIBE_GROUPS, 0, struct.pack(">i", -5), id="negative array count"),
        pytest.param(ApiKey.DESCRIBE_GROUPS, 5, b"\xff\xff\xff\xff\x07", id="compact array count lies"),
        pytest.param(ApiKey.DESCRIBE_GROUPS, 5, b"\xff" * 100_000, id="varint never ends"),
        pytest.param(ApiKey.DESCRIBE_GROUPS, 5, b"\x01\x00\xff\xff\xff\xff\x07", id="tag count lies"),
        pytest.param(ApiKey.DESCRIBE_GROUPS, 0, struct.pack(">ih", 1, -2), id="negative string length"),
        pytest.param(ApiKey.DESCRIBE_GROUPS, 0, struct.pack(">ih", 1, 2) + b"\xff\xfe", id="not UTF-8"),
        pytest.param(ApiKey.DESCRIBE_GROUPS, 0, struct.pack(">ih", 1, 30_000), id="string longer than the body"),
    ],
)
def test_a_malformed_body_is_refused_without_allocating_what_it_claims(api_key, version, body):
    tracemalloc.start()
    try:
        with pytest.raises(RemoteProtocolError, match=api_key.name):
            decode(api_key, version, body)
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("api_key", "version", "body", "where"),
    [
        (ApiKey.DESCRIBE_GROUPS, 0, struct.pack(">i", -1), "DescribeGroupsRequest.groups"),
        (ApiKey.DESCRIBE_GROUPS, 5, b"\0\0\0", "DescribeGroupsRequest.groups"),
        (ApiKey.CREATE_TOPICS, 2, struct.pack(">ih1sihi", 1, 1, b"t", 1, 1, -1), "CreatableTopic.assignments"),
    ],
)
def test_an_array_that_may_not_be_null_is_refused_when_it_is(api_key, version, body, where):
    with pytest.raises(RemoteProtocolError, match=where.replace(".", r"\.")):
        decode(api_key, version, body + bytes(20))


def test_an_array_that_may_be_null_is_let_through():
    assert decode(ApiKey.METADATA, 4, struct.pack(">ib", -1, 1)).topics is None
    assert decode(ApiKey.DESCRIBE_LOG_DIRS, 1, struct.pack(">i", -1)).topics is None


def test_a_body_over_the_limit_is_refused_unread():
    with pytest.raises(RemoteProtocolError, match="limit"):
        decode(ApiKey.DESCRIBE_GROUPS, 0, bytes(MAX_BODY_BYTES + 1))


def test_every_prefix_of_a_request_is_refused():
    m = schema(ApiKey.CREATE_TOPICS, 7)
    topic = m.CreatableTopic(
        name="t",
        num_partitions=1,
        replication_factor=1,
        assignments=(m.CreatableReplicaAssignment(partition_index=0, broker_ids=(1, 2)),),
        configs=(m.CreatableTopicConfig(name="retention.ms", value="5"),),
    )
    body = encode(m.CreateTopicsRequest(topics=(topic,)))
    assert decode(ApiKey.CREATE_TOPICS, 7, body).topics == (topic,)
    for length in range(len(body)):
        with pytest.raises(RemoteProtocolError):
            decode(ApiKey.CREATE_TOPICS, 7, body[:length])


def test_the_codec_does_not_load_what_only_tests_of_kio_need():
    program = """
import sys
from odradek.protocol.codec import encode, schema
m = schema(12, 4)
assert encode(m.HeartbeatResponse(error_code=__import__('odradek.errors').errors.ErrorCode.NONE))
assert 'kio.serial' in sys.modules
assert 'hypothesis' not in sys.modules
import hypothesis.strategies
"""
    subprocess.run([sys.executable, "-c", program], check=True)
