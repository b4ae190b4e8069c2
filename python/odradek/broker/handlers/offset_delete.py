"""OffsetDelete (key 47), version 0: delete committed offsets of topics that the group does not consume (KIP-496).

Errors of a partition: UNKNOWN_TOPIC_OR_PARTITION (3), GROUP_SUBSCRIBED_TO_TOPIC (86); of the request:
GROUP_ID_NOT_FOUND (69), NON_EMPTY_GROUP (68; members that are no consumers) and the coordinator's own.
"""

from typing import Any, Final

from odradek.broker.context import RequestContext
from odradek.errors import ErrorCode, KafkaError
from odradek.protocol.api_keys import ApiKey

__all__ = ["API_KEY", "VERSIONS", "handle"]

API_KEY: Final = ApiKey.OFFSET_DELETE
VERSIONS: Final = (0, 0)


async def handle(ctx: RequestContext, request: Any) -> Any:
    """Answer an OffsetDelete request."""
    m = ctx.schema
    asked = {topic.name: [part.partition_index for part in topic.partitions] for topic in request.topics}
    counts = {name: 0 if (topic := ctx.broker.topics.get(name)) is None else len(topic.partitions) for name in asked}
    known = {name: [index for index in indexes if 0 <= index < counts[name]] for name, indexes in asked.items()}
    try:
        results = ctx.broker.groups.delete_offsets(request.group_id, known)
    except KafkaError as error:
        return m.OffsetDeleteResponse(error_code=error.error_code, topics=())
    return m.OffsetDeleteResponse(
        error_code=ErrorCode.NONE,
        topics=tuple(
            m.OffsetDeleteResponseTopic(
                name=name,
                partitions=tuple(
                    m.OffsetDeleteResponsePartition(
                        partition_index=index,
                        error_code=results[name] if 0 <= index < counts[name] else ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
                    )
                    for index in indexes
                ),
            )
            for name, indexes in asked.items()
        ),
    )
