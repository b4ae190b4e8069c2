"""Well-formed requests for things that can't be: each gets the error code that Kafka gives, and changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from kio.schema.errors import ErrorCode
from support import batches, topics
from support.canary import Canary
from support.wire import Wire

pytestmark = pytest.mark.brokers("odradek", "kafka")

GOOD = batches.batch([b"a"])
BAD_NAMES = {
    "empty": "",
    "dot": ".",
    "dotdot": "..",
    "slash": "a/b",
    "backslash": "a\\b",
    "space": "a b",
    "null_byte": "a\0b",
    "newline": "a\nb",
    "unicode": "größe",
    "parent": "../../etc/passwd",
    "colon": "a:b",
    "too_long": "x" * 250,
}


def create(wire: Wire, name: str, **changed: Any) -> Any:
    """Try to create a topic and return its row of the answer."""
    topic = {"name": name, "num_partitions": 1, "replication_factor": 1, "assignments": [], "configs": [], **changed}
    return wire.call("create_topics", 5, {"topics": [topic], "timeout": 10_000, "validate_only": False}).topics[0]


def exists(wire: Wire, name: str) -> bool:
    """Tell whether any topic has this name."""
    everything = wire.call("metadata", topics.METADATA, topics.metadata_fields(None))
    return name in {row.name for row in everything.topics}


def test_unknown_topic_and_partition_get_error_3_everywhere(
    wire: Wire, topic: str, unique: Callable[[str], str], canary: Canary
) -> None:
    for name, partition in ((unique("missing"), 0), (topic, 1), (topic, -1), (topic, 2**31 - 1)):
        unknown = ErrorCode.unknown_topic_or_partition
        assert topics.try_produce(wire, name, GOOD, partition=partition).error_code is unknown
        assert topics.try_fetch(wire, name, 0, partition=partition).error_code is unknown
        assert topics.list_offset_row(wire, name, topics.LATEST, partition=partition).error_code is unknown
        row = {"partition_index": partition, "offset": 0}
        fields = {"topics": [{"name": name, "partitions": [row]}], "timeout": 10_000}
        assert wire.call("delete_records", 1, fields).topics[0].partitions[0].error_code is unknown
        asked = {"partition": partition, "current_leader_epoch": -1, "leader_epoch": 0}
        answer = wire.call(
            "offset_for_leader_epoch", 3, {"replica_id": -1, "topics": [{"topic": name, "partitions": [asked]}]}
        )
        assert answer.topics[0].partitions[0].error_code is unknown


def test_unknown_topic_id_gets_error_100(wire: Wire, canary: Canary) -> None:
    stranger = b"\x11" * 16
    fields = topics.fetch_fields("", 0) | {
        "topics": [{"topic_id": stranger, "partitions": topics.fetch_fields("", 0)["topics"][0]["partitions"]}]
    }
    response = wire.call("fetch", 13, fields)
    assert response.responses[0].partitions[0].error_code is ErrorCode.unknown_topic_id
    response = wire.call(
        "produce",
        13,
        topics.produce_fields("", GOOD)
        | {"topic_data": [{"topic_id": stranger, "partition_data": [{"index": 0, "records": GOOD}]}]},
    )
    assert response.responses[0].partition_responses[0].error_code is ErrorCode.unknown_topic_id
    asked = {"topics": [{"topic_id": stranger, "name": None}], "timeout": 10_000}
    assert wire.call("delete_topics", 6, asked).responses[0].error_code is ErrorCode.unknown_topic_id


@pytest.mark.parametrize("offset", [2, 99, 2**63 - 1, -1, -2, -(2**63)])
def test_fetch_outside_the_log_is_out_of_range(offset: int, wire: Wire, topic: str, canary: Canary) -> None:
    topics.produce(wire, topic, GOOD)
    assert topics.try_fetch(wire, topic, offset).error_code is ErrorCode.offset_out_of_range
    at_end = topics.try_fetch(wire, topic, 1)
    assert (at_end.error_code, at_end.high_watermark) == (ErrorCode.none, 1)


def test_fetch_before_the_log_start_is_out_of_range(wire: Wire, topic: str, canary: Canary) -> None:
    topics.produce(wire, topic, batches.batch([b"a", b"b", b"c"]))
    row = {"partition_index": 0, "offset": 2}
    wire.call("delete_records", 1, {"topics": [{"name": topic, "partitions": [row]}], "timeout": 10_000})
    assert topics.try_fetch(wire, topic, 1).error_code is ErrorCode.offset_out_of_range
    row = topics.try_fetch(wire, topic, 2)
    assert (row.error_code, row.log_start_offset) == (ErrorCode.none, 2)


@pytest.mark.parametrize("offset", [4, -2, -(2**63)])
def test_delete_records_outside_the_log_is_out_of_range(offset: int, wire: Wire, topic: str, canary: Canary) -> None:
    topics.produce(wire, topic, batches.batch([b"a", b"b", b"c"]))
    row = {"partition_index": 0, "offset": offset}
    answer = wire.call("delete_records", 1, {"topics": [{"name": topic, "partitions": [row]}], "timeout": 10_000})
    assert answer.topics[0].partitions[0].error_code is ErrorCode.offset_out_of_range
    assert len(topics.read_all(wire, topic)) == 3


@pytest.mark.parametrize("epoch", [1, 2**31 - 1])
def test_leader_epoch_from_the_future_is_refused(epoch: int, wire: Wire, topic: str, canary: Canary) -> None:
    fields = topics.fetch_fields(topic, 0)
    fields["topics"][0]["partitions"][0]["current_leader_epoch"] = epoch
    row = wire.call("fetch", 11, fields).responses[0].partitions[0]
    assert row.error_code is ErrorCode.unknown_leader_epoch


def test_fetch_session_that_is_not_known_is_refused(wire: Wire, topic: str, canary: Canary) -> None:
    response = wire.call("fetch", 11, topics.fetch_fields(topic, 0) | {"session_id": 123_456, "session_epoch": 1})
    assert response.error_code is ErrorCode.fetch_session_id_not_found


@pytest.mark.parametrize("case", BAD_NAMES)
def test_invalid_topic_name_is_refused(case: str, wire: Wire, canary: Canary) -> None:
    name = BAD_NAMES[case]
    assert create(wire, name).error_code is ErrorCode.invalid_topic_exception
    if name:
        asked = topics.metadata_fields([name], auto_create=True)
        assert wire.call("metadata", 9, asked).topics[0].error_code is ErrorCode.invalid_topic_exception
    assert not exists(wire, name)


def test_longest_topic_name_is_taken(wire: Wire, canary: Canary) -> None:
    name = "x" * 249
    row = create(wire, name)
    assert row.error_code in {ErrorCode.none, ErrorCode.topic_already_exists}
    topics.until(lambda: topics.describe_topic(wire, name).error_code is ErrorCode.none)
    assert topics.try_produce(wire, name, GOOD).error_code is ErrorCode.none


def test_name_that_collides_in_metrics_is_refused(wire: Wire, unique: Callable[[str], str], canary: Canary) -> None:
    name = unique("one.two")
    assert create(wire, name).error_code is ErrorCode.none
    topics.until(lambda: exists(wire, name))
    assert create(wire, name.replace(".", "_")).error_code is ErrorCode.invalid_topic_exception
    assert create(wire, name).error_code is ErrorCode.topic_already_exists


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"num_partitions": 0}, ErrorCode.invalid_partitions),
        ({"num_partitions": -2}, ErrorCode.invalid_partitions),
        ({"replication_factor": 0}, ErrorCode.invalid_replication_factor),
        ({"replication_factor": -2}, ErrorCode.invalid_replication_factor),
        ({"replication_factor": 4}, ErrorCode.invalid_replication_factor),
        ({"replication_factor": 0x7FFF}, ErrorCode.invalid_replication_factor),
        ({"configs": [{"name": "no.such.config", "value": "1"}]}, ErrorCode.invalid_config),
        ({"configs": [{"name": "retention.ms", "value": "soon"}]}, ErrorCode.invalid_config),
        ({"configs": [{"name": "retention.ms", "value": "-2"}]}, ErrorCode.invalid_config),
        ({"configs": [{"name": "segment.bytes", "value": "1"}]}, ErrorCode.invalid_config),
        ({"configs": [{"name": "cleanup.policy", "value": "shred"}]}, ErrorCode.invalid_config),
        ({"configs": [{"name": "compression.type", "value": "brotli"}]}, ErrorCode.invalid_config),
        ({"configs": [{"name": "max.message.bytes", "value": "-1"}]}, ErrorCode.invalid_config),
        ({"configs": [{"name": "min.insync.replicas", "value": "0"}]}, ErrorCode.invalid_config),
        ({"configs": [{"name": "message.timestamp.type", "value": "Never"}]}, ErrorCode.invalid_config),
        ({"configs": [{"name": "retention.ms", "value": None}]}, ErrorCode.invalid_config),
        (
            {
                "num_partitions": -1,
                "replication_factor": -1,
                "assignments": [{"partition_index": 1, "broker_ids": [1]}],
            },
            ErrorCode.invalid_replica_assignment,
        ),
        ({"assignments": [{"partition_index": 0, "broker_ids": [1]}]}, ErrorCode.invalid_request),
        (
            {
                "num_partitions": -1,
                "replication_factor": -1,
                "assignments": [{"partition_index": 0, "broker_ids": [98, 98]}],
            },
            ErrorCode.invalid_replica_assignment,
        ),
        (
            {"num_partitions": -1, "replication_factor": -1, "assignments": [{"partition_index": 0, "broker_ids": []}]},
            ErrorCode.invalid_replica_assignment,
        ),
        (
            {
                "num_partitions": -1,
                "replication_factor": -1,
                "assignments": [{"partition_index": 0, "broker_ids": [98]}],
            },
            ErrorCode.invalid_replica_assignment,
        ),
    ],
)
def test_impossible_topic_is_refused_and_not_made(
    changed: dict[str, Any], expected: ErrorCode, wire: Wire, unique: Callable[[str], str], canary: Canary
) -> None:
    name = unique("impossible")
    row = create(wire, name, **changed)
    assert row.error_code is expected, row
    assert row.error_message
    assert not exists(wire, name)


def test_absurd_number_of_partitions_is_refused(wire: Wire, unique: Callable[[str], str], canary: Canary) -> None:
    name = unique("huge")
    row = create(wire, name, num_partitions=2**31 - 1)
    assert row.error_code is not ErrorCode.none
    assert not exists(wire, name)


@pytest.mark.brokers("odradek")  # Apache Kafka lets a client make the one of transactions as long as there are none
def test_internal_topic_can_not_be_made_by_a_client(wire: Wire, canary: Canary) -> None:
    for name in ("__consumer_offsets", "__transaction_state"):
        row = create(wire, name)
        assert row.error_code in {
            ErrorCode.invalid_request,
            ErrorCode.topic_already_exists,
            ErrorCode.invalid_topic_exception,
        }


def test_same_topic_twice_in_one_request_is_refused(wire: Wire, unique: Callable[[str], str], canary: Canary) -> None:
    name = unique("twice")
    topic = {"name": name, "num_partitions": 1, "replication_factor": 1, "assignments": [], "configs": []}
    response = wire.call("create_topics", 5, {"topics": [topic, topic], "timeout": 10_000, "validate_only": False})
    assert {row.error_code for row in response.topics} == {ErrorCode.invalid_request}
    assert not exists(wire, name)


@pytest.mark.parametrize("count", [2, 1, 0, -1, 3])
def test_partitions_can_not_shrink_or_stay(
    count: int, wire: Wire, make_topic: Callable[..., str], canary: Canary
) -> None:
    name = make_topic(partitions=3)
    topics.produce(wire, name, GOOD, partition=2)
    fields = {
        "topics": [{"name": name, "count": count, "assignments": None}],
        "timeout": 10_000,
        "validate_only": False,
    }
    row = wire.call("create_partitions", 2, fields).results[0]
    assert row.error_code is ErrorCode.invalid_partitions
    assert row.error_message
    assert len(topics.describe_topic(wire, name).partitions) == 3
    assert len(topics.read_all(wire, name, partition=2)) == 1


def test_session_timeout_out_of_bounds_is_refused(wire: Wire, unique: Callable[[str], str], canary: Canary) -> None:
    group = unique("group")
    topics.until(lambda: wire.call("find_coordinator", 2, {"key": group, "key_type": 0}).error_code is ErrorCode.none)
    for timeout in (0, 10, 2**31 - 1, -1):
        fields = {
            "group_id": group,
            "session_timeout": timeout,
            "rebalance_timeout": 10_000,
            "member_id": "",
            "protocol_type": "consumer",
            "protocols": [{"name": "range", "metadata": b""}],
        }
        assert wire.call("join_group", 5, fields).error_code is ErrorCode.invalid_session_timeout


@pytest.mark.parametrize(("api", "version"), [("join_group", 5), ("sync_group", 3), ("heartbeat", 3)])
def test_empty_group_id_is_refused(api: str, version: int, wire: Wire, canary: Canary) -> None:
    fields: dict[str, Any] = {"group_id": "", "member_id": "m", "generation_id": 1}
    if api == "join_group":
        fields = fields | {
            "session_timeout": 10_000,
            "rebalance_timeout": 10_000,
            "protocol_type": "consumer",
            "protocols": [],
        }
        del fields["generation_id"]
    if api == "sync_group":
        fields["assignments"] = []
    assert wire.call(api, version, fields).error_code is ErrorCode.invalid_group_id


def test_offset_commit_with_stale_membership_is_refused(
    wire: Wire, topic: str, unique: Callable[[str], str], canary: Canary
) -> None:
    group = unique("group")
    topics.until(lambda: wire.call("find_coordinator", 2, {"key": group, "key_type": 0}).error_code is ErrorCode.none)
    row = {"partition_index": 0, "committed_offset": 1, "committed_metadata": ""}
    fields = {
        "group_id": group,
        "generation_id_or_member_epoch": 4,
        "member_id": "ghost",
        "topics": [{"name": topic, "partitions": [row]}],
    }
    answer = wire.call("offset_commit", 7, fields).topics[0].partitions[0]
    assert answer.error_code in {ErrorCode.illegal_generation, ErrorCode.unknown_member_id}


def test_commit_metadata_over_its_limit_is_refused(
    wire: Wire, topic: str, unique: Callable[[str], str], canary: Canary
) -> None:
    group = unique("group")
    topics.until(lambda: wire.call("find_coordinator", 2, {"key": group, "key_type": 0}).error_code is ErrorCode.none)
    for size, expected in ((4_096, ErrorCode.none), (4_097, ErrorCode.offset_metadata_too_large)):
        row = {"partition_index": 0, "committed_offset": 1, "committed_metadata": "m" * size}
        fields = {
            "group_id": group,
            "generation_id_or_member_epoch": -1,
            "member_id": "",
            "topics": [{"name": topic, "partitions": [row]}],
        }
        assert wire.call("offset_commit", 7, fields).topics[0].partitions[0].error_code is expected


@pytest.mark.parametrize("resource_type", [0, 3, 99, -1])
def test_config_of_an_unknown_kind_of_resource_is_refused(resource_type: int, wire: Wire, canary: Canary) -> None:
    resource = {"resource_type": resource_type, "resource_name": "x", "configuration_keys": None}
    row = wire.call("describe_configs", 2, {"resources": [resource], "include_synonyms": False}).results[0]
    assert row.error_code is ErrorCode.invalid_request


def test_wrong_config_change_leaves_the_old_value(wire: Wire, make_topic: Callable[..., str], canary: Canary) -> None:
    name = make_topic(retention_ms=60_000)
    rows = [
        {"name": "retention.ms", "config_operation": 0, "value": "1000"},
        {"name": "segment.bytes", "config_operation": 0, "value": "lots"},
    ]
    resource = {"resource_type": 2, "resource_name": name}
    fields = {"resources": [{**resource, "configs": rows}], "validate_only": False}
    answer = wire.call("incremental_alter_configs", 1, fields).responses[0]
    assert answer.error_code is ErrorCode.invalid_config
    asked = {"resources": [{**resource, "configuration_keys": ["retention.ms"]}], "include_synonyms": False}
    assert wire.call("describe_configs", 2, asked).results[0].configs[0].value == "60000"


def test_unsupported_list_offsets_timestamp_is_refused(wire: Wire, topic: str, canary: Canary) -> None:
    row = topics.list_offset_row(wire, topic, -99)
    assert row.error_code is not ErrorCode.none or row.offset == -1
