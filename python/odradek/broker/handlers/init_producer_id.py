"""InitProducerId (22), versions 0-5.

Behaviour: an idempotent producer gets an id that was never given out before, with epoch 0. One that asks again with
    its id (v3+) gets a new id: its sequence numbers begin anew.
Left out: transactions. A transactional id is answered TRANSACTIONAL_ID_AUTHORIZATION_FAILED (53), which every client
    takes for final and reports at once; NOT_COORDINATOR and the like would be retried for ever. An empty one is
    INVALID_REQUEST (42).

v0: the first (KIP-98). v1: throttling after the response (KIP-219). v2: flexible. v3: the producer may send its id and
epoch (KIP-360). v4: PRODUCER_FENCED in place of INVALID_PRODUCER_EPOCH (KIP-588). v5: TRANSACTION_ABORTABLE (KIP-890).
"""

from typing import Any, Final

from odradek.broker.context import RequestContext
from odradek.errors import ErrorCode
from odradek.protocol.api_keys import ApiKey

API_KEY: Final = ApiKey.INIT_PRODUCER_ID
VERSIONS: Final = (0, 5)


async def handle(ctx: RequestContext, request: Any) -> Any:
    """Hand out a producer id."""
    m = ctx.schema
    if request.transactional_id is not None:
        named = request.transactional_id != ""
        code = ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED if named else ErrorCode.INVALID_REQUEST
        return m.InitProducerIdResponse(error_code=code, producer_id=-1, producer_epoch=-1)
    producer_id = await ctx.broker.producer_ids.take()
    return m.InitProducerIdResponse(error_code=ErrorCode.NONE, producer_id=producer_id, producer_epoch=0)
