"""CreateTopics (19), versions 2-7.

Behaviour: every topic that can be made is made, in one durable write; when the answer comes they take writes and reads.
    A topic named twice is refused (INVALID_REQUEST), the others are still made. `validate_only` checks and makes
    nothing. Errors of a topic: INVALID_TOPIC_EXCEPTION (17) name or collision or internal, TOPIC_ALREADY_EXISTS (36),
    INVALID_PARTITIONS (37), INVALID_REPLICATION_FACTOR (38), INVALID_REPLICA_ASSIGNMENT (39), INVALID_CONFIG (40),
    INVALID_REQUEST (42), POLICY_VIOLATION (44) more than 10,000 partitions in a request.
Left out: the request's time-out (there is no other broker to wait for); quotas on topic creation (KIP-599); internal
    topics can't be made by clients, which Apache Kafka allows.

v2: lowest since KIP-896. v3: throttling after the response (KIP-219). v4: -1 for default numbers (KIP-464).
v5: flexible; the answer holds the topic's settings (KIP-525). v6: may answer THROTTLING_QUOTA_EXCEEDED (KIP-599).
v7: topic id (KIP-516).
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

from odradek.broker.context import RequestContext
from odradek.broker.controller.new_topic import NewTopic
from odradek.broker.controller.state import Topic
from odradek.broker.controller.topics import refuse_internal
from odradek.errors import ErrorCode, InvalidConfigError, InvalidRequestError, KafkaError
from odradek.protocol.api_keys import ApiKey

API_KEY: Final = ApiKey.CREATE_TOPICS
VERSIONS: Final = (2, 7)


async def handle(ctx: RequestContext, request: Any) -> Any:
    """Make the topics and say for each what became of it."""
    topics = request.topics
    count = Counter(topic.name for topic in topics)
    results: dict[str, Topic | KafkaError] = {}
    wishes = []
    for topic in topics:
        try:
            if count[topic.name] > 1:
                raise InvalidRequestError(f"topic {topic.name!r} is named more than once")
            refuse_internal(topic.name)
            wishes.append(_wish(topic))
        except KafkaError as error:
            results[topic.name] = error
    made = await ctx.broker.topics.create(wishes, validate_only=request.validate_only)
    configs = {wish.name: wish.configs for wish in wishes}
    results |= made
    shared: dict[str, Any] = {}
    rows = tuple(_row(ctx, name, result, configs.get(name, {}), shared) for name, result in results.items())
    return ctx.schema.CreateTopicsResponse(topics=rows)


def _wish(topic: Any) -> NewTopic:
    missing = [config.name for config in topic.configs if config.value is None]
    if missing:
        raise InvalidConfigError(f"a topic config needs a value: {', '.join(missing)}")
    assignments: dict[int, tuple[int, ...]] = {}
    for row in topic.assignments:
        if row.partition_index in assignments:
            raise KafkaError(
                f"partition {row.partition_index} is assigned more than once",
                code=ErrorCode.INVALID_REPLICA_ASSIGNMENT,
            )
        assignments[row.partition_index] = row.broker_ids
    configs = {config.name: config.value for config in topic.configs}
    return NewTopic(topic.name, topic.num_partitions, topic.replication_factor, assignments, configs)


def _row(
    ctx: RequestContext, name: str, result: Topic | KafkaError, own: Mapping[str, str], shared: dict[str, Any]
) -> Any:
    m = ctx.schema
    if isinstance(result, KafkaError):
        return m.CreatableTopicResult(
            name=name,
            topic_id=None,
            error_code=result.error_code,
            error_message=str(result),
            num_partitions=-1,
            replication_factor=-1,
            configs=(),
        )
    return m.CreatableTopicResult(
        name=name,
        topic_id=result.topic_id,
        error_code=ErrorCode.NONE,
        error_message=None,
        num_partitions=len(result.partitions),
        replication_factor=len(result.partitions[0].replicas),
        configs=_configs(ctx, own, shared) if ctx.api_version >= 5 else (),
    )


def _configs(ctx: RequestContext, own: Mapping[str, str], shared: dict[str, Any]) -> tuple[Any, ...]:
    """Return all settings; rows of defaults are built once a request, as 1,000 topics share them."""
    rows = []
    for entry in ctx.broker.configs.topic_entries(""):
        name = entry.option.name
        if name in own:
            rows.append(_config(ctx, name, own[name], 1))
            continue
        if name not in shared:
            shared[name] = _config(ctx, name, entry.text, entry.source)
        rows.append(shared[name])
    return tuple(rows)


def _config(ctx: RequestContext, name: str, text: str | None, source: int) -> Any:
    return ctx.schema.CreatableTopicConfigs(
        name=name, value=text, read_only=False, config_source=source, is_sensitive=False
    )
