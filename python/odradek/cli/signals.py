"""Stopping on request: SIGINT and SIGTERM as a flag that loops look at, or as the end of a block, in good order."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

__all__ = ["StopRequest", "leave_on_signals", "stop_on_signals"]


class StopRequest:
    """Whether, and by which signal, the user asked to stop."""

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None
        self.interrupts = False
        """The first signal interrupts, too."""

    def __bool__(self) -> bool:
        return self.signal is not None

    @property
    def exit_code(self) -> int:
        """0 if nobody asked, else 128 + the signal's number as shells report it: 130 for Ctrl-C, 143 for SIGTERM."""
        return 128 + self.signal if self.signal else 0

    @contextmanager
    def cutting_short(self) -> Iterator[None]:
        """Wait for somebody else in this block: a request to stop, also one from before, is a KeyboardInterrupt in it."""
        self.interrupts = True
        try:
            if self:
                raise KeyboardInterrupt
            yield
        finally:
            self.interrupts = False


@contextmanager
def stop_on_signals() -> Iterator[StopRequest]:
    """Turn the first SIGINT or SIGTERM into a flag; a second SIGINT interrupts as usual, for who can't wait."""
    request = StopRequest()

    def note(number: int, _frame: FrameType | None) -> None:
        again = bool(request)
        request.signal = request.signal or signal.Signals(number)
        if again or request.interrupts:
            raise KeyboardInterrupt

    with _handled_by(note):
        yield request


@contextmanager
def leave_on_signals() -> Iterator[StopRequest]:
    """Leave the block at the first SIGINT or SIGTERM, whatever it waits for, and go on behind it."""
    request = StopRequest()

    def leave(number: int, _frame: FrameType | None) -> None:
        request.signal = signal.Signals(number)
        raise KeyboardInterrupt

    with suppress(KeyboardInterrupt), _handled_by(leave):
        yield request


@contextmanager
def _handled_by(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    previous = {number: signal.signal(number, handler) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler_before in previous.items():
            signal.signal(number, handler_before)
