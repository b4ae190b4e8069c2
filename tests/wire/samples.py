"""One harmless, valid request of every API as a dictionary: what the lies and the fuzz are made from."""

from __future__ import annotations

from typing import Any

from support import batches, topics

GROUP = "hostile-group"
PROTOCOL = {"name": "range", "metadata": b"\x00\x01\x00\x00\x00\x00\xff\xff\xff\xff"}
TOPIC = 2


def requests(topic: str, topic_id: Any) -> dict[str, dict[str, Any]]:
    """Return API -> request fields for every version. They name the given topic and one group, and change nothing that matters."""
    config = {"name": "retention.ms", "value": "604800000"}
    resource = {"resource_type": TOPIC, "resource_name": topic}
    lookup = {**resource, "configuration_keys": ["retention.ms"]}
    replaced = {**resource, "configs": [config]}
    changed = {**resource, "configs": [{**config, "config_operation": 0}]}
    identity = {"group_id": GROUP, "member_id": "m"}
    member = {**identity, "generation_id": 1, "group_instance_id": None}
    offset = {"partition_index": 0, "committed_offset": 1, "committed_leader_epoch": -1, "committed_metadata": "x"}
    asked = {"name": topic, "topic_id": topic_id, "partition_indexes": [0]}
    new_topic = {
        "name": "not..made",
        "num_partitions": 1,
        "replication_factor": 1,
        "assignments": [],
        "configs": [config],
    }
    timeouts = {"session_timeout": 6_000, "rebalance_timeout": 6_000}
    join = {
        **identity,
        **timeouts,
        "group_instance_id": None,
        "protocol_type": "consumer",
        "protocols": [PROTOCOL],
        "reason": "x",
    }
    epoch = {"partition": 0, "current_leader_epoch": -1, "leader_epoch": 0}
    deletion = {"group_id": GROUP, "topics": [{"name": topic, "partitions": [{"partition_index": 0}]}]}
    return {
        "produce": topics.produce_fields(topic, batches.batch([b"x"]), topic_id=topic_id),
        "fetch": topics.fetch_fields(topic, 0, topic_id=topic_id),
        "list_offsets": {
            "replica_id": -1,
            "isolation_level": 0,
            "timeout": 1_000,
            "topics": [{"name": topic, "partitions": [{"partition_index": 0, "timestamp": -1}]}],
        },
        "metadata": topics.metadata_fields([topic]),
        "offset_commit": {
            "group_id": GROUP,
            "generation_id_or_member_epoch": -1,
            "member_id": "",
            "topics": [{"name": topic, "topic_id": topic_id, "partitions": [offset]}],
        },
        "offset_fetch": {"group_id": GROUP, "topics": [asked], "groups": [{"group_id": GROUP, "topics": [asked]}]},
        "find_coordinator": {"key": GROUP, "key_type": 0, "coordinator_keys": [GROUP]},
        "join_group": join,
        "heartbeat": member,
        "leave_group": {**identity, "members": [{"member_id": "m", "group_instance_id": None, "reason": "x"}]},
        "sync_group": {
            **member,
            "protocol_type": "consumer",
            "protocol_name": "range",
            "assignments": [{"member_id": "m", "assignment": b"x"}],
        },
        "describe_groups": {"groups": [GROUP], "include_authorized_operations": False},
        "list_groups": {"states_filter": ["Stable"], "types_filter": ["classic"]},
        "api_versions": {"client_software_name": "hostile", "client_software_version": "1"},
        "create_topics": {"topics": [new_topic], "timeout": 1_000, "validate_only": True},
        "delete_topics": {
            "topic_names": ["not..made"],
            "topics": [{"name": "not..made", "topic_id": None}],
            "timeout": 1_000,
        },
        "delete_records": {
            "topics": [{"name": "not..made", "partitions": [{"partition_index": 0, "offset": 0}]}],
            "timeout": 1_000,
        },
        "init_producer_id": {"transactional_id": None, "transaction_timeout": 1_000},
        "offset_for_leader_epoch": {"replica_id": -1, "topics": [{"topic": topic, "partitions": [epoch]}]},
        "describe_configs": {"resources": [lookup], "include_synonyms": True, "include_documentation": True},
        "alter_configs": {"resources": [replaced], "validate_only": True},
        "incremental_alter_configs": {"resources": [changed], "validate_only": True},
        "describe_log_dirs": {"topics": [{"topic": topic, "partitions": [0]}]},
        "create_partitions": {
            "topics": [{"name": "not..made", "count": 2, "assignments": [{"broker_ids": [1]}]}],
            "timeout": 1_000,
            "validate_only": True,
        },
        "delete_groups": {"groups_names": [GROUP]},
        "offset_delete": deletion,
        "describe_cluster": {
            "include_cluster_authorized_operations": False,
            "include_fenced_brokers": False,
            "endpoint_type": 1,
        },
        "consumer_group_heartbeat": {
            **identity,
            "member_epoch": 1,
            "instance_id": None,
            "rack_id": "r",
            "rebalance_timeout": 6_000,
            "subscribed_topic_names": [topic],
            "subscribed_topic_regex": "not-there.*",
            "server_assignor": "uniform",
            "topic_partitions": [{"topic_id": topic_id, "partitions": [0]}],
        },
        "consumer_group_describe": {"group_ids": [GROUP], "include_authorized_operations": False},
        "list_config_resources": {"resource_types": [TOPIC]},
        "describe_topic_partitions": {"topics": [{"name": topic}], "response_partition_limit": 10},
    }
