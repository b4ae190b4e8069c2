"""The cluster as its metadata shows it: brokers, topics, partitions. Frozen values."""

import uuid
from dataclasses import dataclass, field
from typing import Any

from odradek.errors import ErrorCode, KafkaError

__all__ = [
    "BrokerInfo",
    "ClusterInfo",
    "PartitionInfo",
    "TopicInfo",
    "answered",
    "cluster_info",
    "error_code",
    "topic_info",
]


@dataclass(frozen=True, slots=True)
class BrokerInfo:
    """Where a broker says that it can be reached."""

    node_id: int
    host: str
    port: int
    rack: str | None = None


@dataclass(frozen=True, slots=True)
class PartitionInfo:
    """One partition."""

    partition: int
    leader: int
    """Node id; -1 = none at the moment."""
    leader_epoch: int
    """-1 = not known."""
    replicas: tuple[int, ...]
    isr: tuple[int, ...]
    """Node ids of the replicas in sync."""
    error_code: ErrorCode = ErrorCode.NONE
    """LEADER_NOT_AVAILABLE and the like."""


@dataclass(frozen=True, slots=True)
class TopicInfo:
    """One topic. A topic asked for that can't be shown has its `error_code` and no partitions."""

    name: str
    topic_id: uuid.UUID | None
    partitions: tuple[PartitionInfo, ...]
    """By number, from 0."""
    internal: bool = False
    error_code: ErrorCode = ErrorCode.NONE


@dataclass(frozen=True, slots=True)
class ClusterInfo:
    """Brokers by node id and topics by name."""

    cluster_id: str | None = None
    controller_id: int = -1
    """Node id of the controller, or of a broker that passes requests on to it; -1 = not known."""
    brokers: dict[int, BrokerInfo] = field(default_factory=dict)
    topics: dict[str, TopicInfo] = field(default_factory=dict)


def error_code(code: int) -> ErrorCode:
    """Return the row of a code; one that this version does not know becomes UNKNOWN_SERVER_ERROR."""
    return KafkaError.of(code).error_code


def cluster_info(snapshot: Any) -> ClusterInfo:
    """Turn `ClusterClient.metadata()` into values."""
    _version, cluster_id, controller_id, brokers, topics = snapshot
    return ClusterInfo(
        cluster_id,
        controller_id,
        {row[0]: BrokerInfo(*row) for row in sorted(brokers)},
        {row[0]: _topic(row) for row in sorted(topics)},
    )


def _topic(row: Any) -> TopicInfo:
    name, topic_id, code, internal, partitions = row
    identity = uuid.UUID(bytes=bytes(topic_id))
    infos = tuple(
        PartitionInfo(number, leader, epoch, tuple(replicas), tuple(isr), error_code(error))
        for number, (leader, epoch, replicas, isr, error) in enumerate(partitions)
    )
    return TopicInfo(name, identity if identity.int else None, infos, internal, error_code(code))


def topic_info(topic: Any) -> TopicInfo:
    """Turn a topic of kio's Metadata response into a value."""
    partitions = sorted(topic.partitions, key=lambda row: row.partition_index)
    return TopicInfo(
        str(topic.name),
        getattr(topic, "topic_id", None),
        tuple(
            PartitionInfo(
                row.partition_index,
                int(row.leader_id),
                getattr(row, "leader_epoch", -1),
                tuple(int(node) for node in row.replica_nodes),
                tuple(int(node) for node in row.isr_nodes),
                error_code(row.error_code),
            )
            for row in partitions
        ),
        topic.is_internal,
        error_code(topic.error_code),
    )


def answered(answer: Any) -> ClusterInfo:
    """Turn kio's Metadata response into values."""
    brokers = sorted(answer.brokers, key=lambda row: row.node_id)
    return ClusterInfo(
        answer.cluster_id,
        int(answer.controller_id),
        {int(row.node_id): BrokerInfo(int(row.node_id), row.host, row.port, row.rack) for row in brokers},
        {str(topic.name): topic_info(topic) for topic in answer.topics},
    )
