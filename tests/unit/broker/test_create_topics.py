"""CreateTopics: what is made, what is refused with which code, and that a refusal leaves nothing behind."""

import pytest
from quiet_broker import NODE, World

from odradek.errors import ErrorCode, LogDirOfflineError
from odradek.protocol.api_keys import ApiKey

KEY = ApiKey.CREATE_TOPICS


async def create(world, *topics, version=7, validate_only=False):
    def build(m):
        rows = []
        for topic in topics:
            fields = {"num_partitions": 1, "replication_factor": 1, "assignments": {}, "configs": ()} | topic
            fields["assignments"] = tuple(
                m.CreatableReplicaAssignment(partition_index=number, broker_ids=tuple(brokers))
                for number, brokers in (
                    fields["assignments"].items() if isinstance(fields["assignments"], dict) else fields["assignments"]
                )
            )
            fields["configs"] = tuple(m.CreatableTopicConfig(name=k, value=v) for k, v in fields["configs"])
            rows.append(m.CreatableTopic(**fields))
        return m.CreateTopicsRequest(topics=tuple(rows), validate_only=validate_only)

    response = await world.ask(KEY, version, build)
    return {row.name: row for row in response.topics}


@pytest.mark.parametrize("version", range(2, 8))
async def test_a_topic_is_hosted_and_published_when_the_answer_comes(world, version):
    row = (await create(world, {"name": "t", "num_partitions": 3}, version=version))["t"]
    assert row.error_code == 0
    assert [key for key in world.engine.hosted if key[0] == "t"] == [("t", 0), ("t", 1), ("t", 2)]
    name, topic_id, internal, partitions = world.engine.published["t"]
    assert (name, internal) == ("t", False)
    assert partitions == [(n, NODE, 0, (NODE,), (NODE,), ()) for n in range(3)]
    if version >= 7:
        assert row.topic_id.bytes == topic_id
    if version >= 5:
        assert (row.num_partitions, row.replication_factor) == (3, 1)
        assert {config.name: config.value for config in row.configs}["retention.ms"] == "604800000"


async def test_defaults_come_from_the_broker_s_settings(tmp_path):
    world = await World.start(tmp_path, num_partitions=4, log_retention_hours=2)
    (row,) = (await create(world, {"name": "t", "num_partitions": -1, "replication_factor": -1})).values()
    assert row.num_partitions == 4
    assert world.engine.configs["t"]["retention.ms"] == "7200000"
    await world.stop()


async def test_topics_and_their_settings_are_there_after_a_restart(tmp_path):
    world = await World.start(tmp_path)
    await create(world, {"name": "t", "num_partitions": 2, "configs": [("retention.ms", "55")]})
    before = world.services.topics.get("t")
    await world.stop()
    again = await World.start(tmp_path)
    assert again.services.topics.get("t") == before
    assert sorted(again.engine.hosted) == [("t", 0), ("t", 1)]
    assert again.engine.configs["t"]["retention.ms"] == "55"
    assert again.engine.published["t"][1] == before.topic_id.bytes
    await again.stop()


BAD = {
    "empty name": ({"name": ""}, ErrorCode.INVALID_TOPIC_EXCEPTION),
    "dot": ({"name": "."}, ErrorCode.INVALID_TOPIC_EXCEPTION),
    "dots": ({"name": ".."}, ErrorCode.INVALID_TOPIC_EXCEPTION),
    "too long": ({"name": "x" * 250}, ErrorCode.INVALID_TOPIC_EXCEPTION),
    "slash": ({"name": "a/b"}, ErrorCode.INVALID_TOPIC_EXCEPTION),
    "umlaut": ({"name": "ä"}, ErrorCode.INVALID_TOPIC_EXCEPTION),
    "newline at the end": ({"name": "a\n"}, ErrorCode.INVALID_TOPIC_EXCEPTION),
    "internal": ({"name": "__consumer_offsets"}, ErrorCode.INVALID_TOPIC_EXCEPTION),
    "no partitions": ({"num_partitions": 0}, ErrorCode.INVALID_PARTITIONS),
    "negative partitions": ({"num_partitions": -2}, ErrorCode.INVALID_PARTITIONS),
    "too many partitions": ({"num_partitions": 10_001}, ErrorCode.POLICY_VIOLATION),
    "no replicas": ({"replication_factor": 0}, ErrorCode.INVALID_REPLICATION_FACTOR),
    "more replicas than brokers": ({"replication_factor": 3}, ErrorCode.INVALID_REPLICATION_FACTOR),
    "assignment and count": ({"assignments": {0: [NODE]}, "replication_factor": -1}, ErrorCode.INVALID_REQUEST),
    "assignment and factor": ({"assignments": {0: [NODE]}, "num_partitions": -1}, ErrorCode.INVALID_REQUEST),
    "unknown config": ({"configs": [("nope", "1")]}, ErrorCode.INVALID_CONFIG),
    "bad config": ({"configs": [("retention.ms", "abc")]}, ErrorCode.INVALID_CONFIG),
    "config out of range": ({"configs": [("segment.bytes", "5")]}, ErrorCode.INVALID_CONFIG),
    "config without value": ({"configs": [("retention.ms", None)]}, ErrorCode.INVALID_CONFIG),
    "tiered storage": ({"configs": [("remote.storage.enable", "true")]}, ErrorCode.INVALID_CONFIG),
    "contradiction": (
        {"configs": [("min.compaction.lag.ms", "9"), ("max.compaction.lag.ms", "8")]},
        ErrorCode.INVALID_CONFIG,
    ),
}
BY_HAND = {"num_partitions": -1, "replication_factor": -1}
for _name, _assignment in {
    "gap": {0: [NODE], 2: [NODE]},
    "broker twice": {0: [NODE, NODE]},
    "unknown broker": {0: [77]},
    "no broker": {0: []},
    "partition twice": [(0, [NODE]), (0, [NODE])],
}.items():
    BAD[f"assignment: {_name}"] = ({"assignments": _assignment, **BY_HAND}, ErrorCode.INVALID_REPLICA_ASSIGNMENT)


@pytest.mark.parametrize(("topic", "code"), BAD.values(), ids=BAD)
async def test_a_bad_wish_is_refused_and_the_good_one_beside_it_is_made(world, topic, code):
    bad = {"name": "bad"} | topic
    rows = await create(world, bad, {"name": "good"})
    assert rows[bad["name"]].error_code == code
    assert rows[bad["name"]].error_message
    assert rows["good"].error_code == 0
    assert list(world.engine.published) == ["good"]
    assert world.services.topics.names() == ["good"]


async def test_249_characters_are_allowed(world):
    assert (await create(world, {"name": "x" * 249}))["x" * 249].error_code == 0


async def test_replicas_by_hand_are_taken_as_given(world):
    rows = await create(world, {"name": "t", "assignments": {1: [NODE], 0: [NODE]}, **BY_HAND})
    assert (rows["t"].error_code, rows["t"].num_partitions) == (0, 2)


async def test_an_existing_topic_is_left_as_it_is(world):
    await create(world, {"name": "t", "num_partitions": 2})
    before = world.services.topics.get("t")
    row = (await create(world, {"name": "t", "num_partitions": 5, "configs": [("nope", "1")]}))["t"]
    assert row.error_code == ErrorCode.TOPIC_ALREADY_EXISTS
    assert world.services.topics.get("t") is before


async def test_names_that_differ_only_in_dot_and_underscore_collide(world):
    await create(world, {"name": "a.b"})
    row = (await create(world, {"name": "a_b"}))["a_b"]
    assert (row.error_code, row.error_message) == (17, "topic 'a_b' collides with 'a.b': '.' and '_' count as one")
    rows = await create(world, {"name": "c.d"}, {"name": "c_d"})
    assert [rows[name].error_code for name in ("c.d", "c_d")] == [0, ErrorCode.INVALID_TOPIC_EXCEPTION]


async def test_a_topic_named_twice_is_refused_and_others_are_made(world):
    rows = await create(world, {"name": "twice"}, {"name": "once"}, {"name": "twice"})
    assert rows["twice"].error_code == ErrorCode.INVALID_REQUEST
    assert rows["once"].error_code == 0
    assert world.services.topics.names() == ["once"]


async def test_validate_only_checks_and_makes_nothing(world):
    rows = await create(world, {"name": "t"}, {"name": "", "num_partitions": 1}, validate_only=True)
    assert [rows["t"].error_code, rows[""].error_code] == [0, 17]
    assert world.services.topics.names() == []
    assert world.engine.hosted == {}
    assert await world.store.children("/brokers/topics") == []


async def test_a_thousand_topics_are_one_write(world):
    changes = world.store.watch()
    rows = await create(world, *({"name": f"t{n}"} for n in range(1000)))
    assert {row.error_code for row in rows.values()} == {0}
    assert len(await anext(changes)) == 4000
    assert len(world.engine.published) == 1000
    await changes.aclose()


async def test_two_requests_for_one_name_at_once_make_it_once(world):
    import asyncio

    first, second = await asyncio.gather(create(world, {"name": "t"}), create(world, {"name": "t"}))
    assert sorted([first["t"].error_code, second["t"].error_code]) == [0, ErrorCode.TOPIC_ALREADY_EXISTS]


async def test_a_failed_disk_closes_the_connection_and_claims_nothing(world):
    world.engine.fail_hosting = LogDirOfflineError("/data: no space left on device")
    m_answer = await world.send(KEY, 7, _one_topic())
    from quiet_broker import DISCONNECTED

    assert m_answer is DISCONNECTED
    assert world.engine.published == {}


def _one_topic():
    from odradek.protocol.codec import encode, schema

    m = schema(KEY, 7)
    topic = m.CreatableTopic(name="t", num_partitions=1, replication_factor=1, assignments=(), configs=())
    return encode(m.CreateTopicsRequest(topics=(topic,)))


async def test_a_request_without_topics_is_answered_with_none(world):
    assert await create(world) == {}
