"""LeaveGroup (key 13), versions 0 to 5: members leave a classic group, or an admin removes members of any.

From version 3 on several at once, each with its own result; an empty member id with an instance id removes a static
member (KIP-345). Errors of a member: UNKNOWN_MEMBER_ID (25), FENCED_INSTANCE_ID (82).

v1 throttle time    v3 several members    v4 flexible    v5 reason (KIP-800)
"""

from typing import Any, Final

from odradek.broker.context import RequestContext
from odradek.errors import ErrorCode, KafkaError
from odradek.protocol.api_keys import ApiKey

__all__ = ["API_KEY", "VERSIONS", "handle"]

API_KEY: Final = ApiKey.LEAVE_GROUP
VERSIONS: Final = (0, 5)


async def handle(ctx: RequestContext, request: Any) -> Any:
    """Answer a LeaveGroup request."""
    m = ctx.schema
    several = ctx.api_version >= 3
    who = (
        [(one.member_id, one.group_instance_id) for one in request.members] if several else [(request.member_id, None)]
    )
    try:
        errors = ctx.broker.groups.leave(request.group_id, who)
    except KafkaError as error:
        return m.LeaveGroupResponse(error_code=error.error_code, members=())
    if not several:
        return m.LeaveGroupResponse(error_code=errors[0])
    return m.LeaveGroupResponse(
        error_code=ErrorCode.NONE,
        members=tuple(
            m.MemberResponse(member_id=member_id, group_instance_id=instance_id, error_code=error)
            for (member_id, instance_id), error in zip(who, errors, strict=True)
        ),
    )
