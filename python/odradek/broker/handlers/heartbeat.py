"""Heartbeat (key 12), versions 0 to 4: stay a member of a classic group; hear whether to join again.

Errors: REBALANCE_IN_PROGRESS (27), ILLEGAL_GENERATION (22), UNKNOWN_MEMBER_ID (25), FENCED_INSTANCE_ID (82) and the
coordinator's own. While the coordinator is still reading its log nobody can be late: the answer is NONE.

v1 throttle time    v3 static members (KIP-345)    v4 flexible
"""

from typing import Any, Final

from odradek.broker.context import RequestContext
from odradek.broker.coordinator.group.members import Identity
from odradek.errors import CoordinatorLoadInProgressError, ErrorCode, KafkaError
from odradek.protocol.api_keys import ApiKey

__all__ = ["API_KEY", "VERSIONS", "handle"]

API_KEY: Final = ApiKey.HEARTBEAT
VERSIONS: Final = (0, 4)


async def handle(ctx: RequestContext, request: Any) -> Any:
    """Answer a Heartbeat request."""
    who = Identity(request.member_id, getattr(request, "group_instance_id", None), request.generation_id)
    try:
        code = ctx.broker.groups.heartbeat(request.group_id, who)
    except CoordinatorLoadInProgressError:
        code = ErrorCode.NONE
    except KafkaError as error:
        code = error.error_code
    return ctx.schema.HeartbeatResponse(error_code=code)
