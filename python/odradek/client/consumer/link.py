"""The real `Transport`: over `Cluster`, with metadata of its own for what has to be fresh.

What every refresh of the cluster brings along is used to notice changes (`watch`, `version`, `known_counts`); what a
decision rests on (`partition_counts`, `leaders`, `topics`) is asked for when it is needed.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final
from uuid import UUID

from odradek.client.cluster import ANY, CONTROL, Cluster
from odradek.client.metadata import PartitionInfo, TopicInfo, error_code
from odradek.errors import ErrorCode, KafkaError
from odradek.protocol.api_keys import ApiKey
from odradek.types import TopicPartition

__all__ = ["Link"]

_VERSIONS: Final = (1, 12)
_REFUSED: Final = frozenset({ErrorCode.TOPIC_AUTHORIZATION_FAILED, ErrorCode.INVALID_TOPIC_EXCEPTION})
"""Errors of a topic that waiting won't change."""


class Link:
    """See `transport.Transport`."""

    def __init__(self, cluster: Cluster, *, create_topics: bool, exclude_internal: bool) -> None:
        self._cluster = cluster
        self._create_topics = create_topics
        self._exclude_internal = exclude_internal
        self._watched: frozenset[str] = frozenset()
        self._watches_all = False
        self.request = cluster.request

    async def coordinator(self, group_id: str) -> int:
        """Find the group's coordinator."""
        return await self._cluster.coordinator(group_id)

    async def partition_counts(self, topics: Iterable[str] | None) -> Mapping[str, int]:
        """Ask for topics.

        Raises:
            KafkaError: a topic named may not be read, or can't exist.
        """
        infos = await self.topics(topics, create=self._create_topics)
        return {
            name: len(info.partitions)
            for name, info in infos.items()
            if info.partitions and not (topics is None and info.internal and self._exclude_internal)
        }

    async def leaders(self, partitions: Iterable[TopicPartition]) -> Mapping[TopicPartition, int]:
        """Ask for leaders."""
        wanted = set(partitions)
        infos = await self.topics({one.topic for one in wanted})
        return {
            one: info.leader
            for name, topic in infos.items()
            for info in topic.partitions
            if (one := TopicPartition(name, info.partition)) in wanted and info.leader >= 0
        }

    async def topics(self, names: Iterable[str] | None = None, *, create: bool = False) -> dict[str, TopicInfo]:
        """Return topics by name, all for None; those that don't exist have no partitions.

        Raises:
            KafkaError: a topic named may not be read, or can't exist.
        """
        asked = None if names is None else sorted(set(names))
        if asked == []:
            return {}

        def build(m: Any) -> Any:
            rows = None if asked is None else tuple(m.MetadataRequestTopic(name=one, topic_id=None) for one in asked)
            return m.MetadataRequest(
                topics=rows,
                allow_auto_topic_creation=create,
                include_cluster_authorized_operations=False,
                include_topic_authorized_operations=False,
            )

        answer = await self._cluster.request(ApiKey.METADATA, build, node=ANY, channel=CONTROL, versions=_VERSIONS)
        for broker in answer.brokers:
            self._cluster.native.learn_broker(int(broker.node_id), broker.host, broker.port)
        found = {topic.name: _info(topic) for topic in answer.topics}
        for name, info in found.items():
            if asked is not None and info.error_code in _REFUSED:
                raise KafkaError.of(info.error_code, f"topic {name!r}: {info.error_code.text}")
        return found

    def known_counts(self) -> Mapping[str, int]:
        """Return what the last refresh brought."""
        return {
            name: len(info.partitions)
            for name, info in self._cluster.known().topics.items()
            if info.partitions and not (info.internal and self._exclude_internal)
        }

    def version(self) -> int:
        """Return the number of the last refresh."""
        return int(self._cluster.native.metadata_version())

    def watch(self, topics: Iterable[str], *, all_topics: bool) -> None:
        """Have refreshes bring these topics."""
        wanted = frozenset(topics)
        native = self._cluster.native
        if wanted - self._watched:
            native.watch_topics(sorted(wanted - self._watched))
        if self._watched - wanted:
            native.unwatch_topics(sorted(self._watched - wanted))
        if all_topics != self._watches_all:
            native.watch_all(all_topics)
        self._watched, self._watches_all = wanted, all_topics


def _info(topic: Any) -> TopicInfo:
    partitions = tuple(
        PartitionInfo(
            row.partition_index,
            row.leader_id,
            getattr(row, "leader_epoch", -1),
            tuple(row.replica_nodes),
            tuple(row.isr_nodes),
            error_code(row.error_code),
        )
        for row in sorted(topic.partitions, key=lambda row: int(row.partition_index))
    )
    topic_id = getattr(topic, "topic_id", None)
    identity = topic_id if topic_id is None or isinstance(topic_id, UUID) else UUID(bytes=bytes(topic_id))
    return TopicInfo(topic.name, identity, partitions, topic.is_internal, error_code(topic.error_code))
