"""Metadata (3), versions 0-13: only the part that makes topics; the engine answers.

Behaviour: the engine hands over a request that names unknown topics and may create them (always below v4, by flag from
    v4 on, and `auto.create.topics.enable`). They are made with default settings, then the engine answers from its
    snapshot, so a client sees the new topic in the same response. A name that can't be a topic is left to the engine.
Left out: nothing.

v4: allow_auto_topic_creation. The other versions change only the response, which the engine builds.
"""

from typing import Any, Final

from odradek.broker.context import RequestContext
from odradek.broker.controller.names import OFFSETS_TOPIC, is_internal
from odradek.broker.controller.new_topic import NewTopic
from odradek.broker.controller.offsets_topic import OffsetsTopic
from odradek.protocol.api_keys import ApiKey

API_KEY: Final = ApiKey.METADATA
VERSIONS: Final = (0, 13)
ADVERTISED: Final = False


async def handle(ctx: RequestContext, request: Any) -> None:
    """Make what is missing, then let the engine answer."""
    topics = ctx.broker.topics
    named = dict.fromkeys(row.name for row in request.topics or () if row.name is not None)
    missing = [name for name in named if topics.get(name) is None]
    wishes = [NewTopic(name) for name in missing if not is_internal(name)]
    if OFFSETS_TOPIC in missing:
        wishes.append(OffsetsTopic(topics, ctx.broker.configs.settings).wish())
    if wishes:
        await topics.create(wishes)
    ctx.broker.engine.reroute(ctx.token)
