"""A broker inside the caller's process: the very same server as `odradek serve`, on a thread of its own."""

import asyncio
import atexit
import shutil
import tempfile
import threading
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from odradek.broker.server import Server
from odradek.config.broker import BrokerSettings
from odradek.config.files import from_keywords
from odradek.config.listeners import Address, advertised_address
from odradek.errors import ConfigError, InternalError, OdradekError

__all__ = ["Broker"]

_DEFAULTS: Final = {"listeners": "PLAINTEXT://127.0.0.1:0", "group.initial.rebalance.delay.ms": "0"}
"""Where an embedded broker differs from `odradek serve`: any free port, and groups don't wait 3 s for more members."""


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
        self._stop: asyncio.Event | None = None
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
        self._stop = asyncio.Event()
        self._address = advertised_address(settings, server.address)
        ready.set()
        await self._stop.wait()
        await server.stop()

    def close(self) -> None:
        """Stop gracefully; remove a temporary directory. Idempotent."""
        with self._lock:
            thread, self._thread = self._thread, None
            if thread is None:
                return
            if self._loop is None or self._stop is None:
                raise InternalError("a running broker has no loop")
            self._loop.call_soon_threadsafe(self._stop.set)
            thread.join()
            atexit.unregister(self.close)
            self._clear()

    def _clear(self) -> None:
        self._address = None
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
