"""DeleteTopics, CreatePartitions, Metadata's auto-creation, and what is done at start about leftovers."""

import asyncio
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from quiet_broker import NODE, NotingEngine, World

from odradek.errors import ErrorCode
from odradek.metadata import tree
from odradek.protocol.api_keys import ApiKey
from odradek.protocol.codec import encode, schema

SECONDS = timedelta(seconds=5)


async def delete(world, *names, ids=(), version=6):
    def build(m):
        rows = [m.DeleteTopicState(name=name, topic_id=None) for name in names]
        rows += [m.DeleteTopicState(name=None, topic_id=topic_id) for topic_id in ids]
        return m.DeleteTopicsRequest(topics=tuple(rows), topic_names=names, timeout=SECONDS)

    return (await world.ask(ApiKey.DELETE_TOPICS, version, build)).responses


async def grow(world, name, count, assignments=None, *, validate_only=False, version=3):
    def build(m):
        rows = None
        if assignments is not None:
            rows = tuple(m.CreatePartitionsAssignment(broker_ids=tuple(row)) for row in assignments)
        topic = m.CreatePartitionsTopic(name=name, count=count, assignments=rows)
        return m.CreatePartitionsRequest(topics=(topic,), timeout=SECONDS, validate_only=validate_only)

    (row,) = (await world.ask(ApiKey.CREATE_PARTITIONS, version, build)).results
    return row


# DeleteTopics


@pytest.mark.parametrize("version", range(1, 7))
async def test_a_deleted_topic_is_gone_everywhere(world, version):
    await world.create_topic("t", 2, retention_ms="5")
    (row,) = await delete(world, "t", version=version)
    assert (row.name, row.error_code) == ("t", 0)
    assert world.services.topics.get("t") is None
    assert world.engine.published == {}
    assert world.engine.hosted == {}
    assert await world.store.subtree(tree.TOPICS) == []
    assert await world.store.subtree(tree.TOPIC_CONFIGS) == []
    assert await world.store.subtree(tree.DELETIONS) == []


async def test_a_topic_can_be_deleted_by_its_id(world):
    topic_id = (await world.create_topic("t")).topic_id
    (row,) = await delete(world, ids=[topic_id])
    assert (row.name, row.topic_id, row.error_code) == ("t", topic_id, 0)
    assert world.services.topics.by_id(topic_id) is None


async def test_unknown_topics_are_told_apart_by_how_they_were_named(world):
    missing = uuid4()
    rows = await delete(world, "no", ids=[missing])
    assert [(row.name, row.topic_id, row.error_code) for row in rows] == [
        ("no", None, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION),
        (None, missing, ErrorCode.UNKNOWN_TOPIC_ID),
    ]


async def test_a_topic_named_twice_stays(world):
    await world.create_topic("t")
    await world.create_topic("other")
    (row,) = await delete(world, "t", "t")
    assert row.error_code == ErrorCode.INVALID_REQUEST
    assert world.services.topics.get("t") is not None


async def test_internal_topics_stay(world):
    await world.services.topics.create([_wish("__consumer_offsets")])
    (row,) = await delete(world, "__consumer_offsets")
    assert row.error_code == ErrorCode.INVALID_TOPIC_EXCEPTION
    assert "__consumer_offsets" in world.engine.published


@pytest.mark.parametrize(("version", "code"), [(2, 42), (3, 73), (6, 73)])
async def test_deletion_can_be_switched_off(tmp_path, version, code):
    world = await World.start(tmp_path, delete_topic_enable="false")
    await world.create_topic("t")
    (row,) = await delete(world, "t", version=version)
    assert row.error_code == code
    assert "t" in world.engine.published
    await world.stop()


async def test_those_who_keep_something_about_topics_are_told(world):
    gone = []
    world.services.topics.on_deleted.append(lambda topic: gone.append(topic.name))
    await world.create_topic("t")
    await delete(world, "t")
    assert gone == ["t"]


async def test_a_topic_made_again_is_another_topic(world):
    first = (await world.create_topic("t", retention_ms="5")).topic_id
    await delete(world, "t")
    second = (await world.create_topic("t")).topic_id
    assert first != second
    assert world.engine.configs["t"]["retention.ms"] == "604800000"


# CreatePartitions


@pytest.mark.parametrize("version", range(4))
async def test_new_partitions_are_hosted_and_old_ones_left_alone(world, version):
    await world.create_topic("t", 2)
    world.engine.hosted.clear()
    row = await grow(world, "t", 4, version=version)
    assert row.error_code == 0
    assert sorted(world.engine.hosted) == [("t", 2), ("t", 3)]
    assert len(world.engine.published["t"][3]) == 4


@pytest.mark.parametrize(
    ("count", "assignments", "code"),
    [
        (2, None, ErrorCode.INVALID_PARTITIONS),
        (1, None, ErrorCode.INVALID_PARTITIONS),
        (0, None, ErrorCode.INVALID_PARTITIONS),
        (-1, None, ErrorCode.INVALID_PARTITIONS),
        (2**31 - 1, None, ErrorCode.INVALID_PARTITIONS),
        (4, [[NODE]], ErrorCode.INVALID_REPLICA_ASSIGNMENT),
        (3, [[77]], ErrorCode.INVALID_REPLICA_ASSIGNMENT),
        (3, [[NODE, NODE]], ErrorCode.INVALID_REPLICA_ASSIGNMENT),
        (3, [[]], ErrorCode.INVALID_REPLICA_ASSIGNMENT),
        (3, [], ErrorCode.INVALID_REPLICA_ASSIGNMENT),
    ],
)
async def test_partitions_only_grow_and_a_refusal_changes_nothing(world, count, assignments, code):
    await world.create_topic("t", 2)
    before = world.services.topics.get("t")
    row = await grow(world, "t", count, assignments)
    assert row.error_code == code
    assert row.error_message
    assert world.services.topics.get("t") is before
    assert sorted(world.engine.hosted) == [("t", 0), ("t", 1)]


async def test_an_unknown_topic_can_not_grow(world):
    assert (await grow(world, "no", 3)).error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION


async def test_validate_only_does_not_grow(world):
    await world.create_topic("t")
    assert (await grow(world, "t", 3, validate_only=True)).error_code == 0
    assert len(world.services.topics.get("t").partitions) == 1


async def test_growth_survives_a_restart(tmp_path):
    world = await World.start(tmp_path)
    await world.create_topic("t")
    await grow(world, "t", 3, [[NODE], [NODE]])
    await world.stop()
    again = await World.start(tmp_path)
    assert sorted(again.engine.hosted) == [("t", 0), ("t", 1), ("t", 2)]
    await again.stop()


# Metadata


def metadata(*names):
    m = schema(ApiKey.METADATA, 4)
    rows = tuple(m.MetadataRequestTopic(name=name) for name in names)
    return encode(m.MetadataRequest(topics=rows, allow_auto_topic_creation=True))


async def test_metadata_makes_missing_topics_and_hands_back_to_the_engine(tmp_path):
    world = await World.start(tmp_path, num_partitions=3)
    await world.create_topic("there")
    assert (
        await world.send(ApiKey.METADATA, 4, metadata("there", "new", "bad/name", "__transaction_state")) == "rerouted"
    )
    assert world.services.topics.names() == ["new", "there"]
    assert len(world.engine.published["new"][3]) == 3
    await world.stop()


async def test_metadata_makes_the_offsets_topic_as_a_coordinator_needs_it(world):
    await world.send(ApiKey.METADATA, 4, metadata("__consumer_offsets"))
    _, _, internal, partitions = world.engine.published["__consumer_offsets"]
    assert internal
    assert len(partitions) == 50
    assert world.engine.configs["__consumer_offsets"]["cleanup.policy"] == "compact"


async def test_many_clients_asking_for_one_new_topic_make_it_once(world):
    answers = await asyncio.gather(*(world.send(ApiKey.METADATA, 4, metadata("t")) for _ in range(10)))
    assert answers == ["rerouted"] * 10
    assert world.services.topics.names() == ["t"]


# Start


def _wish(name):
    from odradek.broker.controller.new_topic import NewTopic

    return NewTopic(name)


async def test_a_deletion_cut_short_is_finished_at_the_next_start(tmp_path):
    world = await World.start(tmp_path)
    await world.create_topic("t")
    folders = dict(world.engine.folders)
    world.engine.delete_partitions = lambda *_: None  # the broker dies before the folders are touched
    await delete(world, "t")
    await world.store.create(tree.deletion_path("t"))
    await world.stop()
    engine = NotingEngine()
    engine.folders = folders
    again = await World.start(tmp_path, engine)
    assert engine.folders == {}
    assert again.services.topics.names() == []
    assert await again.store.subtree(tree.DELETIONS) == []
    await again.stop()


async def test_folders_copied_from_another_broker_become_a_topic_with_its_id(tmp_path):
    engine = NotingEngine()
    topic_id = uuid4()
    engine.folders = {("copied", 0): topic_id.bytes, ("copied", 2): topic_id.bytes, ("plain", 0): None}
    world = await World.start(tmp_path, engine)
    assert world.services.topics.get("copied").topic_id == topic_id
    assert len(world.services.topics.get("copied").partitions) == 3
    assert isinstance(world.services.topics.get("plain").topic_id, UUID)
    assert set(engine.published) == {"copied", "plain"}
    await world.stop()


async def test_records_of_an_adopted_topic_get_a_higher_epoch_than_those_that_are_there(tmp_path):
    (tmp_path / "copied-1").mkdir()
    (tmp_path / "copied-1" / "leader-epoch-checkpoint").write_text("0\n2\n3 0\n12 100\n")
    engine = NotingEngine()
    engine.folders = {("copied", 0): None, ("copied", 1): None}
    world = await World.start(tmp_path, engine)
    assert [part.leader_epoch for part in world.services.topics.get("copied").partitions] == [0, 13]
    await world.stop()


async def test_an_adopted_offsets_topic_is_compacted(tmp_path):
    engine = NotingEngine()
    engine.folders = {("__consumer_offsets", number): None for number in range(50)}
    world = await World.start(tmp_path, engine)
    assert engine.configs["__consumer_offsets"]["cleanup.policy"] == "compact"
    await world.stop()


async def test_folders_that_can_not_be_a_topic_are_left_alone(tmp_path, caplog):
    engine = NotingEngine()
    engine.folders = {("mixed", 0): uuid4().bytes, ("mixed", 1): uuid4().bytes, ("__cluster_metadata", 0): None}
    before = dict(engine.folders)
    world = await World.start(tmp_path, engine)
    assert world.services.topics.names() == []
    assert engine.folders == before
    assert "mixed" in caplog.text
    await world.stop()


async def test_a_folder_above_the_partition_count_is_left_alone(tmp_path, caplog):
    world = await World.start(tmp_path)
    await world.create_topic("t")
    engine = world.engine
    engine.folders["t", 5] = None
    await world.stop()
    import os

    engine.fd = os.eventfd(0, os.EFD_NONBLOCK)
    again = await World.start(tmp_path, engine)
    assert len(again.services.topics.get("t").partitions) == 1
    assert ("t", 5) in engine.folders
    assert "[5]" in caplog.text
    await again.stop()


async def test_after_a_crash_partitions_are_led_under_a_new_epoch_after_a_clean_stop_under_the_old(tmp_path):
    world = await World.start(tmp_path)
    await world.create_topic("t", 2)
    await world.store.create("/brokers/ids/7", ephemeral=True)
    crash = tmp_path / "crash"
    crash.mkdir()
    for file in tmp_path.glob("metadata.db*"):
        (crash / file.name).write_bytes(file.read_bytes())
    await world.stop()
    for directory, epoch in ((tmp_path, 0), (crash, 1)):
        again = await World.start(directory)
        assert again.engine.hosted == {("t", 0): (epoch, 1), ("t", 1): (epoch, 1)}
        assert [row[2] for row in again.engine.published["t"][3]] == [epoch, epoch]
        await again.stop()
    again = await World.start(crash)
    assert again.engine.hosted["t", 0] == (1, 1)
    await again.stop()
