"""One round trip for each API that shows or changes topics, configs and the cluster; each is run at every advertised version."""

from __future__ import annotations

from kio.schema.errors import ErrorCode
from support import topics
from world import World

TOPIC, BROKER = 2, 4
SET, DELETE = 0, 1


def api_versions(world: World, version: int) -> None:
    response = world.call("api_versions", version, {"client_software_name": "wire", "client_software_version": "1"})
    assert response.error_code is ErrorCode.none
    assert {row.api_key: (row.min_version, row.max_version) for row in response.api_keys} == world.ranges


def create_topics(world: World, version: int) -> None:
    name = world.name("created")
    config = {"name": "retention.ms", "value": "1234"}
    topic = {"name": name, "num_partitions": 3, "replication_factor": 1, "assignments": [], "configs": [config]}
    only_checked = world.call("create_topics", version, {"topics": [topic], "timeout": 5_000, "validate_only": True})
    assert only_checked.topics[0].error_code is ErrorCode.none
    assert topics.describe_topic(world.wire, name).error_code is ErrorCode.unknown_topic_or_partition
    row = world.call("create_topics", version, {"topics": [topic], "timeout": 5_000}).topics[0]
    assert (row.name, row.error_code) == (name, ErrorCode.none)
    if version >= 5:
        assert (row.num_partitions, row.replication_factor) == (3, 1)
        assert {entry.name: entry.value for entry in row.configs}["retention.ms"] == "1234"
    topics.until(lambda: topics.describe_topic(world.wire, name).error_code is ErrorCode.none)
    if version >= 7:
        assert row.topic_id == world.topic_id(name)
    again = world.call("create_topics", version, {"topics": [topic], "timeout": 5_000}).topics[0]
    assert again.error_code is ErrorCode.topic_already_exists


def delete_topics(world: World, version: int) -> None:
    name = world.new_topic()
    fields = {"topic_names": [name], "topics": [{"name": name, "topic_id": None}], "timeout": 5_000}
    row = world.call("delete_topics", version, fields).responses[0]
    assert (row.name, row.error_code) == (name, ErrorCode.none)
    topics.until(lambda: topics.describe_topic(world.wire, name).error_code is ErrorCode.unknown_topic_or_partition)
    again = world.call("delete_topics", version, fields).responses[0]
    assert again.error_code is ErrorCode.unknown_topic_or_partition
    if version >= 6:
        name = world.new_topic()
        by_id = {"topics": [{"name": None, "topic_id": world.topic_id(name)}], "timeout": 5_000}
        row = world.call("delete_topics", version, by_id).responses[0]
        assert (row.name, row.error_code) == (name, ErrorCode.none)


def create_partitions(world: World, version: int) -> None:
    name = world.new_topic(partitions=2)
    for count, expected in ((4, ErrorCode.none), (4, ErrorCode.invalid_partitions), (3, ErrorCode.invalid_partitions)):
        row = {"name": name, "count": count, "assignments": None}
        response = world.call("create_partitions", version, {"topics": [row], "timeout": 5_000, "validate_only": False})
        assert [(row.name, row.error_code) for row in response.results] == [(name, expected)]
        topics.until(lambda: len(topics.describe_topic(world.wire, name).partitions) == 4)


def _resource(name: str, **more: object) -> dict[str, object]:
    return {"resource_type": TOPIC, "resource_name": name, **more}


def _value_of(world: World, topic: str, key: str) -> str | None:
    fields = {"resources": [_resource(topic, configuration_keys=[key])]}
    (row,) = world.wire.call("describe_configs", 2, fields | {"include_synonyms": False}).results[0].configs
    return str(row.value)


def describe_configs(world: World, version: int) -> None:
    resources = [_resource(world.seed, configuration_keys=["retention.ms", "cleanup.policy"])]
    fields = {"resources": resources, "include_synonyms": True, "include_documentation": True}
    (result,) = world.call("describe_configs", version, fields).results
    assert (result.error_code, result.resource_type, result.resource_name) == (ErrorCode.none, TOPIC, world.seed)
    rows = {row.name: row for row in result.configs}
    assert {name: row.value for name, row in rows.items()} == {"retention.ms": "604800000", "cleanup.policy": "delete"}
    assert rows["retention.ms"].config_source == 5
    assert not rows["retention.ms"].read_only
    assert not rows["retention.ms"].is_sensitive
    assert [synonym.name for synonym in rows["cleanup.policy"].synonyms] == ["log.cleanup.policy"]
    if version >= 3:
        assert (rows["retention.ms"].config_type, rows["cleanup.policy"].config_type) == (5, 7)
        assert rows["retention.ms"].documentation
    everything = {"resources": [_resource(world.seed, configuration_keys=None)]}
    (result,) = world.call("describe_configs", version, everything).results
    assert len(result.configs) > 20
    missing = {"resources": [_resource(world.name("missing"), configuration_keys=None)]}
    (result,) = world.call("describe_configs", version, missing).results
    assert result.error_code is ErrorCode.unknown_topic_or_partition


def alter_configs(world: World, version: int) -> None:
    name = world.new_topic()
    rows = [{"name": "retention.ms", "value": "5555"}]
    for only_check, after in ((True, "604800000"), (False, "5555")):
        fields = {"resources": [_resource(name, configs=rows)], "validate_only": only_check}
        (row,) = world.call("alter_configs", version, fields).responses
        assert (row.error_code, row.resource_name) == (ErrorCode.none, name)
        topics.until(lambda expected=after: _value_of(world, name, "retention.ms") == expected)
    bad = {"resources": [_resource(name, configs=[{"name": "retention.ms", "value": "soon"}])], "validate_only": False}
    assert world.call("alter_configs", version, bad).responses[0].error_code is ErrorCode.invalid_config


def incremental_alter_configs(world: World, version: int) -> None:
    name = world.new_topic()
    for operation, value, after in ((SET, "7777", "7777"), (DELETE, None, "604800000")):
        rows = [{"name": "retention.ms", "config_operation": operation, "value": value}]
        fields = {"resources": [_resource(name, configs=rows)], "validate_only": False}
        (row,) = world.call("incremental_alter_configs", version, fields).responses
        assert (row.error_code, row.resource_name) == (ErrorCode.none, name)
        topics.until(lambda expected=after: _value_of(world, name, "retention.ms") == expected)
    rows = [{"name": "no.such.config", "config_operation": SET, "value": "1"}]
    bad = {"resources": [_resource(name, configs=rows)], "validate_only": False}
    assert world.call("incremental_alter_configs", version, bad).responses[0].error_code is ErrorCode.invalid_config


def list_config_resources(world: World, version: int) -> None:
    response = world.call("list_config_resources", version, {"resource_types": [TOPIC, BROKER]})
    assert response.error_code is ErrorCode.none
    if version >= 1:
        found = {(row.resource_type, row.resource_name) for row in response.config_resources}
        assert (TOPIC, world.seed) in found
        assert {kind for kind, _ in found} == {TOPIC, BROKER}


def describe_log_dirs(world: World, version: int) -> None:
    asked = {"topics": [{"topic": world.seed, "partitions": [0, 1]}]}
    response = world.call("describe_log_dirs", version, asked)
    (result,) = response.results
    assert result.error_code is ErrorCode.none
    (row,) = [row for row in result.topics if row.name == world.seed]
    sizes = {part.partition_index: part.partition_size for part in row.partitions}
    assert sizes.keys() == {0, 1}
    assert sizes[0] > 0
    assert sizes[1] == 0
    assert not any(part.is_future_key for part in row.partitions)
    if version >= 4:
        assert result.total_bytes >= result.usable_bytes > 0


def describe_cluster(world: World, version: int) -> None:
    fields = {"include_cluster_authorized_operations": False, "include_fenced_brokers": False, "endpoint_type": 1}
    response = world.call("describe_cluster", version, fields)
    assert response.error_code is ErrorCode.none
    (broker,) = response.brokers
    assert f"{broker.host}:{broker.port}" == world.bootstrap
    assert response.controller_id == broker.broker_id
    assert response.cluster_id == world.wire.call("metadata", 9, topics.metadata_fields([])).cluster_id


def describe_topic_partitions(world: World, version: int) -> None:
    missing = world.name("missing")
    asked = [{"name": name} for name in sorted([world.seed, missing])]
    response = world.call("describe_topic_partitions", version, {"topics": asked, "response_partition_limit": 2000})
    rows = {row.name: row for row in response.topics}
    assert rows[missing].error_code is ErrorCode.unknown_topic_or_partition
    assert (rows[world.seed].error_code, rows[world.seed].topic_id) == (ErrorCode.none, world.seed_id)
    assert [part.partition_index for part in rows[world.seed].partitions] == [0, 1]
    assert response.next_cursor is None
    one = world.call(
        "describe_topic_partitions", version, {"topics": [{"name": world.seed}], "response_partition_limit": 1}
    )
    assert [part.partition_index for part in one.topics[0].partitions] == [0]
    assert (one.next_cursor.topic_name, one.next_cursor.partition_index) == (world.seed, 1)
    cursor = {"topic_name": world.seed, "partition_index": 1}
    fields = {"topics": [{"name": world.seed}], "response_partition_limit": 1, "cursor": cursor}
    rest = world.call("describe_topic_partitions", version, fields)
    assert [part.partition_index for part in rest.topics[0].partitions] == [1]


CASES = {
    case.__name__: case
    for case in (
        api_versions,
        create_topics,
        delete_topics,
        create_partitions,
        describe_configs,
        alter_configs,
        incremental_alter_configs,
        list_config_resources,
        describe_log_dirs,
        describe_cluster,
        describe_topic_partitions,
    )
}
