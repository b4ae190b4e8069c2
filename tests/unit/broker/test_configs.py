"""DescribeConfigs, AlterConfigs, IncrementalAlterConfigs: sources, synonyms, effect, refusals."""

import asyncio

import pytest
from quiet_broker import NODE, World

from odradek.config.broker import BROKER_OPTIONS
from odradek.config.topic import TOPIC_OPTIONS
from odradek.errors import ErrorCode
from odradek.protocol.api_keys import ApiKey

TOPIC, BROKER = 2, 4
SET, DELETE, APPEND, SUBTRACT = range(4)


async def describe(world, resource_type, name, *keys, version=4, synonyms=True, documentation=True):
    def build(m):
        resource = m.DescribeConfigsResource(
            resource_type=resource_type, resource_name=name, configuration_keys=keys or None
        )
        return m.DescribeConfigsRequest(
            resources=(resource,), include_synonyms=synonyms, include_documentation=documentation
        )

    (result,) = (await world.ask(ApiKey.DESCRIBE_CONFIGS, version, build)).results
    return result


async def config(world, resource_type, name, key):
    (row,) = (await describe(world, resource_type, name, key)).configs
    return row.value, row.config_source, [(s.name, s.value, s.source) for s in row.synonyms]


async def change(world, resource_type, name, *ops, version=1, validate_only=False):
    def build(m):
        rows = tuple(m.AlterableConfig(name=k, config_operation=op, value=v) for op, k, v in ops)
        resource = m.AlterConfigsResource(resource_type=resource_type, resource_name=name, configs=rows)
        return m.IncrementalAlterConfigsRequest(resources=(resource,), validate_only=validate_only)

    (result,) = (await world.ask(ApiKey.INCREMENTAL_ALTER_CONFIGS, version, build)).responses
    return result


async def replace(world, resource_type, name, configs, version=2):
    def build(m):
        rows = tuple(m.AlterableConfig(name=k, value=v) for k, v in configs.items())
        resource = m.AlterConfigsResource(resource_type=resource_type, resource_name=name, configs=rows)
        return m.AlterConfigsRequest(resources=(resource,), validate_only=False)

    (result,) = (await world.ask(ApiKey.ALTER_CONFIGS, version, build)).responses
    return result


@pytest.mark.parametrize("version", range(1, 5))
async def test_describe_returns_every_option_of_topics_and_brokers(world, version):
    await world.create_topic("t")
    topic = await describe(world, TOPIC, "t", version=version)
    assert {row.name for row in topic.configs} == set(TOPIC_OPTIONS)
    broker = await describe(world, BROKER, str(NODE), version=version)
    assert {row.name for row in broker.configs} == set(BROKER_OPTIONS)
    if version >= 3:
        assert all(row.documentation and row.config_type for row in topic.configs)


async def test_describe_leaves_out_what_was_not_asked_for(world):
    await world.create_topic("t")
    result = await describe(world, TOPIC, "t", "retention.ms", "nope", synonyms=False, documentation=False)
    (row,) = result.configs
    assert (row.name, row.synonyms, row.documentation) == ("retention.ms", (), None)


async def test_a_value_comes_from_the_most_specific_place(tmp_path):
    """The order and names are those that Apache Kafka 4.3.1 answers."""
    world = await World.start(tmp_path, log_retention_hours=2)
    await world.create_topic("t")
    hours = [("log.retention.hours", "2", 4), ("log.retention.hours", "168", 5)]
    assert await config(world, TOPIC, "t", "retention.ms") == ("7200000", 4, hours)
    await change(world, BROKER, "", (SET, "log.retention.ms", "777"))
    cluster = [("log.retention.ms", "777", 3), *hours]
    assert await config(world, TOPIC, "t", "retention.ms") == ("777", 3, cluster)
    await change(world, BROKER, str(NODE), (SET, "log.retention.ms", "778"))
    broker = [("log.retention.ms", "778", 2), *cluster]
    assert await config(world, TOPIC, "t", "retention.ms") == ("778", 2, broker)
    assert world.engine.configs["t"]["retention.ms"] == "778"
    await change(world, TOPIC, "t", (SET, "retention.ms", "779"))
    assert await config(world, TOPIC, "t", "retention.ms") == ("779", 1, [("retention.ms", "779", 1), *broker])
    for resource_type, name, key in (
        (TOPIC, "t", "retention.ms"),
        (BROKER, str(NODE), "log.retention.ms"),
        (BROKER, "", "log.retention.ms"),
    ):
        assert (await change(world, resource_type, name, (DELETE, key, None))).error_code == 0
    assert await config(world, TOPIC, "t", "retention.ms") == ("7200000", 4, hours)
    assert world.engine.configs["t"]["retention.ms"] == "7200000"
    await world.stop()


async def test_no_limit_stays_no_limit_in_every_unit(tmp_path):
    world = await World.start(tmp_path, log_retention_hours=-1)
    await world.create_topic("t")
    assert world.engine.configs["t"]["retention.ms"] == "-1"
    await world.stop()


async def test_run_time_settings_survive_a_restart(tmp_path):
    world = await World.start(tmp_path)
    await world.create_topic("t")
    await change(world, BROKER, "", (SET, "log.segment.bytes", "2000000"))
    await change(world, TOPIC, "t", (SET, "cleanup.policy", "compact"))
    await world.stop()
    again = await World.start(tmp_path)
    assert again.engine.configs["t"]["segment.bytes"] == "2000000"
    assert again.engine.configs["t"]["cleanup.policy"] == "compact"
    await again.stop()


async def test_the_default_of_all_brokers_shows_what_is_set_for_all(world):
    assert (await describe(world, BROKER, "")).configs == ()
    await change(world, BROKER, "", (SET, "log.retention.ms", "5"))
    (row,) = (await describe(world, BROKER, "")).configs
    assert (row.name, row.value, row.config_source, row.read_only) == ("log.retention.ms", "5", 3, False)


async def test_only_what_needs_no_restart_is_not_read_only(world):
    rows = {row.name: row for row in (await describe(world, BROKER, str(NODE))).configs}
    assert rows["num.partitions"].read_only
    assert not rows["log.retention.ms"].read_only
    await world.create_topic("t")
    assert not any(row.read_only for row in (await describe(world, TOPIC, "t")).configs)


@pytest.mark.parametrize(
    ("before", "op", "value", "after"),
    [
        (None, APPEND, "compact", "delete,compact"),
        ("compact", APPEND, "compact", "compact"),
        ("compact", APPEND, "delete", "compact,delete"),
        ("compact,delete", SUBTRACT, "delete", "compact"),
        ("compact", SUBTRACT, "delete", "compact"),
        ("compact", SUBTRACT, "compact", ""),
    ],
)
async def test_lists_grow_and_shrink_by_words(world, before, op, value, after):
    await world.create_topic("t", **({} if before is None else {"cleanup_policy": before}))
    assert (await change(world, TOPIC, "t", (op, "cleanup.policy", value))).error_code == 0
    assert world.engine.configs["t"]["cleanup.policy"] == after


REFUSED = {
    "unknown option": (TOPIC, "t", [(SET, "nope", "1")], ErrorCode.INVALID_CONFIG),
    "bad value": (TOPIC, "t", [(SET, "retention.ms", "x")], ErrorCode.INVALID_CONFIG),
    "bad value second": (TOPIC, "t", [(SET, "flush.ms", "1"), (SET, "retention.ms", "x")], ErrorCode.INVALID_CONFIG),
    "append to a number": (TOPIC, "t", [(APPEND, "retention.ms", "1")], ErrorCode.INVALID_CONFIG),
    "append a bad word": (TOPIC, "t", [(APPEND, "cleanup.policy", "no")], ErrorCode.INVALID_CONFIG),
    "no value": (TOPIC, "t", [(SET, "retention.ms", None)], ErrorCode.INVALID_REQUEST),
    "unknown operation": (TOPIC, "t", [(9, "retention.ms", "1")], ErrorCode.INVALID_REQUEST),
    "option twice": (TOPIC, "t", [(SET, "retention.ms", "1"), (DELETE, "retention.ms", None)], ErrorCode.INVALID_REQUEST),
    "contradiction": (TOPIC, "t", [(SET, "min.compaction.lag.ms", "9"), (SET, "max.compaction.lag.ms", "8")], ErrorCode.INVALID_CONFIG),
    "unknown topic": (TOPIC, "no", [(SET, "retention.ms", "1")], ErrorCode.UNKNOWN_TOPIC_OR_PARTITION),
    "bad topic name": (TOPIC, "a/b", [(SET, "retention.ms", "1")], ErrorCode.INVALID_TOPIC_EXCEPTION),
    "all topics": (TOPIC, "", [(SET, "retention.ms", "1")], ErrorCode.INVALID_REQUEST),
    "other broker": (BROKER, "99", [(SET, "log.retention.ms", "1")], ErrorCode.INVALID_REQUEST),
    "no broker number": (BROKER, "x", [(SET, "log.retention.ms", "1")], ErrorCode.INVALID_REQUEST),
    "read-only": (BROKER, "", [(SET, "num.partitions", "3")], ErrorCode.INVALID_REQUEST),
    "unknown broker option": (BROKER, "", [(SET, "nope", "3")], ErrorCode.INVALID_CONFIG),
    "bad broker value": (BROKER, "", [(SET, "log.retention.ms", "x")], ErrorCode.INVALID_CONFIG),
    "logger": (8, str(NODE), [(SET, "root", "DEBUG")], ErrorCode.INVALID_REQUEST),
    "no such type": (99, "x", [], ErrorCode.INVALID_REQUEST),
}  # fmt: skip


@pytest.mark.parametrize(("resource_type", "name", "ops", "code"), REFUSED.values(), ids=REFUSED)
async def test_a_bad_change_is_refused_and_changes_nothing(world, resource_type, name, ops, code):
    await world.create_topic("t", flush_ms="7")
    before = dict(world.engine.configs["t"])
    result = await change(world, resource_type, name, *ops)
    assert result.error_code == code
    assert result.error_message
    assert (result.resource_type, result.resource_name) == (resource_type, name)
    assert world.engine.configs["t"] == before
    assert world.services.configs.topic_overrides("t") == {"flush.ms": "7"}


async def test_validate_only_checks_and_changes_nothing(world):
    await world.create_topic("t")
    good = await change(world, TOPIC, "t", (SET, "retention.ms", "5"), validate_only=True)
    bad = await change(world, TOPIC, "t", (SET, "retention.ms", "x"), validate_only=True)
    assert [good.error_code, bad.error_code] == [0, ErrorCode.INVALID_CONFIG]
    assert world.engine.configs["t"]["retention.ms"] == "604800000"


@pytest.mark.parametrize("version", range(3))
async def test_alter_configs_replaces_what_was_set(world, version):
    await world.create_topic("t", flush_ms="7", retention_ms="5")
    assert (await replace(world, TOPIC, "t", {"retention.ms": "6"}, version)).error_code == 0
    assert world.services.configs.topic_overrides("t") == {"retention.ms": "6"}
    assert (await replace(world, TOPIC, "t", {}, version)).error_code == 0
    assert world.services.configs.topic_overrides("t") == {}
    assert (await replace(world, TOPIC, "t", {"retention.ms": None}, version)).error_code == ErrorCode.INVALID_REQUEST


async def test_changes_at_the_same_time_do_not_lose_each_other(world):
    await world.create_topic("t")
    names = ["retention.ms", "flush.ms", "segment.ms", "delete.retention.ms", "file.delete.delay.ms"]
    await asyncio.gather(*(change(world, TOPIC, "t", (SET, name, "9")) for name in names))
    assert world.services.configs.topic_overrides("t") == dict.fromkeys(names, "9")


async def test_a_resource_named_twice_is_refused(world):
    await world.create_topic("t")

    def build(m):
        row = m.AlterableConfig(name="retention.ms", config_operation=SET, value="1")
        resource = m.AlterConfigsResource(resource_type=TOPIC, resource_name="t", configs=(row,))
        return m.IncrementalAlterConfigsRequest(resources=(resource, resource), validate_only=False)

    response = await world.ask(ApiKey.INCREMENTAL_ALTER_CONFIGS, 1, build)
    assert [row.error_code for row in response.responses] == [ErrorCode.INVALID_REQUEST] * 2
    assert world.services.configs.topic_overrides("t") == {}


@pytest.mark.parametrize(
    ("resource_type", "name", "code"),
    [
        (TOPIC, "no", 3),
        (TOPIC, "a/b", 17),
        (TOPIC, "", 42),
        (BROKER, "99", 42),
        (BROKER, "x", 42),
        (99, "x", 42),
        (8, "7", 42),
    ],
)
async def test_describing_what_is_not_there_is_refused(world, resource_type, name, code):
    result = await describe(world, resource_type, name)
    assert (result.error_code, result.configs) == (code, ())
    assert result.error_message
