"""IncrementalAlterConfigs (44), versions 0-1.

Behaviour: settings are set, deleted (back to the default), appended to or subtracted from (lists), on a topic, on this
    broker, or for all brokers (""); what isn't named stays. All of a resource's changes are made or none; they are in
    effect when the answer comes. Errors of a resource: UNKNOWN_TOPIC_OR_PARTITION (3), INVALID_TOPIC_EXCEPTION (17),
    INVALID_CONFIG (40), INVALID_REQUEST (42) a resource or a setting named twice, or an unknown operation.
Left out: broker loggers (8), client metrics (16), groups (32): INVALID_REQUEST (42).

v0: the first (KIP-339). v1: flexible.
"""

from collections import Counter
from typing import Any, Final

from odradek.broker.context import RequestContext
from odradek.broker.controller.alteration import Change, Operation, alter, target_of
from odradek.errors import ErrorCode, InvalidRequestError, KafkaError
from odradek.protocol.api_keys import ApiKey

API_KEY: Final = ApiKey.INCREMENTAL_ALTER_CONFIGS
VERSIONS: Final = (0, 1)


async def handle(ctx: RequestContext, request: Any) -> Any:
    """Change the settings of each resource."""
    count = Counter((resource.resource_type, resource.resource_name) for resource in request.resources)
    rows = []
    for resource in request.resources:
        code, message = ErrorCode.NONE, None
        try:
            if count[resource.resource_type, resource.resource_name] > 1:
                raise InvalidRequestError("the resource is named more than once")
            await _alter(ctx, resource, validate_only=request.validate_only)
        except KafkaError as error:
            code, message = error.error_code, str(error)
        rows.append(
            ctx.schema.AlterConfigsResourceResponse(
                error_code=code,
                error_message=message,
                resource_type=resource.resource_type,
                resource_name=resource.resource_name,
            )
        )
    return ctx.schema.IncrementalAlterConfigsResponse(responses=tuple(rows))


async def _alter(ctx: RequestContext, resource: Any, *, validate_only: bool) -> None:
    broker = ctx.broker
    target = target_of(resource.resource_type, resource.resource_name, broker.topics, broker.node_id)
    changes = []
    for config in resource.configs:
        try:
            operation = Operation(config.config_operation)
        except ValueError:
            raise InvalidRequestError(f"{config.name}: there is no operation {config.config_operation}") from None
        changes.append(Change(config.name, operation, config.value))
    await alter(target, changes, broker.topics, broker.configs, replace=False, validate_only=validate_only)
