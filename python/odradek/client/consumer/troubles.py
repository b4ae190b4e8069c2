"""Says in the log why nothing comes. A poll waits in silence: it may be a broker that restarts, or a topic to come.

Two kinds of things are told: partitions that the fetcher can't read, and topics subscribed to that don't exist.
"""

import contextlib
import logging
from typing import Any, Final

from odradek.client.consumer.transport import Clock, Transport
from odradek.errors import ClosedError, ForkedError, OdradekError

__all__ = ["tell"]

_log = logging.getLogger("odradek.client.consumer")

_LOOK_S: Final = 2.0
_TOLD_AFTER_S: Final = 3.0
_TOLD_AGAIN_S: Final = 60.0


async def tell(fetcher: Any, transport: Transport, clock: Clock) -> None:
    """Look now and then, until the fetcher is closed; warn of what lasts, at most once a minute of each kind.

    It holds nothing but the fetcher and the way to the cluster: a consumer that was forgotten can still be collected.
    """
    stuck, absent = _Quiet(clock), _Absent(transport, clock)
    with contextlib.suppress(ClosedError, ForkedError):
        while True:
            await clock.sleep(_LOOK_S)
            lasting = [one for one in fetcher.troubles() if one[2] >= _TOLD_AFTER_S]
            if stuck.is_due(lasts=bool(lasting)):
                topic, partition, seconds, why = max(lasting, key=lambda one: one[2])
                others = f" and {len(lasting) - 1} more" if len(lasting) > 1 else ""
                _log.warning("nothing can be read of %s-%d%s for %.0f s: %s", topic, partition, others, seconds, why)
            await absent.look()


class _Quiet:
    """When something that lasts is told again; at once after it was away."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._until = 0.0

    def is_due(self, *, lasts: bool) -> bool:
        if not lasts:
            self._until = 0.0
            return False
        if self._clock.now() < self._until:
            return False
        self._until = self._clock.now() + _TOLD_AGAIN_S
        return True


class _Absent:
    """Topics that don't exist. One that is being made may be missing for a moment, so the second look counts."""

    def __init__(self, transport: Transport, clock: Clock) -> None:
        self._transport = transport
        self._quiet = _Quiet(clock)
        self._before: frozenset[str] = frozenset()

    async def look(self) -> None:
        try:
            now = await self._transport.missing()
        except (ClosedError, ForkedError):
            raise
        except OdradekError:
            return  # no answer: that is told elsewhere
        names = sorted(now & self._before)
        self._before = now
        if self._quiet.is_due(lasts=bool(names)):
            _log.warning(
                "there is no topic %s; check the name. It is read from once it exists", ", ".join(map(repr, names))
            )
