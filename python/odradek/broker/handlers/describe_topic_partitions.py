"""DescribeTopicPartitions (75), version 0.

Behaviour: the topics asked for, or all, in the order of their names, at most `response_partition_limit` partitions
    (and `max.request.partition.size.limit`) an answer, with a cursor to go on from. Errors of a topic:
    UNKNOWN_TOPIC_OR_PARTITION (3), INVALID_TOPIC_EXCEPTION (17). A cursor below partition 0 is INVALID_REQUEST (42).
Left out: eligible leader replicas (KIP-966): the lists are empty.

v0: the first (KIP-966).
"""

from typing import Any, Final

from odradek.broker import authorized_operations
from odradek.broker.context import RequestContext
from odradek.broker.controller.names import check_name
from odradek.broker.controller.state import Topic
from odradek.errors import ErrorCode, InvalidRequestError, KafkaError, UnknownTopicOrPartitionError
from odradek.protocol.api_keys import ApiKey

API_KEY: Final = ApiKey.DESCRIBE_TOPIC_PARTITIONS
VERSIONS: Final = (0, 0)


async def handle(ctx: RequestContext, request: Any) -> Any:
    """Describe topics page by page."""
    m = ctx.schema
    cursor = request.cursor
    if cursor is not None and cursor.partition_index < 0:
        wrong = InvalidRequestError(f"the cursor's partition is {cursor.partition_index}")
        rows = [_failed(ctx, row.name, wrong) for row in request.topics]
        return m.DescribeTopicPartitionsResponse(topics=tuple(rows), next_cursor=None)
    names = sorted({row.name for row in request.topics}) or ctx.broker.topics.names()
    limit = min(
        request.response_partition_limit, ctx.broker.configs.settings.number("max.request.partition.size.limit")
    )
    room = max(limit, 1)
    rows = []
    next_cursor = None
    for name in names:
        first = 0
        if cursor is not None:
            if name < cursor.topic_name:
                continue
            first = cursor.partition_index if name == cursor.topic_name else 0
        topic = ctx.broker.topics.get(name)
        if room == 0:
            next_cursor = m.Cursor(topic_name=name, partition_index=first)
            break
        taken = 0 if topic is None else min(room, max(len(topic.partitions) - first, 0))
        rows.append(_topic(ctx, name, topic, first, taken))
        room -= taken
        if topic is not None and first + taken < len(topic.partitions):
            next_cursor = m.Cursor(topic_name=name, partition_index=first + taken)
            break
    return m.DescribeTopicPartitionsResponse(topics=tuple(rows), next_cursor=next_cursor)


def _topic(ctx: RequestContext, name: str, topic: Topic | None, first: int, taken: int) -> Any:
    m = ctx.schema
    if topic is None:
        return _failed(ctx, name, _why_not(name))
    partitions = tuple(
        m.DescribeTopicPartitionsResponsePartition(
            error_code=ErrorCode.NONE,
            partition_index=index,
            leader_id=part.leader,
            leader_epoch=part.leader_epoch,
            replica_nodes=part.replicas,
            isr_nodes=part.isr,
            eligible_leader_replicas=(),
            last_known_elr=(),
            offline_replicas=(),
        )
        for index, part in enumerate(topic.partitions[first : first + taken], start=first)
    )
    return m.DescribeTopicPartitionsResponseTopic(
        error_code=ErrorCode.NONE,
        name=name,
        topic_id=topic.topic_id,
        is_internal=topic.internal,
        partitions=partitions,
        topic_authorized_operations=authorized_operations.TOPIC,
    )


def _failed(ctx: RequestContext, name: str, error: KafkaError) -> Any:
    return ctx.schema.DescribeTopicPartitionsResponseTopic(
        error_code=error.error_code,
        name=name,
        topic_id=None,
        is_internal=False,
        partitions=(),
        topic_authorized_operations=authorized_operations.TOPIC,
    )


def _why_not(name: str) -> KafkaError:
    try:
        check_name(name)
    except KafkaError as error:
        return error
    return UnknownTopicOrPartitionError()
