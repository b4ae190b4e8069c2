"""ListGroups (key 16), versions 0 to 5: the groups this broker coordinates.

Errors: COORDINATOR_LOAD_IN_PROGRESS (14) while some are still being read. Filters are lists of names, in any case;
an empty one lets everything pass. Types are `classic` and `consumer`; a group that only commits offsets is classic and
has no protocol type.

v1 throttle time    v3 flexible    v4 filter by state (KIP-518)    v5 filter by type (KIP-848)
"""

from typing import Any, Final

from odradek.broker.context import RequestContext
from odradek.errors import ErrorCode, KafkaError
from odradek.protocol.api_keys import ApiKey

__all__ = ["API_KEY", "VERSIONS", "handle"]

API_KEY: Final = ApiKey.LIST_GROUPS
VERSIONS: Final = (0, 5)


async def handle(ctx: RequestContext, request: Any) -> Any:
    """Answer a ListGroups request."""
    m = ctx.schema
    states = {state.lower() for state in getattr(request, "states_filter", ())}
    types = {kind.lower() for kind in getattr(request, "types_filter", ())}
    try:
        groups = ctx.broker.groups.groups()
    except KafkaError as error:
        return m.ListGroupsResponse(error_code=error.error_code, groups=())
    return m.ListGroupsResponse(
        error_code=ErrorCode.NONE,
        groups=tuple(
            m.ListedGroup(
                group_id=group.group_id,
                protocol_type=group.protocol_type,
                group_state=group.state.value,
                group_type=group.type_name,
            )
            for group in groups
            if (not states or group.state.value.lower() in states) and (not types or group.type_name in types)
        ),
    )
