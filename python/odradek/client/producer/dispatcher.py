"""The thread that runs `on_delivery` and done callbacks of one producer; it begins with the first of them.

Rust rings a descriptor once a burst of answers, and the thread makes the calls that are due, in the order of the answers.
It keeps nothing of the producer alive but its completions, and ends when the producer is closed.
"""

import logging
import select
import threading
from typing import Final

from odradek.client.native import Dispatcher, NativeProducer

__all__ = ["end", "join_all", "log_failure", "start"]

_EXIT_SECONDS: Final = 5.0
_threads: dict[int, "_Delivery"] = {}
"""Of open producers, by the descriptor of their completions."""
_running: set[threading.Thread] = set()
_log = logging.getLogger("odradek.client.producer")


class _Delivery(threading.Thread):
    """Makes the calls of one producer until it is shut and the last one is made."""

    def __init__(self, dispatcher: Dispatcher, fd: int) -> None:
        super().__init__(name="odradek-delivery", daemon=True)
        self._dispatcher = dispatcher
        self._fd = fd

    def run(self) -> None:
        poll = select.poll()
        poll.register(self._fd, select.POLLIN)
        while self._dispatcher.dispatch():
            poll.poll()
        _running.discard(self)


def start(dispatcher: Dispatcher, fd: int) -> None:
    """Start the thread of a producer. Called by Rust, once."""
    thread = _threads[fd] = _Delivery(dispatcher, fd)
    _running.add(thread)
    thread.start()


def end(native: NativeProducer) -> threading.Thread | None:
    """Shut a producer; return its thread, which ends after the calls that are due, or None if it has none."""
    native._shut()
    thread = _threads.pop(native._completion_fd(), None)
    return None if thread is threading.current_thread() else thread


def join_all() -> None:
    """Wait for the threads of producers that have ended: at exit, for a thread must not outlive the interpreter."""
    for thread in list(_running):
        thread.join(_EXIT_SECONDS)


def log_failure(error: BaseException) -> None:
    """Log what a callback raised; nothing else breaks by it."""
    _log.error("a delivery callback failed", exc_info=error)
