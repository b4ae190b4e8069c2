"""The cluster and its brokers: who there is, what they serve, their log directories, leaders and replicas."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final, Literal

from odradek.client.admin.calls import Calls
from odradek.client.admin.outcomes import check, refusal, settle_rows
from odradek.client.admin.topics import by_topic
from odradek.client.admin.values import LogDir, LogDirPartition, Reassignment
from odradek.client.arguments import MAX_INT, is_number, mapping, partition_of, partitions_of, several
from odradek.client.cluster import ANY
from odradek.client.metadata import BrokerInfo, ClusterInfo
from odradek.errors import ConfigError, KafkaError, UnsupportedVersionError
from odradek.protocol.api_keys import ApiKey
from odradek.types import TopicPartition

__all__ = ["BrokerCalls"]

_ELECTIONS: Final = {"preferred": 0, "unclean": 1}


class BrokerCalls(Calls):
    """The cluster and its brokers."""

    async def describe_cluster(self, *, timeout: float | None = None) -> ClusterInfo:  # noqa: ASYNC109
        """Return cluster id, controller and brokers (no topics)."""
        deadline = self._deadline(timeout)
        try:
            answer = await self._ask(
                deadline,
                ApiKey.DESCRIBE_CLUSTER,
                lambda m: m.DescribeClusterRequest(
                    include_cluster_authorized_operations=False, endpoint_type=1, include_fenced_brokers=False
                ),
                codes=lambda answer: [answer.error_code],
            )
        except UnsupportedVersionError:  # brokers before 2.8
            return await self._metadata(deadline, [])
        check(answer.error_code, "the cluster", answer.error_message)
        brokers = sorted(answer.brokers, key=lambda row: row.broker_id)
        infos = {int(row.broker_id): BrokerInfo(int(row.broker_id), row.host, row.port, row.rack) for row in brokers}
        return ClusterInfo(answer.cluster_id, int(answer.controller_id), infos)

    async def api_versions(
        self,
        node: int | None = None,
        *,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> dict[str, tuple[int, int]]:
        """Return the lowest and highest version of each API that a broker serves, by Kafka's name in capitals.

        Args:
            node: broker id; None = any.
            timeout: seconds; None = `default_api_timeout_ms`.
        """
        if node is not None and not is_number(node, 0, MAX_INT):
            raise ConfigError(f"api_versions: {node!r} is no node id; give an int from 0, or None for any broker")
        deadline = self._deadline(timeout)

        async def once() -> dict[int, tuple[int, int]]:
            return await self._cluster().versions(ANY if node is None else node, timeout=deadline.left())

        names = {int(api): api.name for api in ApiKey}
        served = await self._retrying(deadline, once)
        return {names.get(key, f"API_{key}"): versions for key, versions in sorted(served.items())}

    async def describe_log_dirs(
        self,
        brokers: Iterable[int] | None = None,
        *,
        partitions: Iterable[TopicPartition] | None = None,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> dict[int, dict[str, LogDir]]:
        """Return the log directories of brokers and how large the replicas in them are.

        Args:
            brokers: node ids; None = all.
            partitions: only these replicas; None = all.
            timeout: seconds; None = `default_api_timeout_ms`.

        Returns:
            Directories by path, by node id.
        """
        deadline = self._deadline(timeout)
        nodes = list((await self._metadata(deadline, [])).brokers) if brokers is None else _nodes(brokers)
        wanted = None if partitions is None else by_topic(partitions_of(partitions))

        def asked(node: int) -> Any:
            return self._ask(
                deadline,
                ApiKey.DESCRIBE_LOG_DIRS,
                lambda m: m.DescribeLogDirsRequest(
                    topics=None
                    if wanted is None
                    else tuple(
                        m.DescribableLogDirTopic(topic=topic, partitions=tuple(numbers))
                        for topic, numbers in wanted.items()
                    )
                ),
                node=node,
            )

        answers = await asyncio.gather(*(asked(node) for node in nodes))
        found = {}
        for node, answer in zip(nodes, answers, strict=True):
            check(getattr(answer, "error_code", 0), f"the log directories of broker {node}")
            found[node] = {row.log_dir: _log_dir(row) for row in answer.results}
        return found

    async def elect_leaders(
        self,
        partitions: Iterable[TopicPartition] | None = None,
        *,
        election: Literal["preferred", "unclean"] = "preferred",
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> dict[TopicPartition, None]:
        """Have leaders elected (KIP-460).

        Args:
            partitions: which; None = all that need it.
            election: "preferred" makes the first replica the leader; "unclean" one that is not in sync, if there is no
                other: records may be lost.
            timeout: seconds; None = `default_api_timeout_ms`.

        Raises:
            KafkaError: ELECTION_NOT_NEEDED, PREFERRED_LEADER_NOT_AVAILABLE, ... ConfigError: an election of no kind.
        """
        if election not in _ELECTIONS:
            raise ConfigError(f"election {election!r} is none of {', '.join(_ELECTIONS)}")
        wanted = None if partitions is None else by_topic(partitions_of(partitions))
        deadline = self._deadline(timeout)
        answer = await self._ask_controller(
            deadline,
            ApiKey.ELECT_LEADERS,
            lambda m: m.ElectLeadersRequest(
                election_type=_ELECTIONS[election],
                topic_partitions=None
                if wanted is None
                else tuple(
                    m.TopicPartitions(topic=topic, partitions=tuple(numbers)) for topic, numbers in wanted.items()
                ),
                timeout=timedelta(seconds=deadline.left()),
            ),
            versions=(1, 2),
            codes=lambda answer: [answer.error_code],
        )
        check(answer.error_code, "the election")
        return settle_rows(
            _outcome(topic.topic, row.partition_id, row)
            for topic in answer.replica_election_results
            for row in topic.partition_result
        )

    async def alter_partition_reassignments(
        self,
        replicas: Mapping[TopicPartition, Sequence[int] | None],
        *,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> dict[TopicPartition, None]:
        """Begin to move partitions to other brokers (KIP-455).

        Args:
            replicas: by partition, node ids of the replicas it is to have; None = stop moving it.
            timeout: seconds; None = `default_api_timeout_ms`.

        Raises:
            InvalidReplicaAssignmentError; KafkaError: NO_REASSIGNMENT_IN_PROGRESS, nothing to stop.
        """
        replicas = mapping("alter_partition_reassignments: replicas", replicas, "of TopicPartition to node ids")
        wanted = {partition_of(place): nodes for place, nodes in replicas.items()}
        deadline = self._deadline(timeout)

        def build(m: Any) -> Any:
            topics = []
            for topic, numbers in by_topic(wanted).items():
                rows = []
                for number in numbers:
                    nodes = wanted[TopicPartition(topic, number)]
                    rows.append(
                        m.ReassignablePartition(
                            partition_index=number, replicas=None if nodes is None else tuple(nodes)
                        )
                    )
                topics.append(m.ReassignableTopic(name=topic, partitions=tuple(rows)))
            return m.AlterPartitionReassignmentsRequest(
                timeout=timedelta(seconds=deadline.left()), allow_replication_factor_change=True, topics=tuple(topics)
            )

        answer = await self._ask_controller(
            deadline, ApiKey.ALTER_PARTITION_REASSIGNMENTS, build, codes=lambda answer: [answer.error_code]
        )
        check(answer.error_code, "the reassignment", answer.error_message)
        return settle_rows(
            _outcome(topic.name, row.partition_index, row) for topic in answer.responses for row in topic.partitions
        )

    async def list_partition_reassignments(
        self,
        partitions: Iterable[TopicPartition] | None = None,
        *,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> dict[TopicPartition, Reassignment]:
        """Return the partitions that are being moved to other brokers: of those given, or all."""
        wanted = None if partitions is None else by_topic(partitions_of(partitions))
        deadline = self._deadline(timeout)
        answer = await self._ask_controller(
            deadline,
            ApiKey.LIST_PARTITION_REASSIGNMENTS,
            lambda m: m.ListPartitionReassignmentsRequest(
                timeout=timedelta(seconds=deadline.left()),
                topics=None
                if wanted is None
                else tuple(
                    m.ListPartitionReassignmentsTopics(name=topic, partition_indexes=tuple(numbers))
                    for topic, numbers in wanted.items()
                ),
            ),
            codes=lambda answer: [answer.error_code],
        )
        check(answer.error_code, "the reassignments", answer.error_message)
        return {
            TopicPartition(str(topic.name), row.partition_index): Reassignment(
                tuple(map(int, row.replicas)),
                tuple(map(int, row.adding_replicas)),
                tuple(map(int, row.removing_replicas)),
            )
            for topic in answer.topics
            for row in topic.partitions
        }


def _nodes(brokers: Iterable[int]) -> list[int]:
    return several("describe_log_dirs: brokers", brokers, int, "a node id")


def _outcome(topic: str, number: int, row: Any) -> tuple[TopicPartition, KafkaError | None, None]:
    return TopicPartition(str(topic), number), refusal(row.error_code, f"{topic}-{number}", row.error_message), None


def _log_dir(row: Any) -> LogDir:
    partitions = {
        TopicPartition(str(topic.name), partition.partition_index): LogDirPartition(
            partition.partition_size, partition.offset_lag, partition.is_future_key
        )
        for topic in row.topics
        for partition in topic.partitions
    }
    return LogDir(
        row.log_dir,
        refusal(row.error_code, row.log_dir),
        partitions,
        getattr(row, "total_bytes", -1),
        getattr(row, "usable_bytes", -1),
    )
