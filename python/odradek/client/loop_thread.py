"""`LoopThread`: a daemon thread with an event loop, on which the synchronous clients run the asynchronous ones."""

import asyncio
import concurrent.futures
import os
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

from odradek import errors

__all__ = ["LoopThread"]

T = TypeVar("T")

_CLOSE_SECONDS = 5.0
"""How long closing waits for tasks that don't end when cancelled. They are left behind then: the thread is a daemon."""


class LoopThread:
    """Runs coroutines for threads that block. Thread-safe."""

    def __init__(self, name: str = "odradek-loop") -> None:
        """Start the thread."""
        self._pid = os.getpid()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._closed = False
        self._thread.start()

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop, for what has to be handed to it."""
        return self._loop

    @property
    def forked(self) -> bool:
        """True in a child of the process that made this: the thread stayed in the parent."""
        return os.getpid() != self._pid

    def check_fork(self) -> None:
        """Raise ForkedError in a child of the process that made this."""
        if self.forked:
            raise errors.ForkedError("the client was made before a fork; make a new one in the child")

    def run(self, coroutine: Coroutine[Any, Any, T], timeout: float | None = None) -> T:
        """Run a coroutine on the loop and return its result.

        Args:
            coroutine: what to run; cancelled when this call is interrupted (Ctrl-C) or out of time.
            timeout: seconds; None = as long as it takes.

        Raises:
            TimeoutError: not done in time.
            ClosedError: this was closed, before or meanwhile.
            ForkedError: see `check_fork`.
        """
        try:
            self.check_fork()
            if self._closed:
                raise errors.ClosedError("the client is closed")
            if threading.current_thread() is self._thread:
                raise errors.InternalError("a blocking call on the client's own thread would wait for itself")
        except errors.OdradekError:
            coroutine.close()
            raise
        # Made before the work begins: Ctrl-C may come at any instruction, and must find something to cancel.
        future: concurrent.futures.Future[T] = concurrent.futures.Future()
        try:
            self._loop.call_soon_threadsafe(_begin, self._loop, coroutine, future)
            return future.result(timeout)
        except concurrent.futures.CancelledError:
            raise errors.ClosedError("the client was closed during the call") from None
        except concurrent.futures.TimeoutError as error:
            if future.done():
                raise  # the coroutine's own
            future.cancel()
            raise errors.TimeoutError(f"not done within {timeout:g} s") from error
        except BaseException:  # Ctrl-C arrives here: what was begun must not go on unseen
            future.cancel()
            raise

    def close(self) -> None:
        """Cancel what runs and end the thread. Never hangs; again is no error; does nothing in a forked child."""
        if self._closed or self.forked:
            return
        self._closed = True
        self._loop.call_soon_threadsafe(self._loop.stop)
        if threading.current_thread() is not self._thread:
            self._thread.join(_CLOSE_SECONDS)

    def abandon(self) -> None:
        """Close without waiting, for `__del__`: what is under way is cancelled a moment later."""
        if not self._closed and not self.forked:
            self._closed = True
            self._loop.call_soon_threadsafe(self._loop.stop)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
            tasks = asyncio.all_tasks(self._loop)
            for task in tasks:
                task.cancel()
            if tasks:
                self._loop.run_until_complete(asyncio.wait(tasks, timeout=_CLOSE_SECONDS / 2))
        finally:
            self._loop.close()


def _begin(
    loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, T], future: "concurrent.futures.Future[T]"
) -> None:
    """Run the coroutine on the loop for the thread that waits for the future."""
    if future.cancelled():
        coroutine.close()
        return
    task = loop.create_task(coroutine)

    def finished(done: asyncio.Task[T]) -> None:
        if done.cancelled():
            future.cancel()
        elif future.set_running_or_notify_cancel():
            error = done.exception()
            if error is None:
                future.set_result(done.result())
            else:
                future.set_exception(error)

    def given_up(future: "concurrent.futures.Future[T]") -> None:
        if future.cancelled() and not loop.is_closed():
            loop.call_soon_threadsafe(task.cancel)

    task.add_done_callback(finished)
    future.add_done_callback(given_up)
