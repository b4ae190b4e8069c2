"""The thread that runs `on_delivery` and done callbacks of one producer; it begins with the first of them.

Rust rings a descriptor once a burst of answers, and the thread makes the calls that are due, in the order of the answers.
It keeps nothing of the producer alive but its completions, and ends when the producer is closed.
"""

import logging
import select
import threading
from typing import Final

from odradek.client.native import Dispatcher

__all__ = ["join_all", "log_failure", "start"]

_EXIT_SECONDS: Final = 5.0
_threads: set[threading.Thread] = set()
_log = logging.getLogger("odradek.client.producer")


def start(dispatcher: Dispatcher, fd: int) -> None:
    """Start the thread of a producer. Called by Rust, once."""
    thread = threading.Thread(target=_run, args=(dispatcher, fd), name="odradek-delivery", daemon=True)
    _threads.add(thread)
    thread.start()


def join_all() -> None:
    """Wait for the threads of producers that have been closed: at exit, for a thread must not outlive the interpreter."""
    for thread in list(_threads):
        thread.join(_EXIT_SECONDS)


def _run(dispatcher: Dispatcher, fd: int) -> None:
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    while dispatcher.dispatch():
        poll.poll()
    _threads.discard(threading.current_thread())


def log_failure(error: BaseException) -> None:
    """Log what a callback raised; nothing else breaks by it."""
    _log.error("a delivery callback failed", exc_info=error)
