"""Says in the log why partitions stand still. A poll waits for them in silence: it may be a broker that restarts, or a topic to come."""

import contextlib
import logging
from typing import Any, Final

from odradek.client.consumer.transport import Clock
from odradek.errors import ClosedError, ForkedError

__all__ = ["tell"]

_log = logging.getLogger("odradek.client.consumer")

_LOOK_S: Final = 2.0
_TOLD_AFTER_S: Final = 3.0
_TOLD_AGAIN_S: Final = 60.0


async def tell(fetcher: Any, clock: Clock) -> None:
    """Look at the fetcher now and then, until it is closed; warn of what lasts, at most once a minute.

    It holds nothing but the fetcher: a consumer that was forgotten can still be collected.
    """
    quiet_until = 0.0
    with contextlib.suppress(ClosedError, ForkedError):
        while True:
            await clock.sleep(_LOOK_S)
            lasting = [one for one in fetcher.troubles() if one[2] >= _TOLD_AFTER_S]
            if not lasting:
                quiet_until = 0.0
            elif clock.now() >= quiet_until:
                quiet_until = clock.now() + _TOLD_AGAIN_S
                topic, partition, seconds, why = max(lasting, key=lambda one: one[2])
                others = f" and {len(lasting) - 1} more" if len(lasting) > 1 else ""
                _log.warning("nothing can be read of %s-%d%s for %.0f s: %s", topic, partition, others, seconds, why)
