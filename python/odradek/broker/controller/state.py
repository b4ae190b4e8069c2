"""Topics and partitions as the controller knows them: immutable values and their JSON in the metadata tree."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from odradek.broker.controller.names import is_internal
from odradek.broker.engine import PublishedTopic
from odradek.errors import StorageError
from odradek.metadata import tree
from odradek.metadata.store import Create, Node, Operation, Set

__all__ = ["Partition", "Topic", "creations", "elect_again", "partition_creations", "read_topics", "topic_node"]


@dataclass(frozen=True, slots=True)
class Partition:
    """One partition's place and leadership."""

    leader: int
    leader_epoch: int
    replicas: tuple[int, ...]
    isr: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic; `partitions` by number."""

    name: str
    topic_id: UUID
    partitions: tuple[Partition, ...]

    @property
    def internal(self) -> bool:
        """True for a topic that brokers made for themselves."""
        return is_internal(self.name)

    def published(self) -> PublishedTopic:
        """Return the topic as `Engine.publish_topics` takes it."""
        rows = [
            (index, part.leader, part.leader_epoch, part.replicas, part.isr, ())
            for index, part in enumerate(self.partitions)
        ]
        return (self.name, self.topic_id.bytes, self.internal, rows)

    def hosted(self, first: int = 0) -> list[tuple[int, int, int]]:
        """Return the partitions from `first` on as `Engine.host_partitions` takes them."""
        return [
            (index, part.leader_epoch, len(part.isr)) for index, part in enumerate(self.partitions[first:], start=first)
        ]


def topic_node(topic: Topic) -> bytes:
    """Return what `/brokers/topics/T` holds."""
    return tree.dump(
        {
            "version": 3,
            "topic_id": tree.topic_id_text(topic.topic_id),
            "partitions": {str(index): list(part.replicas) for index, part in enumerate(topic.partitions)},
            "adding_replicas": {},
            "removing_replicas": {},
        }
    )


def creations(topic: Topic, controller_epoch: int) -> list[Operation]:
    """Return the operations that put a new topic into the tree."""
    path = tree.topic_path(topic.name)
    return [
        Create(path, topic_node(topic)),
        Create(f"{path}/partitions"),
        *partition_creations(topic, 0, controller_epoch),
    ]


def partition_creations(topic: Topic, first: int, controller_epoch: int) -> list[Operation]:
    """Return the operations that put the partitions from `first` on into the tree."""
    operations: list[Operation] = []
    for index, part in enumerate(topic.partitions[first:], start=first):
        operations.append(Create(tree.partition_path(topic.name, index)))
        operations.append(Create(tree.state_path(topic.name, index), _state_node(part, controller_epoch)))
    return operations


def elect_again(topic: Topic, controller_epoch: int) -> tuple[Topic, list[Operation]]:
    """Return the topic under new leader epochs, and the operations that say so in the tree."""
    parts = tuple(replace(part, leader_epoch=part.leader_epoch + 1) for part in topic.partitions)
    operations: list[Operation] = [
        Set(tree.state_path(topic.name, index), _state_node(part, controller_epoch)) for index, part in enumerate(parts)
    ]
    return replace(topic, partitions=parts), operations


def _state_node(part: Partition, controller_epoch: int) -> bytes:
    return tree.dump(
        {
            "controller_epoch": controller_epoch,
            "leader": part.leader,
            "version": 1,
            "leader_epoch": part.leader_epoch,
            "isr": list(part.isr),
        }
    )


def read_topics(nodes: Sequence[tuple[str, Node]]) -> dict[str, Topic]:
    """Return the topics in a subtree of `/brokers/topics`, by name.

    Raises:
        StorageError: a node can't be read or a partition has no state; names the path.
    """
    topics: dict[str, Mapping[str, Any]] = {}
    states: dict[str, dict[str, Any]] = {}
    for path, node in nodes:
        below = path[len(tree.TOPICS) + 1 :].split("/")
        if len(below) == 1:
            topics[below[0]] = tree.parse(path, node.value)
        elif len(below) == 4 and below[3] == "state":
            states[path] = tree.parse(path, node.value)
    return {name: _read_topic(name, fields, states) for name, fields in topics.items()}


def _read_topic(name: str, fields: Mapping[str, Any], states: Mapping[str, Mapping[str, Any]]) -> Topic:
    path = tree.topic_path(name)
    try:
        partitions = []
        for index in range(len(fields["partitions"])):
            path = tree.state_path(name, index)
            state = states[path]
            replicas = tuple(fields["partitions"][str(index)])
            partitions.append(Partition(state["leader"], state["leader_epoch"], replicas, tuple(state["isr"])))
        return Topic(name, tree.uuid_of_text(fields["topic_id"]), tuple(partitions))
    except (KeyError, TypeError, ValueError) as error:
        raise StorageError(f"metadata node {path}: {type(error).__name__} {error}") from error
