"""The real `Transport`: over `Cluster`, with metadata of its own for what has to be fresh.

What every refresh of the cluster brings along is used to notice changes (`watch`, `version`, `known_counts`); what a
decision rests on (`partition_counts`, `leaders`, `topics`) is asked for when it is needed.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final
from uuid import UUID

from odradek.client.cluster import Cluster
from odradek.client.metadata import TopicInfo
from odradek.config.client import ClientOptions
from odradek.errors import ErrorCode, KafkaError
from odradek.types import TopicPartition

__all__ = ["Link"]

_REFUSED: Final = frozenset({ErrorCode.TOPIC_AUTHORIZATION_FAILED, ErrorCode.INVALID_TOPIC_EXCEPTION})
"""Errors of a topic that waiting won't change."""


class Link:
    """See `transport.Transport`."""

    def __init__(self, cluster: Cluster, options: ClientOptions) -> None:
        self._cluster = cluster
        self._create_topics = options.flag("allow.auto.create.topics")
        self._exclude_internal = options.flag("exclude.internal.topics")
        self._watched: frozenset[str] = frozenset()
        self._watches_all = False
        self._missed: frozenset[str] = frozenset()
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
        self._missed = frozenset() if topics is None else frozenset(topics) - _existing(infos)
        return {
            name: len(info.partitions)
            for name, info in infos.items()
            if info.partitions and not (topics is None and info.internal and self._exclude_internal)
        }

    async def missing(self) -> frozenset[str]:
        """Return those of the topics last asked for by name that still don't exist; asks again for what was missing then."""
        if self._missed:
            self._missed -= _existing(await self.topics(self._missed))
        return self._missed

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
        if names is not None and not (names := sorted(set(names))):
            return {}
        found = (await self._cluster.metadata(names, allow_auto_create=create)).topics
        for name, info in found.items():
            if names is not None and info.error_code in _REFUSED:
                raise KafkaError.of(info.error_code, f"topic {name!r}: {info.error_code.text}")
        return found

    async def topic_names(self, topic_ids: Iterable[UUID]) -> Mapping[UUID, str]:
        """Ask for names."""
        return await self._cluster.topic_names(topic_ids)

    def silent(self) -> Sequence[str]:
        """Return who has not answered yet."""
        return self._cluster.native.silent()

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
        if not wanted:  # another subscription, or none
            self._missed = frozenset()


def _existing(infos: Mapping[str, TopicInfo]) -> frozenset[str]:
    return frozenset(name for name, info in infos.items() if info.error_code != ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
