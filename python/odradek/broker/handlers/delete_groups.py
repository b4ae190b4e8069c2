"""DeleteGroups (key 42), versions 0 to 2: delete groups without members, with all their offsets.

Errors of a group: NON_EMPTY_GROUP (68), GROUP_ID_NOT_FOUND (69) and the coordinator's own.

v2 flexible
"""

from typing import Any, Final

from odradek.broker.context import RequestContext
from odradek.errors import ErrorCode, KafkaError
from odradek.protocol.api_keys import ApiKey

__all__ = ["API_KEY", "VERSIONS", "handle"]

API_KEY: Final = ApiKey.DELETE_GROUPS
VERSIONS: Final = (0, 2)


async def handle(ctx: RequestContext, request: Any) -> Any:
    """Answer a DeleteGroups request."""
    m = ctx.schema
    return m.DeleteGroupsResponse(
        results=tuple(
            m.DeletableGroupResult(group_id=group_id, error_code=_delete(ctx, group_id))
            for group_id in request.groups_names
        )
    )


def _delete(ctx: RequestContext, group_id: str) -> ErrorCode:
    try:
        code: ErrorCode = ctx.broker.groups.delete_group(group_id)
    except KafkaError as error:
        return error.error_code
    return code
