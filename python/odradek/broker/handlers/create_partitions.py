"""CreatePartitions (37), versions 0-3.

Behaviour: partitions are added, never taken away; old ones and their records are untouched. Errors of a topic:
    UNKNOWN_TOPIC_OR_PARTITION (3), INVALID_PARTITIONS (37) the count is not more than the present one,
    INVALID_REPLICA_ASSIGNMENT (39), INVALID_REQUEST (42) named twice, INVALID_TOPIC_EXCEPTION (17) internal.
Left out: the request's time-out; quotas (KIP-599).

v0: the first. v1: throttling after the response (KIP-219). v2: flexible. v3: may answer THROTTLING_QUOTA_EXCEEDED.
"""

from collections import Counter
from typing import Any, Final

from odradek.broker.context import RequestContext
from odradek.broker.controller.topics import refuse_internal
from odradek.errors import ErrorCode, InvalidRequestError, KafkaError
from odradek.protocol.api_keys import ApiKey

API_KEY: Final = ApiKey.CREATE_PARTITIONS
VERSIONS: Final = (0, 3)


async def handle(ctx: RequestContext, request: Any) -> Any:
    """Add the partitions and say for each topic what became of it."""
    topics = {topic.name: topic for topic in request.topics}
    count = Counter(topic.name for topic in request.topics)
    rows = []
    for name, topic in topics.items():
        code, message = ErrorCode.NONE, None
        try:
            if count[name] > 1:
                raise InvalidRequestError(f"topic {name!r} is named more than once")
            refuse_internal(name)
            assignments = None
            if topic.assignments is not None:
                assignments = [row.broker_ids for row in topic.assignments]
            await ctx.broker.topics.grow(name, topic.count, assignments, validate_only=request.validate_only)
        except KafkaError as error:
            code, message = error.error_code, str(error)
        rows.append(ctx.schema.CreatePartitionsTopicResult(name=name, error_code=code, error_message=message))
    return ctx.schema.CreatePartitionsResponse(results=tuple(rows))
