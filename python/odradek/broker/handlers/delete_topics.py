"""DeleteTopics (20), versions 1-6.

Behaviour: the topics are gone from Metadata and can't be written or read when the answer comes; their files follow
    after `file.delete.delay.ms`. Errors of a topic: UNKNOWN_TOPIC_OR_PARTITION (3), UNKNOWN_TOPIC_ID (100),
    INVALID_REQUEST (42) named twice, or with both name and id, INVALID_TOPIC_EXCEPTION (17) internal,
    TOPIC_DELETION_DISABLED (73) with `delete.topic.enable=false` (INVALID_REQUEST below v3, which can't carry it).
Left out: the request's time-out; quotas on deletion (KIP-599).

v1: lowest since KIP-896. v2: throttling after the response (KIP-219). v3: TOPIC_DELETION_DISABLED. v4: flexible.
v5: error messages; may answer THROTTLING_QUOTA_EXCEEDED (KIP-599). v6: topics by id (KIP-516).
"""

from collections import Counter
from typing import Any, Final
from uuid import UUID

from odradek.broker.context import RequestContext
from odradek.broker.controller.state import Topic
from odradek.broker.controller.topics import refuse_internal
from odradek.errors import ErrorCode, InvalidRequestError, KafkaError, UnknownTopicOrPartitionError
from odradek.protocol.api_keys import ApiKey

API_KEY: Final = ApiKey.DELETE_TOPICS
VERSIONS: Final = (1, 6)


async def handle(ctx: RequestContext, request: Any) -> Any:
    """Delete the topics and say for each what became of it."""
    if ctx.api_version >= 6:
        wanted = [(row.name, row.topic_id) for row in request.topics]
    else:
        wanted = [(name, None) for name in request.topic_names]
    found: list[Topic] = []
    results: list[tuple[str | None, UUID | None, KafkaError | None]] = []
    count = Counter(wanted)
    for name, topic_id in count:
        try:
            _refuse_if_disabled(ctx)
            topic = _find(ctx, name, topic_id)
            if count[name, topic_id] > 1 or topic in found:
                raise InvalidRequestError("the topic is named more than once")
            refuse_internal(topic.name)
        except KafkaError as error:
            results.append((name, topic_id, error))
            continue
        found.append(topic)
        results.append((topic.name, topic.topic_id, None))
    await ctx.broker.topics.delete([topic.name for topic in found])
    return ctx.schema.DeleteTopicsResponse(responses=tuple(_row(ctx, *result) for result in results))


def _refuse_if_disabled(ctx: RequestContext) -> None:
    if not ctx.broker.configs.settings.flag("delete.topic.enable"):
        code = ErrorCode.TOPIC_DELETION_DISABLED if ctx.api_version >= 3 else ErrorCode.INVALID_REQUEST
        raise KafkaError("delete.topic.enable is false", code=code)


def _find(ctx: RequestContext, name: str | None, topic_id: UUID | None) -> Topic:
    if (name is None) == (topic_id is None):
        raise InvalidRequestError("a topic is named by its name or by its id")
    topic = ctx.broker.topics.by_id(topic_id) if name is None else ctx.broker.topics.get(name)
    if topic is not None:
        return topic
    if name is None:
        raise KafkaError(f"there is no topic of id {topic_id}", code=ErrorCode.UNKNOWN_TOPIC_ID)
    raise UnknownTopicOrPartitionError(f"there is no topic {name!r}")


def _row(ctx: RequestContext, name: str | None, topic_id: UUID | None, error: KafkaError | None) -> Any:
    return ctx.schema.DeletableTopicResult(
        name=name,
        topic_id=topic_id,
        error_code=ErrorCode.NONE if error is None else error.error_code,
        error_message=None if error is None else str(error),
    )
