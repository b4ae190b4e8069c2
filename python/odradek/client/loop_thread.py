"""`LoopThread`: a daemon thread with an event loop, on which the synchronous clients run the asynchronous ones."""

import asyncio
import contextlib
import os
import threading
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

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
        self._stopping = False
        self._thread.start()

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop, for what has to be handed to it."""
        return self._loop

    @property
    def alive(self) -> bool:
        """False when the thread has ended. Not asked of the thread: a Ctrl-C in `is_alive` makes Python say so of a living one."""
        return not self._loop.is_closed()

    @property
    def forked(self) -> bool:
        """True in a child of the process that made this: the thread stayed in the parent."""
        return os.getpid() != self._pid

    def check_fork(self) -> None:
        """Raise ForkedError in a child of the process that made this."""
        if self.forked:
            raise errors.ForkedError("the client was made before a fork; make a new one in the child")

    def run(self, make: Callable[[], Coroutine[Any, Any, T]], timeout: float | None = None) -> T:
        """Run a coroutine on the loop and return its result.

        Args:
            make: makes it, on the loop: a coroutine made here could be left without anybody to await it by Ctrl-C. It is
                cancelled when this call is interrupted (Ctrl-C) or out of time.
            timeout: seconds; None = as long as it takes.

        Raises:
            TimeoutError: not done in time.
            ClosedError: this was closed, before or meanwhile.
            ForkedError: see `check_fork`.
        """
        self.check_fork()
        if self._closed:
            raise errors.ClosedError("the client is closed")
        if threading.current_thread() is self._thread:
            raise errors.InternalError("a blocking call on the client's own thread would wait for itself")
        work = _Work(self._loop, make)
        try:
            self._loop.call_soon_threadsafe(work.begin)
            ended = work.ended.acquire(timeout=-1 if timeout is None else timeout)
        except BaseException:  # Ctrl-C arrives here: what was begun must not go on unseen
            work.give_up()
            raise
        if not ended:
            work.give_up()
            raise errors.TimeoutError(f"not done within {timeout:g} s")
        return work.outcome()

    def close(self) -> None:
        """Cancel what runs and end the thread. Never hangs; does nothing in a forked child.

        Again is no error, and after a Ctrl-C it may be what ends the thread.
        """
        if self.forked:
            return
        self.abandon()
        if threading.current_thread() is not self._thread:
            self._thread.join(_CLOSE_SECONDS)

    def abandon(self) -> None:
        """Close without waiting, for `__del__`: what is under way is cancelled a moment later."""
        if self.forked:
            return
        self._closed = True
        with contextlib.suppress(RuntimeError):  # the thread has ended
            self._loop.call_soon_threadsafe(self._stop)

    def _stop(self) -> None:
        if not self._stopping:  # again it would end the wait for the tasks that are being cancelled
            self._stopping = True
            self._loop.stop()

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


class _Work(Generic[T]):
    """A coroutine on its way to the loop, and how it ended on the way back.

    No `concurrent.futures.Future`: its lock is taken by Python code, in which a Ctrl-C can leave it taken for ever by the
    thread that waits, and the loop's thread hanging in it. Here all that is shared is one lock of C, which the loop gives
    back when the coroutine has ended; all else is done on the loop, in the order in which it was asked for.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, make: Callable[[], Coroutine[Any, Any, T]]) -> None:
        self.ended = threading.Lock()
        self.ended.acquire()
        self._loop = loop
        self._make = make
        self._task: asyncio.Task[T] | None = None
        self._result: T
        self._error: BaseException | None = None

    def begin(self) -> None:
        """Make the coroutine and run it. On the loop."""
        self._task = self._loop.create_task(self._run())
        self._task.add_done_callback(self._end)

    async def _run(self) -> T:
        return await self._make()

    def _end(self, task: asyncio.Task[T]) -> None:
        self._task = None  # forgotten by this thread: Python runs code then in which a Ctrl-C would be lost
        if task.cancelled():
            self._error = errors.ClosedError("the client was closed during the call")
        else:
            self._error = task.exception()
            if self._error is None:
                self._result = task.result()
        self.ended.release()

    def outcome(self) -> T:
        """Return the coroutine's result, or raise its error. Once, when it has ended."""
        error, self._error = self._error, None
        try:
            if error is not None:
                raise error
            return self._result
        finally:
            del error  # whose traceback has this frame in it

    def give_up(self) -> None:
        """Cancel the coroutine."""
        with contextlib.suppress(RuntimeError):  # the loop has ended, and cancelled it
            self._loop.call_soon_threadsafe(self._cancel)

    def _cancel(self) -> None:
        if self._task is not None:  # else it has ended, or was never begun
            self._task.cancel()
