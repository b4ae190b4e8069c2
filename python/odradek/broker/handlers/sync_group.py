"""SyncGroup (key 14), versions 0 to 5: hand in (leader) and fetch (everybody) the assignments of a generation.

The answer comes when the leader has handed in. Errors: those of `ClassicGroup.sync` and the coordinator's own.

v1 throttle time    v3 static members (KIP-345)    v4 flexible    v5 protocol type and name must be given (KIP-559)
"""

from typing import Any, Final

from odradek.broker.context import RequestContext
from odradek.broker.coordinator.group.answers import body_of
from odradek.broker.coordinator.group.members import Identity, Synced
from odradek.errors import ErrorCode, KafkaError
from odradek.protocol.api_keys import ApiKey

__all__ = ["API_KEY", "VERSIONS", "handle"]

API_KEY: Final = ApiKey.SYNC_GROUP
VERSIONS: Final = (0, 5)


async def handle(ctx: RequestContext, request: Any) -> bytes:
    """Answer a SyncGroup request."""
    who = Identity(request.member_id, getattr(request, "group_instance_id", None), request.generation_id)
    protocol = (getattr(request, "protocol_type", None), getattr(request, "protocol_name", None))
    if ctx.api_version >= 5 and None in protocol:
        synced = Synced(ErrorCode.INCONSISTENT_GROUP_PROTOCOL)
    else:
        assignments = {one.member_id: one.assignment for one in request.assignments}
        try:
            synced = await ctx.broker.groups.sync(request.group_id, who, protocol, assignments)
        except KafkaError as error:
            synced = Synced(error.error_code)
    return body_of(ctx.api_version, synced)
