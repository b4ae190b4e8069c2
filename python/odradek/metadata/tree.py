"""What lies where in the metadata tree, and the JSON each node holds.

Paths and field names are those Kafka had in ZooKeeper, so that people and tools that know that tree know this one.

    /cluster/id                               {"version", "id"}
    /controller                               ephemeral {"version", "brokerid", "timestamp"}
    /controller_epoch                         a number
    /brokers/ids/N                            ephemeral {"version", "host", "port", "endpoints", "rack", "timestamp"}
    /brokers/topics/T                         {"version", "topic_id", "partitions": {"0": [1]}, ...}
    /brokers/topics/T/partitions/P/state      {"version", "controller_epoch", "leader", "leader_epoch", "isr"}
    /config/topics/T, /config/brokers/N       {"version", "config": {name: text}}; broker <default> = all brokers
    /admin/delete_topics/T                    stands from the deletion of a topic until its folders are renamed
    /latest_producer_id_block                 {"version", "broker", "block_start", "block_end"}
"""

import json
from typing import TYPE_CHECKING, Any, Final

from odradek.errors import StorageError

if TYPE_CHECKING:
    from uuid import UUID

__all__ = [
    "BASE_PATHS",
    "BROKER_CONFIGS",
    "BROKER_IDS",
    "CLUSTER_ID",
    "CONTROLLER",
    "CONTROLLER_EPOCH",
    "DELETIONS",
    "PRODUCER_ID_BLOCK",
    "TOPICS",
    "TOPIC_CONFIGS",
    "broker_config_path",
    "broker_path",
    "deletion_path",
    "dump",
    "parse",
    "partition_path",
    "state_path",
    "topic_config_path",
    "topic_id_text",
    "topic_path",
    "uuid_of_text",
]

CLUSTER_ID: Final = "/cluster/id"
CONTROLLER: Final = "/controller"
CONTROLLER_EPOCH: Final = "/controller_epoch"
BROKER_IDS: Final = "/brokers/ids"
TOPICS: Final = "/brokers/topics"
TOPIC_CONFIGS: Final = "/config/topics"
BROKER_CONFIGS: Final = "/config/brokers"
DELETIONS: Final = "/admin/delete_topics"
PRODUCER_ID_BLOCK: Final = "/latest_producer_id_block"

BASE_PATHS: Final = (
    "/cluster",
    "/brokers",
    BROKER_IDS,
    TOPICS,
    "/config",
    TOPIC_CONFIGS,
    BROKER_CONFIGS,
    "/config/users",
    "/config/clients",
    "/admin",
    DELETIONS,
)
"""Nodes without a value of their own, parents first; made at a store's first start."""


def broker_path(node_id: int) -> str:
    """Return where a live broker stands."""
    return f"{BROKER_IDS}/{node_id}"


def topic_path(topic: str) -> str:
    """Return where a topic stands."""
    return f"{TOPICS}/{topic}"


def partition_path(topic: str, partition: int) -> str:
    """Return the parent of a partition's state."""
    return f"{TOPICS}/{topic}/partitions/{partition}"


def state_path(topic: str, partition: int) -> str:
    """Return where a partition's leader and in-sync replicas stand."""
    return f"{partition_path(topic, partition)}/state"


def topic_config_path(topic: str) -> str:
    """Return where a topic's own settings stand."""
    return f"{TOPIC_CONFIGS}/{topic}"


def broker_config_path(node_id: str) -> str:
    """Return where a broker's run-time settings stand; an empty id means the default of all brokers."""
    return f"{BROKER_CONFIGS}/{node_id or '<default>'}"


def dump(value: dict[str, Any]) -> bytes:
    """Return a node's JSON."""
    return json.dumps(value, separators=(",", ":")).encode()


def parse(path: str, value: bytes) -> dict[str, Any]:
    """Return a node's JSON object.

    Raises:
        StorageError: it isn't one; names the path.
    """
    try:
        parsed = json.loads(value)
    except ValueError as error:
        raise StorageError(f"metadata node {path}: {error}") from error
    if not isinstance(parsed, dict):
        raise StorageError(f"metadata node {path}: not a JSON object")
    return parsed


def deletion_path(topic: str) -> str:
    """Return what stands while a topic's files are being taken away."""
    return f"{DELETIONS}/{topic}"


def topic_id_text(topic_id: "UUID") -> str:
    """Return an id in Kafka's form: URL-safe base64 without padding."""
    from base64 import urlsafe_b64encode  # noqa: PLC0415 - keeps the import of this module light

    return urlsafe_b64encode(topic_id.bytes).rstrip(b"=").decode()


def uuid_of_text(text: str) -> "UUID":
    """Return the id that `topic_id_text` wrote.

    Raises:
        ValueError: it isn't one.
    """
    from base64 import urlsafe_b64decode  # noqa: PLC0415
    from uuid import UUID  # noqa: PLC0415

    return UUID(bytes=urlsafe_b64decode(text + "=="))
