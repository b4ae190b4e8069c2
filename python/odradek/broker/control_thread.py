"""The thread on which an embedded broker's control plane lives, from the loading of asyncio to the last `close`.

The caller of `odradek.Broker` waits for none of it. What goes wrong here is kept and raised by the broker's next call.
"""

from __future__ import annotations

import os
import sys
import threading
from contextlib import contextmanager

from odradek.broker.server import Server

TYPE_CHECKING = False
if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable, Iterator
    from concurrent.futures import Future
    from typing import Any, Final

    from odradek.broker.control import ControlPlane

    Work = Callable[[], Awaitable[Any]]
    """What to do with the data directory while no server runs on it."""

__all__ = ["ControlThread"]


_LOADING: Final = threading.Lock()
"""Held while asyncio and the control plane are imported, and by a fork: a child that began in the middle would have modules
that are half there and locked for ever."""
os.register_at_fork(before=_LOADING.acquire, after_in_parent=_LOADING.release, after_in_child=_LOADING.release)


_TURN_S: Final = 0.0005


@contextmanager
def _short_turns() -> Iterator[None]:
    """Give the interpreter's lock away sooner than after 5 ms: the caller of `Broker` goes on meanwhile, and asks for it often."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(min(usual, _TURN_S))
    try:
        yield
    finally:
        sys.setswitchinterval(usual)


class ControlThread:
    """Has a control plane beside a server, and replaces both by others for an interlude. Thread-safe."""

    def __init__(self, server: Server, on_replaced: Callable[[Server], None]) -> None:
        """Make it; nothing runs before `start`.

        Args:
            server: a started server; it is closed here, whatever happens.
            on_replaced: told of each server that follows it.
        """
        self._server = server
        self._on_replaced = on_replaced
        self._up = threading.Event()
        self._stopping = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wishes: asyncio.Queue[tuple[Work, Future[Any]] | None] | None = None
        self._thread = threading.Thread(target=self._main, name="odradek-broker", daemon=True)
        self.failure: BaseException | None = None
        """Why the control plane is not there; the server is closed then, or about to be."""

    def start(self) -> None:
        """Begin; returns at once."""
        self._thread.start()

    def wait(self) -> None:
        """Return when requests of every kind are answered.

        Raises:
            what kept the control plane from starting; the broker is closed then.
        """
        self._up.wait()
        if self.failure is not None:
            raise self.failure

    def between_servers(self, work: Work) -> Any:
        """Stop the server, do the work and start another one on the same socket; return what the work returned.

        What fails leaves the broker stopped, and is raised.
        """
        from concurrent.futures import Future  # noqa: PLC0415 - tests of a certain kind want it

        self.wait()
        done: Future[Any] = Future()
        self._post((work, done))
        try:
            return done.result()
        except BaseException:
            if done.done():  # else it was Ctrl-C here, and the broker goes on
                self._thread.join()
            raise

    def stop(self) -> None:
        """Stop the control plane, then the server; return when the thread has ended. Raises what made it fail."""
        self._stopping = True
        self._up.wait()
        if self._thread.is_alive() and self.failure is None:
            self._post(None)
        self._thread.join()
        if self.failure is not None:
            raise self.failure

    @property
    def alive(self) -> bool:
        """False once everything is stopped."""
        return self._thread.is_alive()

    def _post(self, wish: tuple[Work, Future[Any]] | None) -> None:
        if self._loop is not None and self._wishes is not None:
            self._loop.call_soon_threadsafe(self._wishes.put_nowait, wish)

    def _main(self) -> None:
        try:
            with _LOADING, _short_turns():
                import asyncio  # noqa: PLC0415 - this is the thread that has the time

                from odradek.broker.control import ControlPlane  # noqa: F401, PLC0415
            asyncio.run(self._run())
        except BaseException as error:  # noqa: BLE001 - handed to whoever calls the broker next
            self.failure = error
            _tell(error)
        finally:
            self._server.close()
            self._up.set()

    async def _run(self) -> None:
        import asyncio  # noqa: PLC0415

        from odradek.broker.control import ControlPlane  # noqa: PLC0415

        if self._stopping:
            return
        self._loop = asyncio.get_running_loop()
        wishes = self._wishes = asyncio.Queue()
        control = ControlPlane(self._server)
        await control.start()
        self._up.set()
        while (wish := await wishes.get()) is not None:
            work, done = wish
            try:
                result, control = await self._replace(control, work)
            except BaseException as error:  # noqa: BLE001 - handed to the thread that waits for it
                done.set_exception(error)
                return
            done.set_result(result)
        await control.stop()

    async def _replace(self, control: ControlPlane, work: Work) -> tuple[Any, ControlPlane]:
        from odradek.broker.control import ControlPlane  # noqa: PLC0415

        self._server.faults().clear()
        listener = self._server.listener()
        await control.stop()
        result = await work()
        server = Server(self._server.settings, listener)
        server.start()
        self._server = server
        self._on_replaced(server)
        control = ControlPlane(server)
        await control.start()
        return result, control


def _tell(error: BaseException) -> None:
    """Log the failure, for those who never call the broker again; who is about to end the process is not bothered."""
    if threading.main_thread().is_alive():
        import logging  # noqa: PLC0415

        logging.getLogger("odradek.broker").critical("the broker is closed: its control plane failed", exc_info=error)
