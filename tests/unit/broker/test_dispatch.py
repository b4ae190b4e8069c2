"""From the control queue to a handler and back: what becomes of requests that go wrong, and the table of handlers."""

import ast
import asyncio
import logging
from datetime import timedelta
from importlib import import_module
from pathlib import Path

import pytest
from kio.schema.index import api_key_map, schema_name_map
from kio.static.constants import EntityType
from quiet_broker import DISCONNECTED, World

from odradek.broker import dispatch, handlers
from odradek.broker.failure import failure
from odradek.errors import ErrorCode, InvalidRequestError, LogDirOfflineError
from odradek.protocol.api_keys import ApiKey
from odradek.protocol.codec import encode, response_class, schema

TABLE = handlers.load()
FOLDER = Path(handlers.__file__).parent
BY_HAND = {ApiKey.JOIN_GROUP, ApiKey.SYNC_GROUP}
"""Their answers are encoded by `protocol/group_answers.py`."""


def broken(world, error):
    """Make ListGroups, which has a top-level error code, and CreateTopics, which has none, fail."""

    async def handle(_ctx, _request):
        raise error

    for key in (ApiKey.DESCRIBE_CLUSTER, ApiKey.CREATE_PARTITIONS):
        row = TABLE[key]
        world.dispatcher._handlers = world.dispatcher._handlers | {  # private: only a bug gets here by itself
            key: handlers.Handler(key, row.versions, handle, advertised=True)
        }


async def ask_cluster(world):
    return await world.ask(
        ApiKey.DESCRIBE_CLUSTER, 1, lambda m: m.DescribeClusterRequest(include_cluster_authorized_operations=False)
    )


async def test_a_body_that_can_not_be_read_closes_the_connection(world):
    assert await world.send(ApiKey.CREATE_TOPICS, 7, b"\xff" * 10) is DISCONNECTED


@pytest.mark.parametrize(("key", "version"), [(ApiKey.CREATE_TOPICS, 8), (ApiKey.CREATE_TOPICS, 1), (99, 0), (-1, 0)])
async def test_what_is_not_served_closes_the_connection(world, key, version):
    assert await world.send(key, version, b"") is DISCONNECTED


async def test_an_error_of_the_whole_request_is_answered_with_its_code(world):
    broken(world, InvalidRequestError("no good"))
    answer = await ask_cluster(world)
    assert (answer.error_code, answer.error_message, answer.brokers) == (42, "no good", ())


async def test_a_failed_disk_is_answered_as_such(world):
    broken(world, LogDirOfflineError("/data is gone"))
    assert (await ask_cluster(world)).error_code == ErrorCode.KAFKA_STORAGE_ERROR


async def test_a_bug_is_logged_answered_and_survived(world, caplog):
    broken(world, ZeroDivisionError("oops"))
    with caplog.at_level(logging.ERROR, "odradek.broker"):
        assert (await ask_cluster(world)).error_code == ErrorCode.UNKNOWN_SERVER_ERROR
    assert "ZeroDivisionError" in caplog.text
    assert "DESCRIBE_CLUSTER version 1" in caplog.text
    assert (await world.create_topic("t")).error_code == 0


async def test_an_error_the_response_can_not_carry_closes_the_connection(world):
    broken(world, InvalidRequestError())
    body = b"\0\0\0\0" + b"\0\0\0\0" + b"\0"
    assert await world.send(ApiKey.CREATE_PARTITIONS, 0, body) is DISCONNECTED


async def test_an_offline_data_directory_ends_the_broker(world):
    import os

    world.engine.events.append(("log_dir_offline", "/data: input/output error"))
    world.engine.queue.clear()
    os.eventfd_write(world.engine.fd, 1)
    assert isinstance(await world.fatal.get(), LogDirOfflineError)


async def test_requests_still_waiting_are_cancelled_at_the_end(tmp_path):
    world = await World.start(tmp_path)
    entered = asyncio.Event()
    ended = []

    async def wait_for_ever(_ctx, _request):
        entered.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(True)

    row = TABLE[ApiKey.DESCRIBE_CLUSTER]
    world.dispatcher._handlers = {
        row.api_key: handlers.Handler(row.api_key, row.versions, wait_for_ever, advertised=True)
    }
    asking = asyncio.ensure_future(ask_cluster(world))
    await entered.wait()
    await world.stop()
    assert ended == [True]
    asking.cancel()


async def test_more_requests_than_are_taken_at_once_are_all_answered(world):
    answers = await asyncio.gather(*(ask_cluster(world) for _ in range(500)))
    assert [row.error_code for row in answers] == [0] * 500


async def test_requests_of_one_connection_are_served_one_after_the_other(world):
    def topic_body(m):
        topic = m.CreatableTopic(name="t", num_partitions=1, replication_factor=1, assignments=(), configs=())
        return m.CreateTopicsRequest(topics=(topic,))

    def deletion(m):
        return m.DeleteTopicsRequest(topic_names=("t",), timeout=timedelta(seconds=1))

    made, gone, again = await asyncio.gather(
        world.ask(ApiKey.CREATE_TOPICS, 4, topic_body),
        world.ask(ApiKey.DELETE_TOPICS, 4, deletion),
        world.ask(ApiKey.CREATE_TOPICS, 4, topic_body),
    )
    assert [made.topics[0].error_code, gone.responses[0].error_code, again.topics[0].error_code] == [0, 0, 0]


async def test_a_waiting_request_holds_up_its_own_connection_only(world):
    release = asyncio.Event()

    async def wait(_ctx, _request):
        await release.wait()
        raise InvalidRequestError

    row = TABLE[ApiKey.DESCRIBE_CLUSTER]
    waiting = handlers.Handler(row.api_key, row.versions, wait, advertised=True)
    world.dispatcher._handlers = world.dispatcher._handlers | {row.api_key: waiting}
    first = asyncio.ensure_future(ask_cluster(world))
    behind = asyncio.ensure_future(world.ask(ApiKey.LIST_CONFIG_RESOURCES, 0, lambda m: m.ListConfigResourcesRequest()))
    world.connection = 2
    other = await world.ask(ApiKey.LIST_CONFIG_RESOURCES, 0, lambda m: m.ListConfigResourcesRequest())
    assert other.error_code == 0
    assert not first.done()
    assert not behind.done()
    release.set()
    assert (await first).error_code == ErrorCode.INVALID_REQUEST
    assert (await behind).error_code == 0
    assert world.dispatcher._lanes == {}


# The table of handlers


@pytest.mark.parametrize("row", TABLE.values(), ids=lambda row: row.api_key.name)
def test_a_handler_is_named_after_its_api_and_documents_its_versions(row):
    module = import_module(row.handle.__module__)
    assert module.__name__.rpartition(".")[2] == row.api_key.name.lower()
    low, high = row.versions
    versions = schema_name_map[api_key_map[row.api_key]]
    assert low in versions
    assert high in versions
    name = "".join(part.capitalize() for part in row.api_key.name.split("_"))
    first = module.__doc__.split("\n", 1)[0]
    assert first.startswith(f"{name} ("), first
    assert str(int(row.api_key)) in first
    assert str(low) in first
    assert str(high) in first


def test_every_file_in_the_folder_is_a_handler():
    files = {path.stem for path in FOLDER.glob("*.py")} - {"__init__"}
    assert files == {row.api_key.name.lower() for row in TABLE.values()}


def every_field_of(name, api):
    """Fields of a struct over all versions of an API; None if no version has it."""
    fields = None
    for version, kinds in schema_name_map[api].items():
        for kind in kinds:
            if kind in {EntityType.request, EntityType.response}:
                module = import_module(f"kio.schema.{api}.v{version}.{kind.name}")
                cls = getattr(module, name, None)
                if cls is not None:
                    fields = (fields or set()) | set(cls.__dataclass_fields__)
    return fields


@pytest.mark.parametrize("row", TABLE.values(), ids=lambda row: row.api_key.name)
def test_a_handler_names_only_structs_and_fields_that_some_version_has(row):
    """A Schema drops what the version at hand lacks, so a misspelt field would silently never be sent."""
    module = import_module(row.handle.__module__)
    found = 0
    for node in ast.walk(ast.parse(Path(module.__file__).read_text())):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        owner = node.func.value
        is_schema = (isinstance(owner, ast.Name) and owner.id in {"m", "schema"}) or (
            isinstance(owner, ast.Attribute) and owner.attr == "schema"
        )
        if is_schema and node.func.attr[0].isupper():
            fields = every_field_of(node.func.attr, row.api_key.name.lower())
            assert fields is not None, node.func.attr
            names = {keyword.arg for keyword in node.keywords if keyword.arg}
            assert names <= fields, (node.func.attr, names - fields)
            found += 1
    assert found or not row.advertised or row.api_key in BY_HAND


@pytest.mark.parametrize("row", TABLE.values(), ids=lambda row: row.api_key.name)
def test_a_whole_failure_encodes_in_every_version(row):
    for version in range(row.versions[0], row.versions[1] + 1):
        response = failure(schema(row.api_key, version), ErrorCode.INVALID_REQUEST, "why")
        has_code = "error_code" in response_class(row.api_key, version).__dataclass_fields__
        assert (response is not None) == has_code
        if response is not None:
            assert response.error_code == ErrorCode.INVALID_REQUEST
            assert encode(response)


async def test_the_processor_is_offered_between_requests_even_if_they_wait(world, monkeypatch):
    """Members of a group wait for each other: 200 of them must not be one stretch of work, neither before nor after."""
    steps = []
    all_wait, release = asyncio.Event(), asyncio.Event()

    async def wait(_ctx, _request):
        steps.append("work")
        if steps.count("work") == 5:
            all_wait.set()
        await release.wait()
        steps.append("work")
        raise InvalidRequestError

    row = TABLE[ApiKey.DESCRIBE_CLUSTER]
    waiting = handlers.Handler(row.api_key, row.versions, wait, advertised=True)
    monkeypatch.setattr(world.dispatcher, "_handlers", world.dispatcher._handlers | {row.api_key: waiting})
    monkeypatch.setattr(dispatch.os, "sched_yield", lambda: steps.append("offer"))
    asking = []
    for world.connection in range(10, 15):
        asking.append(asyncio.ensure_future(ask_cluster(world)))
        await asyncio.sleep(0)  # it has taken its connection's number
    await all_wait.wait()
    assert steps == ["work", "offer"] * 4 + ["work"]
    steps.clear()
    release.set()
    await asyncio.gather(*asking)
    assert steps == ["work", "offer"] * 5
    steps.clear()
    await ask_cluster(world)
    assert steps == ["work", "work", "offer"], "what need not wait makes one offer"
