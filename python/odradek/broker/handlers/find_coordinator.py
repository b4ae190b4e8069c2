"""FindCoordinator (10), versions 0-6.

Behaviour: groups are coordinated by this broker; `__consumer_offsets` is made when the first group asks.
    COORDINATOR_NOT_AVAILABLE (15) if it can't be made.
Left out: transactions: key type 1 is TRANSACTIONAL_ID_AUTHORIZATION_FAILED (53), which clients take for final, where
    COORDINATOR_NOT_AVAILABLE would have them ask for ever. Share groups: key type 2 is INVALID_REQUEST (42), as any
    unknown one.

v0: the first. v1: key type (KIP-98). v2: throttling after the response (KIP-219). v3: flexible. v4: many keys
(KIP-699). v5: TRANSACTION_ABORTABLE (KIP-890). v6: share groups (KIP-932).
"""

from typing import Any, Final

from odradek.broker.context import RequestContext
from odradek.broker.controller.offsets_topic import OffsetsTopic
from odradek.errors import ErrorCode, InvalidRequestError, KafkaError
from odradek.protocol.api_keys import ApiKey

API_KEY: Final = ApiKey.FIND_COORDINATOR
VERSIONS: Final = (0, 6)

_GROUP: Final = 0
_TRANSACTION: Final = 1


async def handle(ctx: RequestContext, request: Any) -> Any:
    """Say who coordinates each key."""
    error: KafkaError | None = None
    key_type = getattr(request, "key_type", _GROUP)
    try:
        _refuse_other_kinds(key_type)
        await OffsetsTopic(ctx.broker.topics, ctx.broker.configs.settings).create()
    except KafkaError as failure:
        error = failure
    m = ctx.schema
    broker = ctx.broker
    answer = {
        "node_id": broker.node_id if error is None else -1,
        "host": broker.host if error is None else "",
        "port": broker.port if error is None else -1,
        "error_code": ErrorCode.NONE if error is None else error.error_code,
        "error_message": None if error is None else str(error),
    }
    keys = request.coordinator_keys if ctx.api_version >= 4 else (request.key,)
    if error is None:
        for key in keys:
            ctx.broker.groups.announce(key, ctx.connection_id)
    if ctx.api_version < 4:
        return m.FindCoordinatorResponse(**answer)
    return m.FindCoordinatorResponse(coordinators=tuple(m.Coordinator(key=key, **answer) for key in keys))


def _refuse_other_kinds(key_type: int) -> None:
    if key_type == _TRANSACTION:
        code = ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED
        raise KafkaError("this broker doesn't serve transactions", code=code)
    if key_type != _GROUP:
        raise InvalidRequestError(f"coordinators of type {key_type} aren't served, only groups (0)")
