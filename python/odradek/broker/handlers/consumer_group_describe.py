"""ConsumerGroupDescribe (key 69), versions 0 to 1: state, members and assignments of groups of the consumer protocol.

Errors of a group: GROUP_ID_NOT_FOUND (69), also for a classic group, which DescribeGroups describes; and the
coordinator's own. Topics that are deleted are left out of assignments. A member is shown with what it was told to give up
until it says that it did, as in Apache Kafka 4.3.1 (KAFKA-20431).

v1 type of a member: always 1, of the consumer protocol (KIP-1099)
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from odradek.broker import authorized_operations
from odradek.broker.context import RequestContext
from odradek.broker.coordinator.group.classic import ClassicGroup
from odradek.errors import ErrorCode, KafkaError
from odradek.protocol.api_keys import ApiKey

if TYPE_CHECKING:
    from odradek.broker.coordinator.group.consumer import ConsumerGroup
    from odradek.broker.coordinator.group.consumer_members import ConsumerMember

__all__ = ["API_KEY", "VERSIONS", "handle"]

API_KEY: Final = ApiKey.CONSUMER_GROUP_DESCRIBE
VERSIONS: Final = (0, 1)

_CONSUMER_MEMBER: Final = 1


async def handle(ctx: RequestContext, request: Any) -> Any:
    """Answer a ConsumerGroupDescribe request."""
    operations = (
        authorized_operations.GROUP if request.include_authorized_operations else authorized_operations.NOT_ASKED
    )
    return ctx.schema.ConsumerGroupDescribeResponse(
        groups=tuple(_describe(ctx, group_id, operations) for group_id in request.group_ids)
    )


def _describe(ctx: RequestContext, group_id: str, operations: int) -> Any:
    error, message = ErrorCode.GROUP_ID_NOT_FOUND, f"Group {group_id} not found."
    group = None
    try:
        group = ctx.broker.groups.describe(group_id)
    except KafkaError as problem:
        error, message = problem.error_code, str(problem)
    if isinstance(group, ClassicGroup):
        group, message = None, f"Group {group_id} is not a consumer group."
    if group is not None:
        return _described(ctx, group, operations)
    return ctx.schema.DescribedGroup(
        error_code=error,
        error_message=message,
        group_id=group_id,
        group_state="",
        group_epoch=0,
        assignment_epoch=0,
        assignor_name="",
        members=(),
        authorized_operations=authorized_operations.NOT_ASKED,
    )


def _described(ctx: RequestContext, group: "ConsumerGroup", operations: int) -> Any:
    return ctx.schema.DescribedGroup(
        error_code=ErrorCode.NONE,
        error_message=None,
        group_id=group.group_id,
        group_state=group.state.value,
        group_epoch=group.epoch,
        assignment_epoch=group.target_epoch,
        assignor_name=ctx.broker.groups.assignor_of(group),
        members=tuple(_member(ctx, group, member) for member in group.members.values()),
        authorized_operations=operations,
    )


def _member(ctx: RequestContext, group: "ConsumerGroup", member: "ConsumerMember") -> Any:
    wants = member.subscription
    return ctx.schema.Member(
        member_id=member.member_id,
        instance_id=wants.instance_id,
        rack_id=wants.rack_id,
        member_epoch=member.epoch,
        client_id=wants.client_id,
        client_host=wants.client_host,
        subscribed_topic_names=wants.topics,
        subscribed_topic_regex=wants.regex or None,
        assignment=_assignment(ctx, member.held().items()),
        target_assignment=_assignment(ctx, group.target.get(member.member_id, {}).items()),
        member_type=_CONSUMER_MEMBER,
    )


def _assignment(ctx: RequestContext, assigned: Iterable[tuple[bytes, Iterable[int]]]) -> Any:
    m = ctx.schema
    found = ((ctx.broker.topics.by_id(UUID(bytes=topic)), partitions) for topic, partitions in assigned)
    return m.Assignment(
        topic_partitions=tuple(
            m.TopicPartitions(topic_id=topic.topic_id, topic_name=topic.name, partitions=tuple(sorted(partitions)))
            for topic, partitions in found
            if topic is not None
        )
    )
