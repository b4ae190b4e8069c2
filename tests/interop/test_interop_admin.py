"""Topics, configs, groups and offsets managed with the clients' own admin interfaces."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import confluent_kafka
import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin import NewTopic as AioNewTopic
from confluent_kafka import ConsumerGroupTopicPartitions, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    NewTopic,
    OffsetSpec,
    ResourceType,
)
from drivers import DRIVERS
from kafka.admin import KafkaAdminClient
from support import topics
from support.batches import NOW, Entry

pytestmark = pytest.mark.brokers("odradek", "kafka")

SECONDS = 30.0


@pytest.fixture
def admin(bootstrap: str) -> AdminClient:
    return AdminClient({"bootstrap.servers": bootstrap})


def code_of(failure: pytest.ExceptionInfo[KafkaException]) -> int:
    return int(failure.value.args[0].code())


def exists(admin: AdminClient, name: str) -> bool:
    return name in admin.list_topics(timeout=SECONDS).topics


def test_topic_lives_from_creation_to_deletion(admin: AdminClient, unique: Callable[[str], str]) -> None:
    name = unique("life")
    admin.create_topics([NewTopic(name, 3, 1, config={"retention.ms": "1000000"})])[name].result(SECONDS)
    topics.until(lambda: exists(admin, name))
    assert len(admin.list_topics(name, SECONDS).topics[name].partitions) == 3
    with pytest.raises(KafkaException) as again:
        admin.create_topics([NewTopic(name, 3, 1)])[name].result(SECONDS)
    assert code_of(again) == KafkaError.TOPIC_ALREADY_EXISTS
    admin.create_partitions([NewPartitions(name, 5)])[name].result(SECONDS)
    topics.until(lambda: len(admin.list_topics(name, SECONDS).topics[name].partitions) == 5)
    with pytest.raises(KafkaException) as shrink:
        admin.create_partitions([NewPartitions(name, 2)])[name].result(SECONDS)
    assert code_of(shrink) == KafkaError.INVALID_PARTITIONS
    admin.delete_topics([name])[name].result(SECONDS)
    topics.until(lambda: not exists(admin, name))
    with pytest.raises(KafkaException) as gone:
        admin.delete_topics([name])[name].result(SECONDS)
    assert code_of(gone) == KafkaError.UNKNOWN_TOPIC_OR_PART


def test_more_replicas_than_brokers_are_refused(admin: AdminClient, unique: Callable[[str], str]) -> None:
    name = unique("replicas")
    with pytest.raises(KafkaException) as refused:
        admin.create_topics([NewTopic(name, 1, 3)])[name].result(SECONDS)
    assert code_of(refused) == KafkaError.INVALID_REPLICATION_FACTOR
    assert not exists(admin, name)


def config(admin: AdminClient, kind: ResourceType, name: str) -> dict[str, Any]:
    resource = ConfigResource(kind, name)
    return dict(admin.describe_configs([resource])[resource].result(SECONDS))


def test_config_is_described_altered_and_restored(admin: AdminClient, topic: str) -> None:
    before = config(admin, ResourceType.TOPIC, topic)
    assert (before["retention.ms"].value, before["retention.ms"].is_default) == ("604800000", True)

    def alter(operation: AlterConfigOpType, value: str | None) -> None:
        entry = ConfigEntry("retention.ms", value, incremental_operation=operation)
        resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
        admin.incremental_alter_configs([resource])[resource].result(SECONDS)

    alter(AlterConfigOpType.SET, "12345")
    after = topics.until(
        lambda: entry if (entry := config(admin, ResourceType.TOPIC, topic)["retention.ms"]).value == "12345" else None
    )
    assert not after.is_default
    alter(AlterConfigOpType.DELETE, None)
    topics.until(lambda: config(admin, ResourceType.TOPIC, topic)["retention.ms"].value == "604800000")
    with pytest.raises(KafkaException) as refused:
        alter(AlterConfigOpType.SET, "soon")
    assert code_of(refused) == KafkaError.INVALID_CONFIG


def test_list_config_grows_by_append_and_shrinks_by_subtract(admin: AdminClient, topic: str) -> None:
    for operation, expected in (
        (AlterConfigOpType.APPEND, {"delete", "compact"}),
        (AlterConfigOpType.SUBTRACT, {"delete"}),
    ):
        entry = ConfigEntry("cleanup.policy", "compact", incremental_operation=operation)
        resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
        admin.incremental_alter_configs([resource])[resource].result(SECONDS)
        topics.until(
            lambda wanted=expected: (
                set(config(admin, ResourceType.TOPIC, topic)["cleanup.policy"].value.split(",")) == wanted
            )
        )


def test_old_alter_configs_replaces_everything(bootstrap: str, topic: str) -> None:
    from kafka.admin import ConfigResource as PythonResource
    from kafka.admin import ConfigResourceType

    client = KafkaAdminClient(bootstrap_servers=bootstrap)
    try:
        client.alter_configs([PythonResource(ConfigResourceType.TOPIC, topic, configs={"retention.ms": "777"})])
        found = client.describe_configs([PythonResource(ConfigResourceType.TOPIC, topic)])
        assert "777" in str(found)
    finally:
        client.close()


def test_broker_and_cluster_are_described(admin: AdminClient, bootstrap: str) -> None:
    cluster = admin.describe_cluster().result(SECONDS)
    (node,) = cluster.nodes
    assert f"{node.host}:{node.port}" == bootstrap
    assert cluster.controller.id == node.id
    assert cluster.cluster_id
    options = config(admin, ResourceType.BROKER, str(node.id))
    assert "log.retention.hours" in options or "log.retention.ms" in options


@pytest.fixture
def group(bootstrap: str, topic: str, unique: Callable[[str], str]) -> Iterator[tuple[str, confluent_kafka.Consumer]]:
    """A group with one member that has committed offset 4 of five records."""
    DRIVERS["confluent"].produce(bootstrap, topic, [Entry(b"%d" % n) for n in range(5)], partition=0)
    name = unique("group")
    options = {
        "bootstrap.servers": bootstrap,
        "group.id": name,
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
        "client.id": "me",
    }
    consumer = confluent_kafka.Consumer(options)
    consumer.subscribe([topic])
    assert len(consumer.consume(5, SECONDS)) == 5
    consumer.commit(offsets=[TopicPartition(topic, 0, 4)], asynchronous=False)
    yield name, consumer
    consumer.close()


def test_group_is_listed_described_and_deleted(
    admin: AdminClient, topic: str, group: tuple[str, confluent_kafka.Consumer]
) -> None:
    name, consumer = group
    assert name in {row.group_id for row in admin.list_consumer_groups().result(SECONDS).valid}
    described = admin.describe_consumer_groups([name])[name].result(SECONDS)
    (member,) = described.members
    assert (described.state.name, member.client_id) == ("STABLE", "me")
    assert [(row.topic, row.partition) for row in member.assignment.topic_partitions] == [(topic, 0)]
    with pytest.raises(KafkaException) as refused:
        admin.delete_consumer_groups([name])[name].result(SECONDS)
    assert code_of(refused) == KafkaError.NON_EMPTY_GROUP
    consumer.close()
    asked = [ConsumerGroupTopicPartitions(name, [TopicPartition(topic, 0)])]
    assert admin.list_consumer_group_offsets(asked)[name].result(SECONDS).topic_partitions[0].offset == 4
    moved = [ConsumerGroupTopicPartitions(name, [TopicPartition(topic, 0, 1)])]
    admin.alter_consumer_group_offsets(moved)[name].result(SECONDS)
    assert admin.list_consumer_group_offsets(asked)[name].result(SECONDS).topic_partitions[0].offset == 1
    admin.delete_consumer_groups([name])[name].result(SECONDS)
    assert name not in {row.group_id for row in admin.list_consumer_groups().result(SECONDS).valid}


def test_records_are_deleted_up_to_an_offset(admin: AdminClient, bootstrap: str, topic: str) -> None:
    DRIVERS["confluent"].produce(bootstrap, topic, [Entry(b"%d" % n) for n in range(10)], partition=0)
    partition = TopicPartition(topic, 0, 6)
    result = admin.delete_records([partition])
    (future,) = result.values()
    assert future.result(SECONDS).low_watermark == 6
    found = DRIVERS["kafka-python"].consume(bootstrap, topic, 4)
    assert [entry.offset for entry in found] == [6, 7, 8, 9]


def test_offsets_are_listed_by_every_specification(admin: AdminClient, bootstrap: str, topic: str) -> None:
    stamps = [NOW + step for step in (0, 50, 20, 30)]
    DRIVERS["confluent"].produce(bootstrap, topic, [Entry(b"v", timestamp=stamp) for stamp in stamps], partition=0)
    partition = TopicPartition(topic, 0)
    wanted = {
        OffsetSpec.earliest(): 0,
        OffsetSpec.latest(): 4,
        OffsetSpec.max_timestamp(): 1,
        OffsetSpec.for_timestamp(NOW + 10): 1,
    }
    for specification, expected in wanted.items():
        (future,) = admin.list_offsets({partition: specification}).values()
        assert future.result(SECONDS).offset == expected


async def test_aiokafka_administers_topics_and_groups(bootstrap: str, unique: Callable[[str], str]) -> None:
    name = unique("aio")
    client = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await client.start()
    try:
        await client.create_topics([AioNewTopic(name, 2, 1)])
        assert name in await client.list_topics()
        (described,) = await client.describe_topics([name])
        assert len(described["partitions"]) == 2
        assert isinstance(await client.list_consumer_groups(), list)
        await client.delete_topics([name])
        assert name not in await client.list_topics()
    finally:
        await client.close()


def test_compacted_topic_is_made_and_takes_tombstones(
    admin: AdminClient, bootstrap: str, unique: Callable[[str], str]
) -> None:
    name = unique("compacted")
    admin.create_topics([NewTopic(name, 1, 1, config={"cleanup.policy": "compact"})])[name].result(SECONDS)
    topics.until(lambda: exists(admin, name))
    entries = [Entry(b"1", b"a"), Entry(b"2", b"b"), Entry(None, b"a")]
    DRIVERS["confluent"].produce(bootstrap, name, entries, partition=0)
    assert DRIVERS["aiokafka"].consume(bootstrap, name, 3)[2].value is None
    producer = confluent_kafka.Producer({"bootstrap.servers": bootstrap})
    failures: list[Any] = []
    producer.produce(name, value=b"no key", on_delivery=lambda error, _: failures.append(error))
    assert producer.flush(SECONDS) == 0
    assert [failure.code() for failure in failures] == [KafkaError.INVALID_RECORD]
