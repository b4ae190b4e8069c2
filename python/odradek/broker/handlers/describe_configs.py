"""DescribeConfigs (32), versions 1-4.

Behaviour: every option of a topic or of this broker, set or not, with its source, whether it can be changed, and on
    request its synonyms (where the value could come from, the first being in effect) and its documentation. The broker
    "" stands for what is set at run time for all brokers. Names of options that aren't there are left out. Errors of a
    resource: UNKNOWN_TOPIC_OR_PARTITION (3), INVALID_TOPIC_EXCEPTION (17), INVALID_REQUEST (42).
Left out: broker loggers, client metrics, groups: INVALID_REQUEST (42). Options that odradek doesn't have aren't listed;
    those that it has without effect say so in their documentation.

v1: lowest since KIP-896; synonyms (KIP-226). v2: throttling after the response (KIP-219). v3: type and documentation
(KIP-569). v4: flexible.
"""

from collections.abc import Iterator
from typing import Any, Final

from odradek.broker.context import RequestContext
from odradek.broker.controller.alteration import Resource, target_of
from odradek.broker.controller.configs import Entry
from odradek.config.definition import Scope
from odradek.errors import ErrorCode, KafkaError
from odradek.protocol.api_keys import ApiKey

API_KEY: Final = ApiKey.DESCRIBE_CONFIGS
VERSIONS: Final = (1, 4)


async def handle(ctx: RequestContext, request: Any) -> Any:
    """Describe each resource."""
    return ctx.schema.DescribeConfigsResponse(
        results=tuple(_result(ctx, resource, request) for resource in request.resources)
    )


def _result(ctx: RequestContext, resource: Any, request: Any) -> Any:
    code, message = ErrorCode.NONE, None
    wanted = set(resource.configuration_keys or ())
    rows: list[Any] = []
    try:
        entries = _entries(ctx, resource.resource_type, resource.resource_name)
        chosen = (entry for entry in entries if not wanted or entry.option.name in wanted)
        rows = [_row(ctx, entry, resource.resource_type, request) for entry in chosen]
    except KafkaError as error:
        code, message = error.error_code, str(error)
    return ctx.schema.DescribeConfigsResult(
        error_code=code,
        error_message=message,
        resource_type=resource.resource_type,
        resource_name=resource.resource_name,
        configs=tuple(rows),
    )


def _entries(ctx: RequestContext, resource_type: int, name: str) -> Iterator[Entry]:
    configs = ctx.broker.configs
    target = target_of(resource_type, name, ctx.broker.topics, ctx.broker.node_id)
    if target.resource is Resource.TOPIC:
        return configs.topic_entries(name)
    return configs.broker_entries() if name else configs.default_broker_entries()


def _row(ctx: RequestContext, entry: Entry, resource_type: int, request: Any) -> Any:
    m = ctx.schema
    option = entry.option
    synonyms: tuple[Any, ...] = ()
    if request.include_synonyms:
        synonyms = tuple(
            m.DescribeConfigsSynonym(
                name=synonym.name, value=None if option.sensitive else synonym.text, source=synonym.source
            )
            for synonym in entry.synonyms
        )
    documented = getattr(request, "include_documentation", False)
    return m.DescribeConfigsResourceResult(
        name=option.name,
        value=None if option.sensitive else entry.text,
        read_only=resource_type == Resource.BROKER and option.scope is Scope.READ_ONLY,
        config_source=entry.source,
        is_sensitive=option.sensitive,
        synonyms=synonyms,
        config_type=option.kind,
        documentation=option.doc if documented else None,
    )
