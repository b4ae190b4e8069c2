"""DescribeGroups (key 15), versions 0 to 6: state, members and assignments of classic groups.

Subscriptions and the protocol's name are told of a stable group only. An unknown group and one of the consumer protocol
(ask ConsumerGroupDescribe) are `Dead`, from version 6 on with GROUP_ID_NOT_FOUND (69). Errors of a group: that, and the coordinator's own.

v1 throttle time    v3 authorized operations (KIP-430)    v4 static members    v5 flexible    v6 error message (KIP-1043)
"""

from typing import Any, Final

from odradek.broker import authorized_operations
from odradek.broker.context import RequestContext
from odradek.broker.coordinator.group.classic import ClassicGroup
from odradek.broker.coordinator.group.states import State
from odradek.errors import ErrorCode, KafkaError
from odradek.protocol.api_keys import ApiKey

__all__ = ["API_KEY", "VERSIONS", "handle"]

API_KEY: Final = ApiKey.DESCRIBE_GROUPS
VERSIONS: Final = (0, 6)


async def handle(ctx: RequestContext, request: Any) -> Any:
    """Answer a DescribeGroups request."""
    operations = (
        authorized_operations.GROUP
        if getattr(request, "include_authorized_operations", False)
        else authorized_operations.NOT_ASKED
    )
    return ctx.schema.DescribeGroupsResponse(
        groups=tuple(_describe(ctx, group_id, operations) for group_id in request.groups)
    )


def _describe(ctx: RequestContext, group_id: str, operations: int) -> Any:
    m = ctx.schema
    error, message = ErrorCode.NONE, None
    try:
        group = ctx.broker.groups.describe(group_id)
    except KafkaError as problem:
        group, error = None, problem.error_code
    if not isinstance(group, ClassicGroup):
        if not error and ctx.api_version >= 6:
            error = ErrorCode.GROUP_ID_NOT_FOUND
            message = f"Group {group_id} not found." if group is None else f"Group {group_id} is not a classic group."
        return m.DescribedGroup(
            error_code=error,
            error_message=message,
            group_id=group_id,
            group_state=State.DEAD.value if error in {ErrorCode.NONE, ErrorCode.GROUP_ID_NOT_FOUND} else "",
            protocol_type="",
            protocol_data="",
            members=(),
            authorized_operations=operations,
        )
    protocol = group.protocol or "" if group.state is State.STABLE else None
    return m.DescribedGroup(
        error_code=error,
        group_id=group_id,
        group_state=group.state.value,
        protocol_type=group.protocol_type or "",
        protocol_data=protocol or "",
        members=tuple(
            m.DescribedGroupMember(
                member_id=member.member_id,
                group_instance_id=member.instance_id,
                client_id=member.client_id,
                client_host=member.client_host,
                member_metadata=b"" if protocol is None else member.protocols.get(protocol, b""),
                member_assignment=member.assignment,
            )
            for member in group.members.by_id.values()
        ),
        authorized_operations=operations,
    )
