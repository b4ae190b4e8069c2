"""ListConfigResources (74), versions 0-1.

Behaviour: topics (2) and this broker (4), all or those of the types asked for. A type Kafka doesn't know is
    UNSUPPORTED_VERSION (35).
Left out: broker loggers (8), client metrics (16) and groups (32) have no settings here: none are listed.

v0: client metrics only (KIP-714). v1: any type (KIP-1142).
"""

from typing import Any, Final

from odradek.broker.context import RequestContext
from odradek.errors import ErrorCode
from odradek.protocol.api_keys import ApiKey

API_KEY: Final = ApiKey.LIST_CONFIG_RESOURCES
VERSIONS: Final = (0, 1)

_TOPIC: Final = 2
_BROKER: Final = 4
_KNOWN: Final = frozenset({2, 4, 8, 16, 32})


async def handle(ctx: RequestContext, request: Any) -> Any:
    """List what has settings."""
    m = ctx.schema
    types = set(request.resource_types or _KNOWN) if ctx.api_version >= 1 else set()
    if not types <= _KNOWN:
        return m.ListConfigResourcesResponse(error_code=ErrorCode.UNSUPPORTED_VERSION, config_resources=())
    rows: list[Any] = []
    if _BROKER in types:
        rows.append(m.ConfigResource(resource_name=str(ctx.broker.node_id), resource_type=_BROKER))
    if _TOPIC in types:
        rows += [m.ConfigResource(resource_name=name, resource_type=_TOPIC) for name in ctx.broker.topics.names()]
    return m.ListConfigResourcesResponse(error_code=ErrorCode.NONE, config_resources=tuple(rows))
