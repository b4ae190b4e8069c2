"""AlterConfigs (33), versions 0-2.

Behaviour: the settings given replace all that was set before on a topic, on this broker, or for all brokers (""). All
    of a resource's settings are taken or none; they are in effect when the answer comes. Errors of a resource:
    UNKNOWN_TOPIC_OR_PARTITION (3), INVALID_TOPIC_EXCEPTION (17), INVALID_CONFIG (40), INVALID_REQUEST (42).
Left out: nothing. IncrementalAlterConfigs is the better choice: this one forgets what it doesn't name.

v0: the first (KIP-133). v1: throttling after the response (KIP-219). v2: flexible.
"""

from typing import Any, Final

from odradek.broker.context import RequestContext
from odradek.broker.controller.alteration import Change, Operation, alter, target_of
from odradek.errors import ErrorCode, KafkaError
from odradek.protocol.api_keys import ApiKey

API_KEY: Final = ApiKey.ALTER_CONFIGS
VERSIONS: Final = (0, 2)


async def handle(ctx: RequestContext, request: Any) -> Any:
    """Replace the settings of each resource."""
    broker = ctx.broker
    rows = []
    for resource in request.resources:
        code, message = ErrorCode.NONE, None
        try:
            target = target_of(resource.resource_type, resource.resource_name, broker.topics, broker.node_id)
            changes = [Change(config.name, Operation.SET, config.value) for config in resource.configs]
            await alter(
                target, changes, broker.topics, broker.configs, replace=True, validate_only=request.validate_only
            )
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
    return ctx.schema.AlterConfigsResponse(responses=tuple(rows))
