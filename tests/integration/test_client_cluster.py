"""Requests that Python builds, over the native transport, against a real broker."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from odradek.client.cluster import CONTROLLER, Cluster
from odradek.errors import DisconnectedError, ErrorCode, UnsupportedVersionError
from odradek.protocol.api_keys import ApiKey

pytestmark = pytest.mark.brokers("odradek", "kafka")


@pytest.fixture
async def cluster(bootstrap: str) -> AsyncIterator[Cluster]:
    made = Cluster({"bootstrap.servers": bootstrap})
    yield made
    await made.close()


async def test_the_highest_version_of_both_sides_is_used(cluster: Cluster) -> None:
    seen: list[int] = []

    def build(m):
        seen.append(m.version)
        return m.FindCoordinatorRequest(key="g", key_type=0, coordinator_keys=("g",))

    await cluster.request(ApiKey.FIND_COORDINATOR, build, node=CONTROLLER)
    await cluster.request(ApiKey.FIND_COORDINATOR, build, versions=(0, 3))
    highest = (await cluster.versions())[ApiKey.FIND_COORDINATOR][1]
    assert seen == [highest, 3]


async def test_what_the_broker_lacks_is_an_error_that_names_it(cluster: Cluster) -> None:
    with pytest.raises(UnsupportedVersionError, match="METADATA"):
        await cluster.request(ApiKey.METADATA, lambda m: m.MetadataRequest(), versions=(90, 99))
    with pytest.raises(DisconnectedError, match="broker 4711"):
        await cluster.request(ApiKey.METADATA, lambda m: m.MetadataRequest(), node=4711)


async def test_asking_about_a_topic_neither_makes_nor_watches_it(
    cluster: Cluster, unique: Callable[[str], str]
) -> None:
    name = unique("absent")
    for _ in range(2):
        info = await cluster.metadata([name])
        assert info.topics[name].error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    assert info.controller_id in info.brokers
    assert name not in (await cluster.refresh()).topics
    assert (await cluster.metadata([])).topics == {}


async def test_watched_topics_are_known_after_a_refresh(cluster: Cluster, topic: str) -> None:
    assert cluster.known().topics == {}
    cluster.native.watch_topics([topic])
    known = await cluster.refresh()
    [partition] = known.topics[topic].partitions
    assert partition.leader in known.brokers
    assert known.topics[topic].topic_id is not None
    assert cluster.known() == known


async def test_the_coordinator_is_one_of_the_brokers(cluster: Cluster, unique: Callable[[str], str]) -> None:
    node = await cluster.coordinator(unique("group"))
    assert node in (await cluster.metadata([])).brokers


async def test_many_requests_at_once_are_each_answered(cluster: Cluster, topic: str) -> None:
    answers = await asyncio.gather(*(cluster.metadata([topic] if at % 2 else []) for at in range(100)))
    assert [len(answer.topics) for answer in answers] == [at % 2 for at in range(100)]
