"""Settings of topics, brokers and groups: describe, alter, list what has any."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from odradek.client.admin.calls import Calls
from odradek.client.admin.outcomes import check, refusal, settle_rows
from odradek.client.admin.values import (
    CONFIG_SOURCES,
    CONFIG_TYPES,
    RESOURCE_CODES,
    RESOURCE_KINDS,
    ConfigAppend,
    ConfigChange,
    ConfigEntry,
    ConfigResource,
    ConfigSubtract,
    ConfigSynonym,
    ResourceKind,
)
from odradek.client.arguments import mapping, several
from odradek.client.cluster import ANY, CONTROLLER
from odradek.errors import ConfigError, KafkaError
from odradek.protocol.api_keys import ApiKey
from odradek.protocol.codec import Schema

__all__ = ["ConfigCalls"]

_SET, _DELETE, _APPEND, _SUBTRACT = range(4)
"""Kafka's `AlterConfigOp.OpType`."""
_CHANGES: Final = "of ConfigResource to settings and their values"
_OF_ONE_BROKER: Final = frozenset({"broker", "broker_logger"})


class ConfigCalls(Calls):
    """Settings."""

    async def describe_configs(
        self,
        resources: ConfigResource | Iterable[ConfigResource],
        *,
        names: Iterable[str] | None = None,
        include_synonyms: bool = False,
        include_documentation: bool = False,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> dict[ConfigResource, dict[str, ConfigEntry]]:
        """Return the settings of topics, brokers and the like.

        Args:
            resources: one or several; `ConfigResource("topic", "orders")`, `ConfigResource("broker", "1")`.
            names: which settings; None = all.
            include_synonyms: also say where each value comes from.
            include_documentation: also say what each setting means.
            timeout: seconds; None = `default_api_timeout_ms`.

        Returns:
            Settings by name, of each resource.

        Raises:
            UnknownTopicOrPartitionError, InvalidRequestError: there is no such resource.
        """
        keys = None if names is None else tuple(several("describe_configs: names", names, str, "the name of a setting"))
        deadline = self._deadline(timeout)
        rows: list[tuple[ConfigResource, KafkaError | None, dict[str, ConfigEntry]]] = []
        for node, some in _by_node(_listed("describe_configs: resources", resources), ANY).items():

            def build(m: Schema, some: list[ConfigResource] = some) -> Any:
                return m.DescribeConfigsRequest(
                    resources=tuple(
                        m.DescribeConfigsResource(
                            resource_type=RESOURCE_CODES[resource.kind],
                            resource_name=resource.name,
                            configuration_keys=keys,
                        )
                        for resource in some
                    ),
                    include_synonyms=include_synonyms,
                    include_documentation=include_documentation,
                )

            answer = await self._ask(deadline, ApiKey.DESCRIBE_CONFIGS, build, node=node)
            for row in answer.results:
                resource = _resource(row)
                rows.append((resource, _refusal(resource, row), {entry.name: _entry(entry) for entry in row.configs}))
        return settle_rows(rows)

    async def alter_configs(
        self,
        changes: Mapping[ConfigResource, Mapping[str, ConfigChange]],
        *,
        validate_only: bool = False,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> dict[ConfigResource, None]:
        """Change some settings; those that are not named stay as they are (KIP-339).

        Args:
            changes: by resource, by setting: a value, None = back to the default, `ConfigAppend` or `ConfigSubtract` for lists.
            validate_only: only check whether it would work.
            timeout: seconds; None = `default_api_timeout_ms`.

        Raises:
            InvalidConfigError, UnknownTopicOrPartitionError, InvalidRequestError: what the broker says of the first one.
        """
        deadline = self._deadline(timeout)
        rows: list[tuple[ConfigResource, KafkaError | None, None]] = []
        for resource, settings in mapping("alter_configs: changes", changes, _CHANGES).items():
            _listed("alter_configs: changes", resource)
            mapping(f"alter_configs: changes of {resource.name!r}", settings, "of names to values")
        for node, some in _by_node(list(changes), CONTROLLER).items():

            def build(m: Schema, some: list[ConfigResource] = some) -> Any:
                resources = tuple(
                    m.AlterConfigsResource(
                        resource_type=RESOURCE_CODES[resource.kind],
                        resource_name=resource.name,
                        configs=tuple(_altered(m, name, change) for name, change in changes[resource].items()),
                    )
                    for resource in some
                )
                return m.IncrementalAlterConfigsRequest(resources=resources, validate_only=validate_only)

            answer = await self._ask(
                deadline,
                ApiKey.INCREMENTAL_ALTER_CONFIGS,
                build,
                node=node,
                codes=lambda answer: [row.error_code for row in answer.responses],
            )
            for row in answer.responses:
                resource = _resource(row)
                rows.append((resource, _refusal(resource, row), None))
        return settle_rows(rows)

    async def list_config_resources(
        self,
        kinds: Iterable[ResourceKind] = (),
        *,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> list[ConfigResource]:
        """Return what has settings, sorted; of the kinds given, or of all that the broker lists (KIP-1142)."""
        wanted = several("list_config_resources: kinds", kinds, str, "a kind of resource")
        wrong = [kind for kind in wanted if kind not in RESOURCE_CODES]
        if wrong:
            raise ConfigError(f"list_config_resources: kind {wrong[0]!r} is none of {', '.join(RESOURCE_CODES)}")
        codes = tuple(RESOURCE_CODES[kind] for kind in wanted)
        answer = await self._ask(
            self._deadline(timeout),
            ApiKey.LIST_CONFIG_RESOURCES,
            lambda m: m.ListConfigResourcesRequest(resource_types=codes),
            versions=(1, 1),
        )
        check(answer.error_code, "the list of config resources")
        return sorted(_resource(row) for row in answer.config_resources)


def _listed(what: str, resources: ConfigResource | Iterable[ConfigResource]) -> list[ConfigResource]:
    return several(what, resources, ConfigResource, "a ConfigResource")


def _by_node(resources: Iterable[ConfigResource], otherwise: int) -> dict[int, list[ConfigResource]]:
    """Group resources by the broker that has to be asked: a broker about itself, `otherwise` about the rest."""
    grouped: dict[int, list[ConfigResource]] = {}
    for resource in resources:
        of_one = resource.kind in _OF_ONE_BROKER and resource.name.isdecimal()
        grouped.setdefault(int(resource.name) if of_one else otherwise, []).append(resource)
    return grouped


def _altered(m: Schema, name: str, change: ConfigChange) -> Any:
    operation, value = _SET, None
    if change is None:
        operation = _DELETE
    elif isinstance(change, ConfigAppend):
        operation, value = _APPEND, change.values
    elif isinstance(change, ConfigSubtract):
        operation, value = _SUBTRACT, change.values
    else:
        value = str(change).lower() if isinstance(change, bool) else str(change)
    return m.AlterableConfig(name=name, config_operation=operation, value=value)


def _resource(row: Any) -> ConfigResource:
    return ConfigResource(RESOURCE_KINDS.get(row.resource_type, "unknown"), row.resource_name)


def _refusal(resource: ConfigResource, row: Any) -> KafkaError | None:
    return refusal(row.error_code, f"{resource.kind} {resource.name!r}", row.error_message)


def _named(names: tuple[str, ...], number: int) -> str:
    return names[number] if 0 <= number < len(names) else "unknown"


def _entry(row: Any) -> ConfigEntry:
    return ConfigEntry(
        name=row.name,
        value=row.value,
        source=_named(CONFIG_SOURCES, row.config_source),
        read_only=row.read_only,
        sensitive=row.is_sensitive,
        type=_named(CONFIG_TYPES, getattr(row, "config_type", 0)),
        synonyms=tuple(
            ConfigSynonym(synonym.name, synonym.value, _named(CONFIG_SOURCES, synonym.source))
            for synonym in row.synonyms
        ),
        documentation=getattr(row, "documentation", None),
    )
