"""Changes of settings that clients ask for, checked: the common part of AlterConfigs and IncrementalAlterConfigs.

Topics and brokers can be changed; a broker only in what takes effect without a restart. Errors, as KafkaError:
    INVALID_REQUEST (42): another kind of resource, another broker, a key twice, a value missing, or a read-only option;
    UNKNOWN_TOPIC_OR_PARTITION (3), INVALID_TOPIC_EXCEPTION (17); INVALID_CONFIG (40): unknown option or bad value.
"""

from collections.abc import Iterable, Mapping
from enum import IntEnum
from typing import NamedTuple

from odradek.broker.controller.configs import Configs
from odradek.broker.controller.names import check_name
from odradek.broker.controller.topics import Topics
from odradek.config.broker import BROKER_OPTIONS
from odradek.config.definition import Kind, Option, Scope, lookup
from odradek.config.topic import TOPIC_OPTIONS, parse_topic_configs
from odradek.errors import ConfigError, InvalidConfigError, InvalidRequestError, UnknownTopicOrPartitionError

__all__ = ["Change", "Operation", "Resource", "Target", "alter", "target_of"]


class Resource(IntEnum):
    """Kinds of what has settings; Kafka `ConfigResource.Type`."""

    TOPIC = 2
    BROKER = 4


class Operation(IntEnum):
    """What an incremental change does; Kafka `AlterConfigOp.OpType`."""

    SET = 0
    DELETE = 1
    APPEND = 2
    SUBTRACT = 3


class Change(NamedTuple):
    """One line of a request."""

    name: str
    operation: Operation
    value: str | None


class Target(NamedTuple):
    """An existing thing with settings, and the options it can have."""

    resource: Resource
    name: str
    options: dict[str, Option]


def target_of(resource_type: int, name: str, topics: Topics, node_id: int) -> Target:
    """Find what a request names; for a broker, "" stands for the default of all."""
    if resource_type == Resource.TOPIC:
        if not name:
            raise InvalidRequestError(
                "there are no settings for all topics; name a topic, or set the broker's defaults"
            )
        check_name(name)
        if topics.get(name) is None:
            raise UnknownTopicOrPartitionError(f"there is no topic {name!r}")
        return Target(Resource.TOPIC, name, TOPIC_OPTIONS)
    if resource_type == Resource.BROKER:
        if name not in {"", str(node_id)}:
            raise InvalidRequestError(f"this is broker {node_id}; it knows no settings of broker {name!r}")
        return Target(Resource.BROKER, name, BROKER_OPTIONS)
    raise InvalidRequestError(
        f"resources of type {resource_type} have no settings here; topics (2) and brokers (4) have"
    )


async def alter(
    target: Target,
    changes: Iterable[Change],
    topics: Topics,
    configs: Configs,
    *,
    replace: bool,
    validate_only: bool,
) -> None:
    """Check and make changes, all or none.

    Args:
        target: from `target_of`.
        changes: what to do; each option at most once.
        topics: the broker's.
        configs: the broker's.
        replace: forget what was set before.
        validate_only: check, but change nothing.
    """
    rows = list(changes)
    repeated = len({row.name for row in rows}) < len(rows)
    if repeated:
        raise InvalidRequestError("a config is named more than once")

    def change(before: Mapping[str, str]) -> dict[str, str]:
        return _checked(target, {} if replace else before, rows, configs)

    if target.resource is Resource.TOPIC:
        if validate_only:
            change(configs.topic_overrides(target.name))
        else:
            await topics.configure(target.name, change)
    elif validate_only:
        change(configs.broker_overrides(target.name))
    else:
        await topics.configure_brokers(target.name, change)


def _checked(target: Target, before: Mapping[str, str], changes: Iterable[Change], configs: Configs) -> dict[str, str]:
    after = dict(before)
    try:
        for change in changes:
            _apply(after, target, change, configs)
        if target.resource is Resource.TOPIC:
            parse_topic_configs(after)
    except ConfigError as error:
        raise InvalidConfigError(str(error)) from error
    return after


def _apply(texts: dict[str, str], target: Target, change: Change, configs: Configs) -> None:
    what = "topic config" if target.resource is Resource.TOPIC else "option"
    option = lookup(target.options, change.name, what)
    if target.resource is Resource.BROKER and option.scope is Scope.READ_ONLY:
        raise InvalidRequestError(f"{option.name} can't be changed while the broker runs; set it and restart")
    if change.operation is Operation.DELETE:
        texts.pop(option.name, None)
        return
    if change.value is None:
        raise InvalidRequestError(f"{option.name} needs a value")
    option.parse(change.value)
    if change.operation is Operation.SET:
        texts[option.name] = change.value
        return
    if option.kind is not Kind.LIST:
        raise InvalidConfigError(f"{option.name} is no list: nothing can be added to it or taken from it")
    texts[option.name] = _edited_list(texts.get(option.name), option, target, change, configs)


def _edited_list(own: str | None, option: Option, target: Target, change: Change, configs: Configs) -> str:
    """Add to or take from what is in effect, each word once."""
    if own is None and target.resource is Resource.TOPIC:
        own = configs.topic_texts(target.name)[option.name]
    elif own is None:
        own = next((entry.text for entry in configs.broker_entries() if entry.option is option), None)
    words = [word for word in (own or "").split(",") if word]
    given = [word.strip() for word in (change.value or "").split(",") if word.strip()]
    if change.operation is Operation.APPEND:
        words += [word for word in given if word not in words]
    else:
        words = [word for word in words if word not in given]
    return ",".join(words)
