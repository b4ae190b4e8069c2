"""Topics: create, delete, list, describe, grow; and deleting records."""

import uuid
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

from odradek.client.admin.calls import Calls
from odradek.client.admin.outcomes import refusal, settle, settle_rows
from odradek.client.admin.values import CreatedTopic, NewPartitions, NewTopic
from odradek.client.arguments import MAX_INT, is_number, mapping, partition_of, several, text
from odradek.client.metadata import TopicInfo, topic_info
from odradek.errors import ConfigError, ErrorCode, KafkaError, UnsupportedVersionError
from odradek.protocol.api_keys import ApiKey
from odradek.protocol.codec import Schema
from odradek.types import TopicPartition

__all__ = ["TopicCalls"]


class TopicCalls(Calls):
    """Topics and records."""

    async def create_topics(
        self,
        topics: NewTopic | str | Iterable[NewTopic | str],
        *,
        validate_only: bool = False,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> dict[str, CreatedTopic]:
        """Make topics.

        Args:
            topics: one or several; a name alone is a topic with the broker's defaults.
            validate_only: only check whether it would work.
            timeout: seconds; None = `default_api_timeout_ms`.

        Returns:
            Each topic as it was made, by name.

        Raises:
            TopicAlreadyExistsError, InvalidPartitionsError, InvalidReplicationFactorError, InvalidConfigError,
            InvalidTopicError, ...: what the broker says of the first topic that failed.
        """
        wanted = [
            NewTopic(topic) if isinstance(topic, str) else topic
            for topic in several("create_topics: topics", topics, (str, NewTopic), "a topic name or a NewTopic")
        ]
        deadline = self._deadline(timeout)

        def build(m: Schema) -> Any:
            return m.CreateTopicsRequest(
                topics=tuple(_creatable(m, topic) for topic in wanted),
                timeout=timedelta(seconds=deadline.left()),
                validate_only=validate_only,
            )

        answer = await self._ask_controller(
            deadline, ApiKey.CREATE_TOPICS, build, codes=lambda answer: [row.error_code for row in answer.topics]
        )
        return settle_rows(
            (str(row.name), refusal(row.error_code, f"topic {str(row.name)!r}", row.error_message), _created(row))
            for row in answer.topics
        )

    async def delete_topics(
        self,
        topics: str | uuid.UUID | Iterable[str | uuid.UUID],
        *,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> dict[str | uuid.UUID, None]:
        """Delete topics with all their records.

        Args:
            topics: names or topic ids, one or several.
            timeout: seconds; None = `default_api_timeout_ms`.

        Returns:
            None by name or id, as given.

        Raises:
            UnknownTopicOrPartitionError: there is no such topic.
        """
        wanted = several("delete_topics: topics", topics, (str, uuid.UUID), "a topic name or a topic id")
        by_id = [topic for topic in wanted if isinstance(topic, uuid.UUID)]
        deadline = self._deadline(timeout)

        def build(m: Schema) -> Any:
            states = tuple(
                m.DeleteTopicState(name=None, topic_id=topic)
                if isinstance(topic, uuid.UUID)
                else m.DeleteTopicState(name=topic, topic_id=None)
                for topic in wanted
            )
            return m.DeleteTopicsRequest(
                topics=states, topic_names=tuple(wanted), timeout=timedelta(seconds=deadline.left())
            )

        answer = await self._ask_controller(
            deadline,
            ApiKey.DELETE_TOPICS,
            build,
            versions=(6, 6) if by_id else (1, 6),
            codes=lambda answer: [row.error_code for row in answer.responses],
        )
        rows: list[tuple[str | uuid.UUID, KafkaError | None, None]] = []
        for row in answer.responses:
            identity = getattr(row, "topic_id", None)
            key = identity if identity in by_id else row.name
            rows.append(
                (key, refusal(row.error_code, f"topic {str(key)!r}", getattr(row, "error_message", None)), None)
            )
        return settle_rows(rows)

    async def list_topics(
        self,
        *,
        include_internal: bool = False,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> dict[str, TopicInfo]:
        """Return all topics by name, with their partitions; the cluster's own only if asked for."""
        found = (await self._metadata(self._deadline(timeout), None)).topics
        return {name: found[name] for name in sorted(found) if include_internal or not found[name].internal}

    async def describe_topics(
        self,
        topics: str | uuid.UUID | Iterable[str | uuid.UUID],
        *,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> dict[str | uuid.UUID, TopicInfo]:
        """Return topics with their partitions, leaders and replicas.

        Args:
            topics: names or topic ids, one or several. Asking does not make a topic.
            timeout: seconds; None = `default_api_timeout_ms`.

        Returns:
            Topics by name or id, as given.

        Raises:
            UnknownTopicOrPartitionError: there is no such topic.
        """
        wanted = several("describe_topics: topics", topics, (str, uuid.UUID), "a topic name or a topic id")
        deadline = self._deadline(timeout)
        infos: dict[str | uuid.UUID, TopicInfo] = {}
        names = [topic for topic in wanted if isinstance(topic, str)]
        if names:
            infos.update((await self._metadata(deadline, names)).topics.items())
        ids = [topic for topic in wanted if isinstance(topic, uuid.UUID)]
        if ids:
            answer = await self._ask(
                deadline,
                ApiKey.METADATA,
                lambda m: m.MetadataRequest(
                    topics=tuple(m.MetadataRequestTopic(topic_id=topic, name=None) for topic in ids),
                    allow_auto_topic_creation=False,
                    include_topic_authorized_operations=False,
                ),
                versions=(12, 12),
            )
            infos |= {topic.topic_id: topic_info(topic) for topic in answer.topics}
        unknown = TopicInfo("", None, (), error_code=ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
        found = [(topic, infos.get(topic, unknown)) for topic in wanted]
        return settle_rows((topic, refusal(info.error_code, f"topic {str(topic)!r}"), info) for topic, info in found)

    async def create_partitions(
        self,
        totals: Mapping[str, int | NewPartitions],
        *,
        validate_only: bool = False,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> dict[str, None]:
        """Give topics more partitions.

        Args:
            totals: by topic, how many partitions it is to have altogether.
            validate_only: only check whether it would work.
            timeout: seconds; None = `default_api_timeout_ms`.

        Raises:
            InvalidPartitionsError: not more than there are. UnknownTopicOrPartitionError.
        """
        totals = mapping("create_partitions: totals", totals, "of topic names to numbers of partitions")
        wanted = {text("topic name", name): _grown(total) for name, total in totals.items()}
        deadline = self._deadline(timeout)

        def build(m: Schema) -> Any:
            topics = []
            for name, new in wanted.items():
                lists = new.assignments
                assignments = None
                if lists is not None:
                    assignments = tuple(m.CreatePartitionsAssignment(broker_ids=tuple(nodes)) for nodes in lists)
                topics.append(m.CreatePartitionsTopic(name=name, count=new.total, assignments=assignments))
            return m.CreatePartitionsRequest(
                topics=tuple(topics), timeout=timedelta(seconds=deadline.left()), validate_only=validate_only
            )

        answer = await self._ask_controller(
            deadline, ApiKey.CREATE_PARTITIONS, build, codes=lambda answer: [row.error_code for row in answer.results]
        )
        return settle_rows(
            (str(row.name), refusal(row.error_code, f"topic {str(row.name)!r}", row.error_message), None)
            for row in answer.results
        )

    async def delete_records(
        self,
        before: Mapping[TopicPartition, int],
        *,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> dict[TopicPartition, int]:
        """Delete the records below an offset.

        Args:
            before: by partition, the first offset to stay; -1 = delete all that consumers can read.
            timeout: seconds; None = `default_api_timeout_ms`.

        Returns:
            Each partition's first offset afterwards.

        Raises:
            OffsetOutOfRangeError: the offset is beyond the high watermark. UnknownTopicOrPartitionError.
        """
        before = mapping("delete_records: before", before, "of TopicPartition to offset")
        offsets = {partition_of(place): _first(offset) for place, offset in before.items()}
        deadline = self._deadline(timeout)

        def build(m: Schema, places: list[TopicPartition]) -> Any:
            topics = tuple(
                m.DeleteRecordsTopic(
                    name=topic,
                    partitions=tuple(
                        m.DeleteRecordsPartition(partition_index=number, offset=offsets[TopicPartition(topic, number)])
                        for number in numbers
                    ),
                )
                for topic, numbers in by_topic(places).items()
            )
            return m.DeleteRecordsRequest(topics=topics, timeout=timedelta(seconds=deadline.left()))

        results, errors = await self._ask_leaders(
            deadline,
            offsets,
            ApiKey.DELETE_RECORDS,
            build,
            lambda answer: [
                (TopicPartition(str(topic.name), row.partition_index), row.error_code, None, row.low_watermark)
                for topic in answer.topics
                for row in topic.partitions
            ],
        )
        return settle(results, errors)


def by_topic(places: Iterable[TopicPartition]) -> dict[str, list[int]]:
    """Group partitions by topic."""
    grouped: dict[str, list[int]] = {}
    for topic, number in places:
        grouped.setdefault(topic, []).append(number)
    return grouped


def _grown(total: Any) -> NewPartitions:
    new = total if isinstance(total, NewPartitions) else NewPartitions(total)
    if not is_number(new.total, 0, MAX_INT):
        raise ConfigError(f"create_partitions: {total!r} is no number of partitions")
    return new


def _first(offset: Any) -> int:
    if not is_number(offset, -1):
        raise ConfigError(f"delete_records: {offset!r} is no offset; give an int from 0, or -1 for all")
    return int(offset)


def _creatable(m: Schema, topic: NewTopic) -> Any:
    assignments = topic.assignments or {}
    if m.version < 4 and not assignments and -1 in {topic.partitions, topic.replication_factor}:
        raise UnsupportedVersionError("this broker has no defaults: give partitions and replication_factor")
    return m.CreatableTopic(
        name=topic.name,
        num_partitions=-1 if assignments else topic.partitions,
        replication_factor=-1 if assignments else topic.replication_factor,
        assignments=tuple(
            m.CreatableReplicaAssignment(partition_index=number, broker_ids=tuple(nodes))
            for number, nodes in sorted(assignments.items())
        ),
        configs=tuple(m.CreatableTopicConfig(name=name, value=value) for name, value in topic.configs.items()),
    )


def _created(row: Any) -> CreatedTopic:
    configs = getattr(row, "configs", None) or ()
    return CreatedTopic(
        str(row.name),
        getattr(row, "topic_id", None),
        getattr(row, "num_partitions", -1),
        getattr(row, "replication_factor", -1),
        {entry.name: entry.value for entry in configs},
    )
