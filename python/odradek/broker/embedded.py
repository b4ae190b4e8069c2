"""A broker inside the caller's process: the very same server as `odradek serve`, on a thread of its own.

`snapshot` and `restore` stop the server, see to its files (`snapshot.py`) and start another one on the same socket, so
the port stays taken and clients that connect meanwhile wait in its queue.
"""

import asyncio
import atexit
import shutil
import tempfile
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from odradek.broker.server import Server
from odradek.config.broker import BrokerSettings
from odradek.config.files import from_keywords
from odradek.config.listeners import advertised_address
from odradek.errors import ConfigError, InternalError, OdradekError

if TYPE_CHECKING:
    from odradek.broker.faults import Faults
    from odradek.broker.snapshot import Snapshot
    from odradek.config.address import Address

__all__ = ["Broker"]

_DEFAULTS: Final = {"listeners": "PLAINTEXT://127.0.0.1:0", "group.initial.rebalance.delay.ms": "0"}
"""Where an embedded broker differs from `odradek serve`: any free port, and groups don't wait 3 s for more members."""


@dataclass(frozen=True, slots=True)
class _Interlude:
    """What to do with the data directory while no server runs on it."""

    work: Callable[[Path], Awaitable[Any]]
    done: "Future[Any]" = field(default_factory=Future)


class Broker:
    """An event broker on a free port of 127.0.0.1: `with odradek.Broker() as broker: broker.bootstrap_servers`.

    Any Kafka client can use it. Several may run in one process. Thread-safe; `start` and `close` block and may be
    called again without effect. A broker that isn't closed is closed when the interpreter ends.

    Args:
        data_dir: where records are kept; None makes a directory that is removed by `close`.
        config: settings under Kafka's names with underscores: `num_partitions=3`, `log_retention_ms=60_000`.

    Raises:
        ConfigError: an unknown name or a bad value; names the allowed ones.
    """

    def __init__(self, data_dir: str | Path | None = None, **config: Any) -> None:
        texts = _DEFAULTS | from_keywords(config)
        for name in ("log.dirs", "log.dir"):
            if name in texts:
                raise ConfigError(f"{name}: give data_dir instead")
        self._temporary = data_dir is None
        self._data_dir: Path | None = None if data_dir is None else Path(data_dir)
        BrokerSettings(texts)  # bad settings are refused here, before there is a directory
        self._texts = texts
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wishes: asyncio.Queue[_Interlude | None] | None = None
        self._server: Server | None = None
        self._snapshots: list[Snapshot] = []
        self._address: Address | None = None
        self._failure: BaseException | None = None

    @property
    def bootstrap_servers(self) -> str:
        """Return `HOST:PORT` for a client's `bootstrap.servers`.

        Raises:
            OdradekError: the broker isn't running.
        """
        if self._address is None:
            raise OdradekError("the broker isn't running; use `with odradek.Broker() as broker` or call start()")
        return str(self._address)

    @property
    def data_dir(self) -> Path:
        """Return where records are kept.

        Raises:
            OdradekError: the directory is a temporary one and the broker isn't running.
        """
        if self._data_dir is None:
            raise OdradekError("the broker isn't running: it has no directory yet")
        return self._data_dir

    def start(self) -> Self:
        """Start; when this returns the broker answers requests.

        Raises:
            DataDirLockedError: another broker has the directory. StorageError: it can't be used. OSError: the port.
        """
        with self._lock:
            if self._thread is not None:
                return self
            if self._temporary:
                self._data_dir = Path(tempfile.mkdtemp(prefix="odradek-"))
            settings = BrokerSettings(self._texts | {"log.dirs": str(self._data_dir)})
            ready = threading.Event()
            thread = threading.Thread(
                target=lambda: asyncio.run(self._run(settings, ready)), name="odradek-broker", daemon=True
            )
            self._failure = None
            thread.start()
            ready.wait()
            if self._failure is not None:
                thread.join()
                self._clear()
                raise self._failure
            self._thread = thread
            atexit.register(self.close)
            return self

    async def _run(self, settings: BrokerSettings, ready: threading.Event) -> None:
        try:
            server = Server(settings)
            await server.start()
        except BaseException as error:  # noqa: BLE001 - handed to the thread that waits in `start`
            self._failure = error
            ready.set()
            return
        self._loop = asyncio.get_running_loop()
        wishes = self._wishes = asyncio.Queue()
        self._server = server
        self._address = advertised_address(settings, server.address)
        ready.set()
        while (interlude := await wishes.get()) is not None:
            try:
                result, server = await self._replace(server, settings, interlude)
            except BaseException as error:  # noqa: BLE001 - handed to the thread that waits for it
                interlude.done.set_exception(error)
                return
            self._server = server
            interlude.done.set_result(result)
        await server.stop()

    async def _replace(self, server: Server, settings: BrokerSettings, interlude: _Interlude) -> tuple[Any, Server]:
        """Stop the server, do the work and start another one; what fails leaves the broker stopped."""
        server.faults().clear()
        listener = server.listener()
        await server.stop()
        result = await interlude.work(self.data_dir)
        server = Server(settings, listener)
        await server.start()
        return result, server

    @property
    def faults(self) -> "Faults":
        """Return what has this broker misbehave: `broker.faults.fail("Produce", "NOT_LEADER_OR_FOLLOWER")`.

        Raises:
            OdradekError: the broker isn't running.
        """
        from odradek.broker.faults import Faults  # noqa: PLC0415 - only tests want it

        server = self._server
        if server is None:
            raise OdradekError("the broker isn't running: it has no faults")
        return Faults(server.faults())

    def snapshot(self) -> "Snapshot":
        """Keep topics, records, groups and offsets as they are now, for `restore`.

        Everything acknowledged before the call is in it. The server restarts on the same port: clients lose their
        connections and come back by themselves, group members rejoin, faults are gone. Takes some ms, and time for what
        isn't shared or linked of the data. The snapshot goes with the broker.

        Raises:
            OdradekError: the broker isn't running.
            OSError: the files can't be kept (no space); the broker is stopped then.
        """
        from odradek.broker.snapshot import Snapshot, take  # noqa: PLC0415 - only tests want it

        async def keep(data_dir: Path) -> Path:
            return take(data_dir)

        with self._lock:
            snapshot = Snapshot(self, self._between_servers(keep))
            self._snapshots.append(snapshot)
            return snapshot

    def restore(self, snapshot: "Snapshot") -> None:
        """Make topics, records, groups and offsets what they were when the snapshot was taken.

        The server restarts on the same port, as with `snapshot`. Topic ids come back, too, but producer ids are never
        given out twice.

        Raises:
            OdradekError: the broker isn't running, or the snapshot is another broker's or was discarded.
            OSError: the files can't be put back; the broker is stopped then.
        """
        from odradek.broker.snapshot import put_back  # noqa: PLC0415 - only tests want it

        kept = snapshot.path_for(self)
        with self._lock:
            self._between_servers(lambda data_dir: put_back(kept, data_dir))

    def _between_servers(self, work: Callable[[Path], Awaitable[Any]]) -> Any:
        thread, loop, wishes = self._thread, self._loop, self._wishes
        if thread is None or loop is None or wishes is None:
            raise OdradekError("the broker isn't running; use `with odradek.Broker() as broker` or call start()")
        interlude = _Interlude(work)
        loop.call_soon_threadsafe(wishes.put_nowait, interlude)
        try:
            return interlude.done.result()
        except BaseException:
            if interlude.done.done():  # else it was Ctrl-C here, and the broker goes on
                self._thread = None
                self._join(thread)
            raise

    def close(self) -> None:
        """Stop gracefully; remove a temporary directory. Idempotent."""
        with self._lock:
            thread, self._thread = self._thread, None
            if thread is None:
                return
            if self._loop is None or self._wishes is None:
                raise InternalError("a running broker has no loop")
            self._loop.call_soon_threadsafe(self._wishes.put_nowait, None)
            self._join(thread)

    def _join(self, thread: threading.Thread) -> None:
        thread.join()
        atexit.unregister(self.close)
        self._clear()

    def _clear(self) -> None:
        self._address = None
        self._server = None
        while self._snapshots:
            self._snapshots.pop().discard()
        if self._temporary and self._data_dir is not None:
            shutil.rmtree(self._data_dir, ignore_errors=True)
            self._data_dir = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
