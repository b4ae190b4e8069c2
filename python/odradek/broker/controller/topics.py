"""All topics: plan, make, grow, reconfigure, delete. The tree is written first, then the engine is told, then clients.

Changes are made one request at a time (`_changes`), so that what was checked still holds when it is written. Reading
needs no lock: `Topic` values are immutable and a change replaces them.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, TypeVar
from uuid import UUID

from odradek.broker.controller import assignment
from odradek.broker.controller.configs import Configs
from odradek.broker.controller.names import check_name, collision_key, is_internal
from odradek.broker.controller.new_topic import NewTopic, new_topic_id
from odradek.broker.controller.state import Partition, Topic, creations, partition_creations, topic_node
from odradek.broker.engine import Engine
from odradek.config.topic import parse_topic_configs
from odradek.errors import (
    ConfigError,
    ErrorCode,
    InvalidConfigError,
    InvalidPartitionsError,
    InvalidReplicaAssignmentError,
    InvalidReplicationFactorError,
    InvalidRequestError,
    InvalidTopicError,
    KafkaError,
    TopicAlreadyExistsError,
    UnknownTopicOrPartitionError,
)
from odradek.metadata import tree
from odradek.metadata.store import Create, Delete, MetadataStore, Operation, Set

__all__ = ["MOST_PARTITIONS_AT_ONCE", "Change", "Topics", "refuse_internal"]

MOST_PARTITIONS_AT_ONCE: Final = 10_000
"""Partitions one request may make. Source: Kafka `ReplicationControlManager.MAX_PARTITIONS_PER_BATCH`."""

_REPLICATION_LIMIT: Final = 2**15 - 1

T = TypeVar("T")
Change = Callable[[Mapping[str, str]], Mapping[str, str]]


class Topics:
    """The topics of the cluster, and this broker's hosting of them."""

    def __init__(
        self, store: MetadataStore, engine: Engine, configs: Configs, recovered: Iterable[Topic], controller_epoch: int
    ) -> None:
        """Take over the topics that the start has read and hosted (`recovery.py`).

        Args:
            store: the metadata tree.
            engine: hosts the partitions.
            configs: settings of topics and brokers.
            recovered: the topics there are.
            controller_epoch: this broker's, as controller.
        """
        self._store = store
        self._engine = engine
        self._configs = configs
        self._node_id = configs.node_id
        self._controller_epoch = controller_epoch
        self._topics: dict[str, Topic] = {}
        self._by_id: dict[UUID, Topic] = {}
        self._collisions: dict[str, str] = {}
        self._changes = asyncio.Lock()
        self.on_deleted: list[Callable[[Topic], None]] = []
        """Called after a topic is gone; for those who keep something about topics."""
        self.revision = 0
        """Changes with every topic that is made, grown or deleted."""
        for topic in recovered:
            self._remember(topic)

    # Reading

    def get(self, name: str) -> Topic | None:
        """Return the topic of that name."""
        return self._topics.get(name)

    def by_id(self, topic_id: UUID | None) -> Topic | None:
        """Return the topic of that id."""
        return self._by_id.get(topic_id) if topic_id is not None else None

    def names(self) -> list[str]:
        """Return all names, sorted."""
        return sorted(self._topics)

    @property
    def brokers(self) -> list[int]:
        """Ids of the brokers that can host partitions."""
        return [self._node_id]

    # Making

    def plan(self, new: NewTopic) -> Topic:
        """Check a wish for a topic and return what would be made; changes nothing.

        Raises:
            KafkaError: what is wrong with it: INVALID_TOPIC_EXCEPTION (17), TOPIC_ALREADY_EXISTS (36),
                INVALID_PARTITIONS (37), INVALID_REPLICATION_FACTOR (38), INVALID_REPLICA_ASSIGNMENT (39),
                INVALID_CONFIG (40), INVALID_REQUEST (42).
        """
        check_name(new.name)
        if new.name in self._topics:
            raise TopicAlreadyExistsError(f"topic {new.name!r} exists")
        other = self._collisions.get(collision_key(new.name))
        if other is not None:
            raise InvalidTopicError(f"topic {new.name!r} collides with {other!r}: '.' and '_' count as one")
        replicas = self._plan_replicas(new)
        try:
            parse_topic_configs(new.configs)
        except ConfigError as error:
            raise InvalidConfigError(str(error)) from error
        return Topic(new.name, new_topic_id(), tuple(Partition(row[0], 0, row, row) for row in replicas))

    def _plan_replicas(self, new: NewTopic) -> list[tuple[int, ...]]:
        if new.assignments:
            if new.partition_count != -1 or new.replication_factor != -1:
                raise InvalidRequestError(
                    "with replicas assigned by hand, partitions and replication factor must be -1"
                )
            return assignment.by_hand(new.assignments, self.brokers)
        settings = self._configs.settings
        count = settings.number("num.partitions") if new.partition_count == -1 else new.partition_count
        factor = (
            settings.number("default.replication.factor") if new.replication_factor == -1 else new.replication_factor
        )
        if count < 1:
            raise InvalidPartitionsError(f"{count} partitions: at least 1 is needed, or -1 for the default")
        if not 1 <= factor <= _REPLICATION_LIMIT:
            raise InvalidReplicationFactorError(f"replication factor {factor}: at least 1, or -1 for the default")
        if count > MOST_PARTITIONS_AT_ONCE:
            raise KafkaError(
                f"{count} partitions are more than the {MOST_PARTITIONS_AT_ONCE} that one request may make",
                code=ErrorCode.POLICY_VIOLATION,
            )
        return assignment.spread(self.brokers, count, factor)

    async def create(self, wishes: Sequence[NewTopic], *, validate_only: bool = False) -> dict[str, Topic | KafkaError]:
        """Make topics, all in one durable write; return for each name the topic or why not.

        Names must be unique in `wishes`. When this returns the topics can be written to and read.
        """
        async with self._changes:
            results: dict[str, Topic | KafkaError] = {}
            planned: list[tuple[Topic, NewTopic]] = []
            keys: set[str] = set()
            total = 0
            for new in wishes:
                try:
                    topic = self.plan(new)
                    total += len(topic.partitions)
                    _check_batch(topic, keys, total)
                except KafkaError as error:
                    results[new.name] = error
                    continue
                results[new.name] = topic
                planned.append((topic, new))
            if planned and not validate_only:
                await self._make(planned)
            return results

    async def _make(self, planned: Sequence[tuple[Topic, NewTopic]]) -> None:
        operations: list[Operation] = []
        for topic, new in planned:
            operations += creations(topic, self._controller_epoch)
            operations += self._configs.topic_change(topic.name, new.configs)
        await self._store.multi(operations)
        for topic, new in planned:
            self._configs.note_topic(topic.name, new.configs)
        topics = [topic for topic, _ in planned]
        for topic in topics:
            self._remember(topic)
        await self._in_thread(self._host_all, topics)
        self._engine.publish_topics([topic.published() for topic in topics])

    def _host_all(self, topics: Iterable[Topic]) -> None:
        for topic in topics:
            self._engine.host_partitions(
                topic.name, topic.topic_id.bytes, self._configs.topic_texts(topic.name), topic.hosted()
            )

    # Growing

    async def grow(
        self,
        name: str,
        count: int,
        assignments: Sequence[Sequence[int]] | None,
        *,
        validate_only: bool = False,
    ) -> None:
        """Raise a topic's number of partitions to `count`.

        Raises:
            UnknownTopicOrPartitionError (3): no such topic. InvalidPartitionsError (37): not more than it has.
            InvalidReplicaAssignmentError (39): the assignment doesn't fit.
        """
        async with self._changes:
            topic = self._topics.get(name)
            if topic is None:
                raise UnknownTopicOrPartitionError(f"there is no topic {name!r}")
            grown = self._plan_growth(topic, count, assignments)
            if validate_only:
                return
            path = tree.topic_path(name)
            before = len(topic.partitions)
            await self._store.multi(
                [Set(path, topic_node(grown)), *partition_creations(grown, before, self._controller_epoch)]
            )
            self._remember(grown)
            texts = self._configs.topic_texts(name)
            await self._in_thread(self._engine.host_partitions, name, grown.topic_id.bytes, texts, grown.hosted(before))
            self._engine.publish_topics([grown.published()])

    def _plan_growth(self, topic: Topic, count: int, assignments: Sequence[Sequence[int]] | None) -> Topic:
        present = len(topic.partitions)
        if count <= present:
            raise InvalidPartitionsError(f"topic {topic.name!r} has {present} partition(s); {count} is not more")
        added = count - present
        if added > MOST_PARTITIONS_AT_ONCE:
            raise InvalidPartitionsError(f"{added} partitions are more than {MOST_PARTITIONS_AT_ONCE} in one request")
        factor = len(topic.partitions[0].replicas)
        if assignments is None:
            rows = assignment.spread(self.brokers, added, factor, first=present)
        else:
            if len(assignments) != added:
                raise InvalidReplicaAssignmentError(f"{added} partition(s) to add, {len(assignments)} assigned")
            rows = [assignment.check_replicas(row, self.brokers) for row in assignments]
            if any(len(row) != factor for row in rows):
                raise InvalidReplicaAssignmentError(f"each partition of topic {topic.name!r} has {factor} replica(s)")
        new = tuple(Partition(row[0], 0, row, row) for row in rows)
        return Topic(topic.name, topic.topic_id, topic.partitions + new)

    # Deleting

    async def delete(self, names: Sequence[str]) -> None:
        """Delete topics that exist, in one durable write. Their files go later (`file.delete.delay.ms`).

        `/admin/delete_topics/T` stands from that write until the folders are renamed, so that a crash in between does
        not leave folders that look like a topic nobody knows.
        """
        async with self._changes:
            gone = [self._topics[name] for name in dict.fromkeys(names) if name in self._topics]
            if not gone:
                return
            marked = set(await self._store.children(tree.DELETIONS))  # left over where deleting folders failed
            operations: list[Operation] = []
            for topic in gone:
                operations += self._deletions(topic)
                if topic.name not in marked:
                    operations.append(Create(tree.deletion_path(topic.name)))
            await self._store.multi(operations)
            for topic in gone:
                self._forget(topic)
            self._engine.withdraw_topics([topic.name for topic in gone])
            await self._in_thread(self._delete_logs, gone)
            await self._store.multi([Delete(tree.deletion_path(topic.name)) for topic in gone])
        for topic in gone:
            for callback in self.on_deleted:
                callback(topic)

    def _deletions(self, topic: Topic) -> list[Operation]:
        path = tree.topic_path(topic.name)
        operations: list[Operation] = []
        for index in range(len(topic.partitions)):
            operations.append(Delete(tree.state_path(topic.name, index)))
            operations.append(Delete(tree.partition_path(topic.name, index)))
        operations += [Delete(f"{path}/partitions"), Delete(path)]
        return operations + self._configs.topic_change(topic.name, {})

    def _delete_logs(self, topics: Iterable[Topic]) -> None:
        for topic in topics:
            self._engine.delete_partitions(topic.name, range(len(topic.partitions)))

    # Configuring

    async def configure(self, name: str, change: Change) -> None:
        """Change a topic's own settings and put them into effect.

        Args:
            name: an existing topic.
            change: given the present settings, returns the new ones (all valid); runs with no other change under way.
        """
        async with self._changes:
            overrides = change(self._configs.topic_overrides(name))
            await self._write(self._configs.topic_change(name, overrides))
            self._configs.note_topic(name, overrides)
            await self._in_thread(self._engine.configure_topic, name, self._configs.topic_texts(name))

    async def configure_brokers(self, node: str, change: Change) -> None:
        """Change the run-time settings of this broker or of all (""); they take effect on all topics."""
        async with self._changes:
            overrides = change(self._configs.broker_overrides(node))
            await self._write(self._configs.broker_change(node, overrides))
            self._configs.note_broker(node, overrides)
            await self._in_thread(self._configure_all)

    def _configure_all(self) -> None:
        for name in list(self._topics):
            self._engine.configure_topic(name, self._configs.topic_texts(name))

    # Bookkeeping

    def _remember(self, topic: Topic) -> None:
        self.revision += 1
        self._topics[topic.name] = topic
        self._by_id[topic.topic_id] = topic
        self._collisions[collision_key(topic.name)] = topic.name

    def _forget(self, topic: Topic) -> None:
        self.revision += 1
        del self._topics[topic.name]
        del self._by_id[topic.topic_id]
        del self._collisions[collision_key(topic.name)]
        self._configs.note_topic(topic.name, {})

    async def _write(self, operations: Sequence[Operation]) -> None:
        if operations:
            await self._store.multi(operations)

    @staticmethod
    async def _in_thread(work: Callable[..., T], *arguments: object) -> T:
        """Keep file work off the loop; the engine releases the GIL."""
        return await asyncio.get_running_loop().run_in_executor(None, work, *arguments)


def _check_batch(topic: Topic, keys: set[str], total: int) -> None:
    """Check a planned topic against those planned before it in the same request."""
    key = collision_key(topic.name)
    if key in keys:
        raise InvalidTopicError(f"topic {topic.name!r} collides with another of this request: '.' and '_' count as one")
    if total > MOST_PARTITIONS_AT_ONCE:
        raise KafkaError(
            f"the request makes more than {MOST_PARTITIONS_AT_ONCE} partitions", code=ErrorCode.POLICY_VIOLATION
        )
    keys.add(key)


def refuse_internal(name: str) -> None:
    """Refuse a client's wish to make or delete a topic of the brokers' own.

    Raises:
        InvalidTopicError (17).
    """
    if is_internal(name):
        raise InvalidTopicError(f"topic {name!r} belongs to the brokers; clients can't make or delete it")
