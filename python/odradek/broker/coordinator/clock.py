"""Time as a parameter: coordinators get a `Clock`; tests bring one that they turn by hand."""

import asyncio
import time
from collections.abc import Callable
from typing import Protocol

__all__ = ["Alarm", "Clock", "LoopClock"]


class Alarm(Protocol):
    """A call that is going to happen."""

    def cancel(self) -> None:
        """Make it not happen."""


class Clock(Protocol):
    """Two times and an alarm. Milliseconds everywhere."""

    def monotonic_ms(self) -> float:
        """Return a time that never steps; for time-outs."""
        ...

    def wall_ms(self) -> int:
        """Return the time since 1970, UTC; for what is stored."""
        ...

    def call_at(self, when_ms: float, action: Callable[[], None]) -> Alarm:
        """Call `action` on the event loop when the monotonic time has come."""
        ...


class LoopClock:
    """The real clock, on an asyncio loop; the loop's own heap keeps the alarms."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def monotonic_ms(self) -> float:
        """Return the loop's time."""
        return self._loop.time() * 1e3

    def wall_ms(self) -> int:
        """Return the system's time."""
        return time.time_ns() // 1_000_000

    def call_at(self, when_ms: float, action: Callable[[], None]) -> Alarm:
        """Set an alarm on the loop."""
        return self._loop.call_at(when_ms / 1e3, action)
