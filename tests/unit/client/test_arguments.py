"""Arguments that can't be meant: refused before any broker is asked, with what was given and what may be."""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import Awaitable, Callable, Iterator
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

import odradek
from odradek import aio
from odradek.client.arguments import seconds, several
from odradek.errors import ConfigError

NOBODY = "127.0.0.1:1"
PLACE = odradek.TopicPartition("orders", 0)
TIMEOUT = "is not allowed; allowed: seconds from 0, or None"

CONSUMER = {
    "poll-below-0": (lambda one: one.poll(-1), "timeout: -1 is not allowed; allowed: seconds from 0, or None"),
    "poll-text": (lambda one: one.poll("1"), f"timeout: '1' {TIMEOUT}"),
    "poll-nan": (lambda one: one.poll(math.nan), f"timeout: nan {TIMEOUT}"),
    "poll-arrow": (lambda one: one.poll_arrow(-0.5), f"timeout: -0.5 {TIMEOUT}"),
    "close": (lambda one: one.close("soon"), f"timeout: 'soon' {TIMEOUT}"),
    "position-timeout": (lambda one: one.position(PLACE, timeout="x"), f"timeout: 'x' {TIMEOUT}"),
    "commit-timeout": (lambda one: one.commit({PLACE: 1}, timeout=-1), f"timeout: -1 {TIMEOUT}"),
    "subscribe-number": (
        lambda one: one.subscribe(5),
        "subscribe: topics: 5 is not allowed; allowed: a topic name, or several in a list",
    ),
    "subscribe-bytes": (lambda one: one.subscribe(b"orders"), "subscribe: topics: b'orders' is not allowed"),
    "subscribe-numbers": (lambda one: one.subscribe([5]), "subscribe: topics: 5 in the list is not allowed"),
    "subscribe-callback": (lambda one: one.subscribe("t", on_lost=5), "subscribe: on_lost: 5 can't be called"),
    "assign-number": (
        lambda one: one.assign(5),
        "partitions: 5 is not allowed; allowed: a TopicPartition, or several in a list",
    ),
    "assign-name": (lambda one: one.assign("orders"), "partitions: 'orders' is not allowed"),
    "assign-flag": (lambda one: one.assign([("orders", True)]), "is no TopicPartition(topic, partition)"),
    "position-of-two": (lambda one: one.position([PLACE, PLACE]), "is no TopicPartition(topic, partition)"),
    "partitions-for": (lambda one: one.partitions_for(5), "5 is no topic name; give a str"),
}
ADMIN = {
    "create": (
        lambda one: one.create_topics(5),
        "create_topics: topics: 5 is not allowed; allowed: a topic name or a NewTopic, or several in a list",
    ),
    "create-counts": (
        lambda one: one.create_topics({"orders": 3}),
        "create_topics: topics: {'orders': 3} is not allowed",
    ),
    "create-bytes": (lambda one: one.create_topics(b"orders"), "create_topics: topics: b'orders' is not allowed"),
    "delete": (lambda one: one.delete_topics([5]), "delete_topics: topics: 5 in the list is not allowed"),
    "describe": (lambda one: one.describe_topics(None), "describe_topics: topics: None is not allowed"),
    "grow": (lambda one: one.create_partitions({"orders": "3"}), "create_partitions: '3' is no number of partitions"),
    "grow-list": (lambda one: one.create_partitions(5), "create_partitions: totals: 5 is no mapping of topic names"),
    "records": (lambda one: one.delete_records({PLACE: "x"}), "delete_records: 'x' is no offset"),
    "configs": (lambda one: one.describe_configs(["orders"]), "resources: 'orders' in the list is not allowed"),
    "alter": (lambda one: one.alter_configs({"orders": {"a": "b"}}), "alter_configs: changes: 'orders' is not allowed"),
    "kinds": (lambda one: one.list_config_resources(["tpic"]), "kind 'tpic' is none of unknown, topic, broker"),
    "states": (lambda one: one.list_groups(states=5), "list_groups: states: 5 is not allowed"),
    "groups": (lambda one: one.delete_groups([5]), "groups: 5 in the list is not allowed; allowed: a group id"),
    "group": (lambda one: one.list_group_offsets(5), "5 is no group id; give a str"),
    "members": (lambda one: one.remove_group_members("g", ["m"]), "members: 'm' in the list is not allowed"),
    "offsets": (lambda one: one.list_offsets({"orders": "latest"}), "'orders' is no TopicPartition"),
    "commits": (lambda one: one.alter_group_offsets("g", {PLACE: "5"}), "alter_group_offsets: '5' is no offset"),
    "node": (lambda one: one.api_versions("1"), "api_versions: '1' is no node id"),
    "moves": (lambda one: one.alter_partition_reassignments(5), "replicas: 5 is no mapping of TopicPartition"),
    "timeout": (lambda one: one.list_topics(timeout=-1), f"timeout: -1 {TIMEOUT}"),
}
Call = Callable[[Any], Any]


@pytest.fixture
def consumer() -> Iterator[odradek.Consumer]:
    with odradek.Consumer(NOBODY, group_id="readers") as consumer:
        yield consumer


@pytest.mark.parametrize(("call", "says"), CONSUMER.values(), ids=CONSUMER)
def test_a_consumer_says_what_is_wrong_with_an_argument(consumer: odradek.Consumer, call: Call, says: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(says)):
        call(consumer)


@pytest.mark.parametrize(("call", "says"), CONSUMER.values(), ids=CONSUMER)
async def test_so_does_the_one_for_asyncio(call: Callable[[Any], Awaitable[object]], says: str) -> None:
    async with aio.Consumer(NOBODY, group_id="readers") as consumer:
        with pytest.raises(ConfigError, match=re.escape(says)):
            await call(consumer)


@pytest.mark.parametrize(("call", "says"), ADMIN.values(), ids=ADMIN)
def test_an_admin_client_says_what_is_wrong_with_an_argument(call: Call, says: str) -> None:
    with odradek.Admin(NOBODY) as admin, pytest.raises(ConfigError, match=re.escape(says)):
        call(admin)


def test_a_commit_callback_that_cannot_be_called_does_not_wait_for_the_close_to_say_so(
    consumer: odradek.Consumer,
) -> None:
    with pytest.raises(ConfigError, match="commit_async: callback: 5 can't be called"):
        consumer.commit_async({PLACE: 1}, callback=5)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"name": 5}, "5 is no topic name"),
        ({"name": "t", "partitions": "3"}, "NewTopic: partitions '3' is not allowed"),
        ({"name": "t", "replication_factor": 2**15}, "NewTopic: replication_factor 32768 is not allowed"),
        ({"name": "t", "configs": ["a"]}, r"NewTopic: configs: \['a'\] is no mapping"),
    ],
)
def test_a_topic_that_could_never_be_made_is_refused_where_it_is_described(wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        odradek.NewTopic(**wrong)


@pytest.mark.parametrize("given", [0, 2, 0.25, math.inf, Decimal("0.25"), Fraction(1, 4), None])
def test_seconds_may_be_any_number_from_0_or_none(given: Any) -> None:
    assert seconds(given) == given


def test_things_given_twice_count_once_whether_or_not_they_have_a_hash() -> None:
    topic = odradek.NewTopic("orders", configs={"retention.ms": "1"})
    assert several("topics", ["b", "a", "b"], str, "a name") == ["b", "a"]
    assert several("topics", [topic, "a", topic], (str, odradek.NewTopic), "a topic") == [topic, "a"]
    assert several("topics", "a", str, "a name") == ["a"]


def test_one_partition_may_be_assigned_without_a_list(consumer: odradek.Consumer) -> None:
    consumer.assign(PLACE)
    assert consumer.assignment() == {PLACE}


def test_a_refused_close_leaves_the_consumer_open() -> None:
    async def main() -> set[odradek.TopicPartition]:
        async with aio.Consumer(NOBODY) as consumer:
            await consumer.assign(PLACE)
            with pytest.raises(ConfigError):
                await consumer.close(-1)
            return consumer.assignment()

    assert asyncio.run(main()) == {PLACE}
