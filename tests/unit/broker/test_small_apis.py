"""InitProducerId, FindCoordinator, DescribeCluster, DescribeLogDirs, DescribeTopicPartitions, ListConfigResources."""

import asyncio
from datetime import timedelta

import pytest
from quiet_broker import NODE, NotingEngine, World

from odradek.broker.controller.producer_ids import BLOCK_SIZE
from odradek.errors import ErrorCode
from odradek.protocol.api_keys import ApiKey


async def producer_id(world, version=5, **fields):
    def build(m):
        known = {
            "transactional_id": None,
            "transaction_timeout": timedelta(minutes=1),
            "producer_id": -1,
            "producer_epoch": -1,
        }
        return m.InitProducerIdRequest(**(known | fields))

    return await world.ask(ApiKey.INIT_PRODUCER_ID, version, build)


@pytest.mark.parametrize("version", range(6))
async def test_each_idempotent_producer_gets_an_id_of_its_own(world, version):
    answers = await asyncio.gather(*(producer_id(world, version) for _ in range(50)))
    assert {(row.error_code, row.producer_epoch) for row in answers} == {(0, 0)}
    assert len({row.producer_id for row in answers}) == 50


async def test_ids_are_not_given_again_after_a_crash(tmp_path):
    world = await World.start(tmp_path)
    before = {(await producer_id(world)).producer_id for _ in range(BLOCK_SIZE + 5)}
    assert before == set(range(BLOCK_SIZE + 5))
    await world.stop()
    again = await World.start(tmp_path)
    assert (await producer_id(again)).producer_id == 2 * BLOCK_SIZE
    await again.stop()


@pytest.mark.parametrize(("transactional_id", "code"), [("t", 53), ("", 42)])
async def test_transactions_are_refused_for_good(world, transactional_id, code):
    row = await producer_id(world, transactional_id=transactional_id)
    assert (row.error_code, row.producer_id, row.producer_epoch) == (code, -1, -1)
    assert not ErrorCode(code).retriable


async def coordinator(world, version, *keys, key_type=0):
    def build(m):
        return m.FindCoordinatorRequest(key=keys[0], key_type=key_type, coordinator_keys=keys)

    response = await world.ask(ApiKey.FIND_COORDINATOR, version, build)
    return response.coordinators if version >= 4 else [response]


@pytest.mark.parametrize("version", range(7))
async def test_this_broker_coordinates_every_group_from_the_first_request_on(world, version):
    for row in await coordinator(world, version, "g", "h"):
        assert (row.error_code, row.node_id, row.host, row.port) == (0, NODE, "broker.example", 9092)
    assert len(world.engine.published["__consumer_offsets"][3]) == 50
    keys = ["g", "h"] if version >= 4 else ["g"]
    assert world.services.groups.announced == [(key, world.connection) for key in keys]


async def test_the_offsets_topic_is_made_once_by_many_first_requests(world):
    await asyncio.gather(*(coordinator(world, 6, f"g{n}") for n in range(10)))
    assert world.services.topics.names() == ["__consumer_offsets"]


async def test_an_offsets_topic_that_can_not_be_made_means_no_coordinator(tmp_path):
    world = await World.start(tmp_path, offsets_topic_replication_factor=3)
    (row,) = await coordinator(world, 6, "g")
    assert (row.error_code, row.node_id) == (ErrorCode.COORDINATOR_NOT_AVAILABLE, -1)
    assert "replication factor 3" in row.error_message
    await world.stop()


@pytest.mark.parametrize(("key_type", "code"), [(1, 53), (2, 42), (7, 42)])
async def test_other_kinds_of_coordinators_are_refused_for_good(world, key_type, code):
    (row,) = await coordinator(world, 6, "g", key_type=key_type)
    assert (row.error_code, row.node_id) == (code, -1)
    assert not ErrorCode(code).retriable
    assert not world.services.groups.announced, "nobody is going to join"


@pytest.mark.parametrize("version", range(3))
async def test_the_cluster_is_this_broker(world, version):
    def build(m):
        return m.DescribeClusterRequest(
            include_cluster_authorized_operations=True, endpoint_type=1, include_fenced_brokers=False
        )

    answer = await world.ask(ApiKey.DESCRIBE_CLUSTER, version, build)
    (row,) = answer.brokers
    assert (row.broker_id, row.host, row.port, row.rack) == (NODE, "broker.example", 9092, "r1")
    assert (answer.error_code, answer.cluster_id, answer.controller_id) == (0, "test-cluster", NODE)
    assert answer.cluster_authorized_operations == 8096  # as Apache Kafka 4.3.1 without an authorizer


@pytest.mark.parametrize(("endpoint_type", "code"), [(2, 114), (3, 115)])
async def test_the_cluster_is_not_described_to_those_who_look_for_controllers(world, endpoint_type, code):
    def build(m):
        return m.DescribeClusterRequest(include_cluster_authorized_operations=False, endpoint_type=endpoint_type)

    answer = await world.ask(ApiKey.DESCRIBE_CLUSTER, 1, build)
    assert (answer.error_code, answer.brokers) == (code, ())


@pytest.mark.parametrize("version", range(1, 6))
async def test_log_dirs_lists_sizes_of_all_or_of_what_was_asked_for(world, version, tmp_path):
    await world.create_topic("a", 2)
    await world.create_topic("b")

    async def sizes(topics):
        def build(m):
            rows = None
            if topics is not None:
                rows = tuple(m.DescribableLogDirTopic(topic=name, partitions=numbers) for name, numbers in topics)
            return m.DescribeLogDirsRequest(topics=rows)

        (result,) = (await world.ask(ApiKey.DESCRIBE_LOG_DIRS, version, build)).results
        assert (result.error_code, result.log_dir) == (0, str(tmp_path))
        if version >= 4:
            assert 0 < result.usable_bytes <= result.total_bytes
        return {(t.name, p.partition_index): p.partition_size for t in result.topics for p in t.partitions}

    assert await sizes(None) == {("a", 0): 100, ("a", 1): 101, ("b", 0): 100}
    assert await sizes([("a", (1, 9)), ("no", (0,))]) == {("a", 1): 101}


async def pages(world, names, limit):
    """Walk all pages; return (topic, partition) in order and the error codes."""
    seen, codes, cursor, count = [], {}, None, 0
    while True:

        def build(m, cursor=cursor):
            rows = tuple(m.TopicRequest(name=name) for name in names)
            from kio.schema.describe_topic_partitions.v0.request import Cursor

            place = cursor and Cursor(topic_name=cursor.topic_name, partition_index=cursor.partition_index)
            return m.DescribeTopicPartitionsRequest(topics=rows, response_partition_limit=limit, cursor=place)

        answer = await world.ask(ApiKey.DESCRIBE_TOPIC_PARTITIONS, 0, build)
        count += 1
        assert sum(len(topic.partitions) for topic in answer.topics) <= max(limit, 1)
        for topic in answer.topics:
            codes[topic.name] = topic.error_code
            seen += [(topic.name, partition.partition_index) for partition in topic.partitions]
        cursor = answer.next_cursor
        if cursor is None:
            return seen, codes, count


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
async def test_pages_hold_every_partition_once_in_order(world, limit):
    for name, partitions in (("b", 3), ("a", 2), ("c", 1)):
        await world.create_topic(name, partitions)
    expected = [("a", 0), ("a", 1), ("b", 0), ("b", 1), ("b", 2), ("c", 0)]
    assert (await pages(world, [], limit))[0] == expected
    seen, codes, _ = await pages(world, ["c", "b", "no", "a/b"], limit)
    assert seen == expected[2:]
    assert codes == {"c": 0, "b": 0, "no": 3, "a/b": 17}


async def test_a_cursor_below_zero_is_refused(world):
    from kio.schema.describe_topic_partitions.v0.request import Cursor

    def build(m):
        return m.DescribeTopicPartitionsRequest(
            topics=(m.TopicRequest(name="t"),),
            response_partition_limit=5,
            cursor=Cursor(topic_name="t", partition_index=-1),
        )

    answer = await world.ask(ApiKey.DESCRIBE_TOPIC_PARTITIONS, 0, build)
    assert [topic.error_code for topic in answer.topics] == [ErrorCode.INVALID_REQUEST]


@pytest.mark.parametrize(
    ("version", "types", "expected"),
    [(0, (), []), (1, (), [(4, "7"), (2, "t")]), (1, (2,), [(2, "t")]), (1, (4, 8), [(4, "7")]), (1, (16,), [])],
)
async def test_config_resources_are_topics_and_this_broker(world, version, types, expected):
    await world.create_topic("t")
    answer = await world.ask(
        ApiKey.LIST_CONFIG_RESOURCES, version, lambda m: m.ListConfigResourcesRequest(resource_types=types)
    )
    assert answer.error_code == 0
    assert [(getattr(row, "resource_type", None), row.resource_name) for row in answer.config_resources] == expected


async def test_unknown_kinds_of_config_resources_are_unsupported(world):
    answer = await world.ask(
        ApiKey.LIST_CONFIG_RESOURCES, 1, lambda m: m.ListConfigResourcesRequest(resource_types=(77,))
    )
    assert answer.error_code == ErrorCode.UNSUPPORTED_VERSION


def test_the_noting_engine_has_the_methods_of_the_real_one():
    from odradek.broker.engine import Engine

    real = {name for name in vars(Engine) if not name.startswith("_")}
    assert real - set(dir(NotingEngine)) <= {"append", "read", "offsets", "publish_brokers"}
