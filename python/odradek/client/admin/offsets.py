"""Offsets: those of partitions (earliest, latest, by time), and those that groups have committed."""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any, Final

from odradek.client.admin.calls import Calls
from odradek.client.admin.outcomes import check, refusal, settle, settle_rows
from odradek.client.admin.topics import by_topic
from odradek.client.admin.values import OffsetSpec
from odradek.client.arguments import check_offset, mapping, partition_of, partitions_of
from odradek.errors import ConfigError, ErrorCode, KafkaError
from odradek.protocol.api_keys import ApiKey
from odradek.protocol.codec import Schema
from odradek.types import OffsetAndMetadata, OffsetAndTimestamp, TopicPartition

__all__ = ["OffsetCalls"]

_TIMES: Final = {"latest": -1, "earliest": -2, "max_timestamp": -3}
"""Timestamps that stand for something else. Source: Kafka `ListOffsetsRequest`, KIP-734."""
_NO_GENERATION: Final = -1
_READ_UNCOMMITTED, _READ_COMMITTED = 0, 1


class OffsetCalls(Calls):
    """Offsets."""

    async def list_offsets(
        self,
        specs: Mapping[TopicPartition, OffsetSpec],
        *,
        read_committed: bool = False,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> dict[TopicPartition, OffsetAndTimestamp | None]:
        """Return offsets of partitions.

        Args:
            specs: by partition "earliest", "latest" (one after the last record), "max_timestamp" (of the newest record
                by time), or a time in ms: the first record not older than it.
            read_committed: "latest" is the first offset of an open transaction.
            timeout: seconds; None = `default_api_timeout_ms`.

        Returns:
            By partition; None where no record is that new. The timestamp is -1 for "earliest" and "latest".

        Raises:
            UnknownTopicOrPartitionError: there is no such partition. ConfigError: a spec that is none.
        """
        specs = mapping("list_offsets: specs", specs, "of TopicPartition to offset spec")
        times = {partition_of(place): _time_of(spec) for place, spec in specs.items()}
        deadline = self._deadline(timeout)
        lowest = 7 if _TIMES["max_timestamp"] in times.values() else 2 if read_committed else 1

        def build(m: Schema, places: list[TopicPartition]) -> Any:
            topics = tuple(
                m.ListOffsetsTopic(
                    name=topic,
                    partitions=tuple(
                        m.ListOffsetsPartition(
                            partition_index=number,
                            current_leader_epoch=-1,
                            timestamp=times[TopicPartition(topic, number)],
                        )
                        for number in numbers
                    ),
                )
                for topic, numbers in by_topic(places).items()
            )
            return m.ListOffsetsRequest(
                replica_id=-1,
                isolation_level=_READ_COMMITTED if read_committed else _READ_UNCOMMITTED,
                topics=topics,
                timeout=timedelta(seconds=deadline.left()),
            )

        results, errors = await self._ask_leaders(
            deadline,
            times,
            ApiKey.LIST_OFFSETS,
            build,
            lambda answer: [
                (
                    TopicPartition(str(topic.name), row.partition_index),
                    row.error_code,
                    None,
                    None
                    if row.offset < 0
                    else OffsetAndTimestamp(row.offset, row.timestamp, getattr(row, "leader_epoch", -1)),
                )
                for topic in answer.topics
                for row in topic.partitions
            ],
            versions=(lowest, 10),
        )
        return settle(results, errors)

    async def list_group_offsets(
        self,
        group: str,
        partitions: Iterable[TopicPartition] | None = None,
        *,
        require_stable: bool = False,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> dict[TopicPartition, OffsetAndMetadata]:
        """Return the offsets that a group has committed; partitions without one are left out.

        Args:
            group: id; a group that does not exist has no offsets.
            partitions: which; None = all it has committed.
            require_stable: wait for transactions that are committing offsets.
            timeout: seconds; None = `default_api_timeout_ms`.
        """
        wanted = None if partitions is None else by_topic(partitions_of(partitions))

        def build(m: Schema) -> Any:
            struct = m.OffsetFetchRequestTopics if m.version >= 8 else m.OffsetFetchRequestTopic
            topics = None
            if wanted is not None:
                topics = tuple(
                    struct(name=topic, partition_indexes=tuple(numbers)) for topic, numbers in wanted.items()
                )
            asked = m.OffsetFetchRequestGroup(group_id=group, member_id=None, member_epoch=-1, topics=topics)
            return m.OffsetFetchRequest(groups=(asked,), group_id=group, topics=topics, require_stable=require_stable)

        answer = await self._ask_coordinator(
            self._deadline(timeout),
            group,
            ApiKey.OFFSET_FETCH,
            build,
            versions=(7 if require_stable else 2, 9),
            codes=lambda answer: [_fetched(answer).error_code, *(row.error_code for _, row in _fetched_rows(answer))],
        )
        check(_fetched(answer).error_code, f"group {group!r}")
        found = settle_rows(
            (
                place,
                _refusal(place, group, row),
                OffsetAndMetadata(row.committed_offset, row.metadata or "", getattr(row, "committed_leader_epoch", -1)),
            )
            for place, row in _fetched_rows(answer)
        )
        return {place: committed for place, committed in found.items() if committed.offset >= 0}

    async def alter_group_offsets(
        self,
        group: str,
        offsets: Mapping[TopicPartition, OffsetAndMetadata | int],
        *,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> dict[TopicPartition, None]:
        """Commit offsets for a group that has no members; makes the group if there is none.

        Args:
            group: id.
            offsets: by partition, the next offset to read.
            timeout: seconds; None = `default_api_timeout_ms`.

        Raises:
            KafkaError: UNKNOWN_MEMBER_ID, the group has members. UnknownTopicOrPartitionError.
        """
        offsets = mapping("alter_group_offsets: offsets", offsets, "of TopicPartition to offset")
        wanted = {
            partition_of(place): check_offset("alter_group_offsets", at, f"for {place!r}; give an int from 0")
            for place, at in offsets.items()
        }

        def build(m: Schema) -> Any:
            topics = []
            for topic, numbers in by_topic(wanted).items():
                rows = []
                for number in numbers:
                    commit = wanted[TopicPartition(topic, number)]
                    rows.append(
                        m.OffsetCommitRequestPartition(
                            partition_index=number,
                            committed_offset=commit.offset,
                            committed_leader_epoch=commit.leader_epoch,
                            committed_metadata=commit.metadata,
                        )
                    )
                topics.append(m.OffsetCommitRequestTopic(name=topic, partitions=tuple(rows)))
            return m.OffsetCommitRequest(
                group_id=group,
                generation_id_or_member_epoch=_NO_GENERATION,
                member_id="",
                group_instance_id=None,
                retention_time=timedelta(milliseconds=-1),
                topics=tuple(topics),
            )

        answer = await self._ask_coordinator(
            self._deadline(timeout),
            group,
            ApiKey.OFFSET_COMMIT,
            build,
            versions=(2, 9),
            codes=lambda answer: [row.error_code for topic in answer.topics for row in topic.partitions],
        )
        return settle_rows((place, _told(place, group, row), None) for place, row in _rows(answer))

    async def delete_group_offsets(
        self,
        group: str,
        partitions: Iterable[TopicPartition],
        *,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> dict[TopicPartition, None]:
        """Delete what a group has committed for partitions; no member may be subscribed to their topics.

        Raises:
            GroupIdNotFoundError: there is no such group.
            KafkaError: GROUP_SUBSCRIBED_TO_TOPIC, a member reads the topic.
        """
        wanted = by_topic(partitions_of(partitions))
        answer = await self._ask_coordinator(
            self._deadline(timeout),
            group,
            ApiKey.OFFSET_DELETE,
            lambda m: m.OffsetDeleteRequest(
                group_id=group,
                topics=tuple(
                    m.OffsetDeleteRequestTopic(
                        name=topic,
                        partitions=tuple(m.OffsetDeleteRequestPartition(partition_index=number) for number in numbers),
                    )
                    for topic, numbers in wanted.items()
                ),
            ),
            codes=lambda answer: [answer.error_code],
        )
        check(answer.error_code, f"group {group!r}")
        return _settled(answer, group)


def _time_of(spec: OffsetSpec) -> int:
    if isinstance(spec, int) and not isinstance(spec, bool) and spec >= 0:
        return spec
    if isinstance(spec, str) and spec in _TIMES:
        return _TIMES[spec]
    raise ConfigError(f"offset spec {spec!r} is none of {', '.join(sorted(_TIMES))} and no time in ms, 0 or later")


def _fetched(answer: Any) -> Any:
    """Return what carries the error code of an OffsetFetch answer for one group."""
    return answer.groups[0] if hasattr(answer, "groups") else answer


def _fetched_rows(answer: Any) -> list[tuple[TopicPartition, Any]]:
    return [
        (TopicPartition(str(topic.name), row.partition_index), row)
        for topic in _fetched(answer).topics
        for row in topic.partitions
    ]


def _refusal(place: TopicPartition, group: str, row: Any) -> KafkaError | None:
    return refusal(row.error_code, f"{place.topic}-{place.partition} of group {group!r}")


def _told(place: TopicPartition, group: str, row: Any) -> KafkaError | None:
    """Return why nobody's commit was refused. It is no member, which Kafka takes for an unknown one where there are members."""
    members = row.error_code == ErrorCode.UNKNOWN_MEMBER_ID
    what = f"{place.topic}-{place.partition} of group {group!r}"
    return refusal(row.error_code, what, "the group has members; stop them first" if members else None)


def _settled(answer: Any, group: str) -> dict[TopicPartition, None]:
    return settle_rows((place, _refusal(place, group, row), None) for place, row in _rows(answer))


def _rows(answer: Any) -> list[tuple[TopicPartition, Any]]:
    return [
        (TopicPartition(str(topic.name), row.partition_index), row)
        for topic in answer.topics
        for row in topic.partitions
    ]
