"""JoinGroup (key 11), versions 0 to 9: become or stay a member of a classic group, in its next generation.

The answer comes when all members have joined or their time is up; it tells the leader of all members' subscriptions.
Errors: those of `ClassicGroup.join`, INVALID_SESSION_TIMEOUT (26), and the coordinator's own (14, 15, 16, 24).

v1 rebalance time-out of its own    v2 throttle time    v4 MEMBER_ID_REQUIRED (KIP-394)    v5 static members (KIP-345)
v6 flexible    v7 protocol type in the answer (KIP-559)    v8 reason (KIP-800)    v9 skip_assignment (KIP-814)
"""

from datetime import timedelta
from typing import Any, Final

from odradek.broker.context import RequestContext
from odradek.broker.coordinator.group.answers import body_of
from odradek.broker.coordinator.group.members import Joined, JoinRequest
from odradek.errors import KafkaError
from odradek.protocol.api_keys import ApiKey

__all__ = ["API_KEY", "VERSIONS", "handle"]

API_KEY: Final = ApiKey.JOIN_GROUP
VERSIONS: Final = (0, 9)

_MILLISECOND: Final = timedelta(milliseconds=1)


async def handle(ctx: RequestContext, request: Any) -> bytes:
    """Answer a JoinGroup request."""
    version = ctx.api_version
    session_timeout_ms = request.session_timeout // _MILLISECOND
    rebalance_timeout_ms = request.rebalance_timeout // _MILLISECOND if version >= 1 else session_timeout_ms
    join = JoinRequest.of(
        version,
        request.member_id,
        getattr(request, "group_instance_id", None),
        request.protocol_type,
        ((protocol.name, protocol.metadata) for protocol in request.protocols),
        session_timeout_ms,
        rebalance_timeout_ms,
        ctx.client_id,
        ctx.peer_host,
    )
    try:
        joined = await ctx.broker.groups.join(request.group_id, join)
    except KafkaError as error:
        joined = Joined(error.error_code, request.member_id)
    return body_of(version, joined)
