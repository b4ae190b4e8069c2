"""A broker inside the caller's process: the very same server as `odradek serve`, its control plane on a thread of its own.

`start` does what must be done before Rust serves (`server.py`) and leaves the rest to that thread (`control_thread.py`).
`snapshot` and `restore` stop the server, see to its files (`snapshot.py`) and start another one on the same socket, so
the port stays taken and clients that connect meanwhile wait in its queue.
"""

from __future__ import annotations

import atexit
import os
import threading
from contextlib import suppress

from odradek.broker.control_thread import ControlThread
from odradek.broker.server import Server
from odradek.config.broker import BrokerSettings
from odradek.config.files import from_keywords
from odradek.errors import ConfigError, OdradekError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType
    from typing import Any, Final, Self

    from odradek.broker.control_thread import Work
    from odradek.broker.faults import Faults
    from odradek.broker.snapshot import Snapshot

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
        self._data_dir: str | None = None if data_dir is None else os.fspath(data_dir)
        BrokerSettings(texts)  # bad settings are refused here, before there is a directory
        self._texts = texts
        self._lock = threading.Lock()
        self._control: ControlThread | None = None
        self._server: Server | None = None
        self._snapshots: list[Snapshot] = []

    @property
    def bootstrap_servers(self) -> str:
        """Return `HOST:PORT` for a client's `bootstrap.servers`.

        Raises:
            OdradekError: the broker isn't running.
        """
        return str(self._running().advertised)

    @property
    def data_dir(self) -> Path:
        """Return where records are kept.

        Raises:
            OdradekError: the directory is a temporary one and the broker isn't running.
        """
        from pathlib import Path  # noqa: PLC0415 - a start does without it

        if self._data_dir is None:
            raise OdradekError("the broker isn't running: it has no directory yet")
        return Path(self._data_dir)

    def start(self) -> Self:
        """Start; when this returns the port is open and records can be written and read.

        Requests about topics, groups and settings are answered as soon as the rest is loaded, behind this call: in the
        first broker of a process some 0.1 s later, else within a few ms. Until then they wait. Should that fail, every
        connection is closed and the next call here raises why.

        Raises:
            DataDirLockedError: another broker has the directory. StorageError: it can't be used. OSError: the port.
        """
        with self._lock:
            if self._control is not None:
                return self
            try:
                if self._temporary:
                    self._data_dir = _temporary_directory()
                server = self._server = Server(BrokerSettings(self._texts | {"log.dirs": str(self._data_dir)}))
                server.start()
                control = ControlThread(server, self._follow)
                control.start()
            except BaseException:
                self._clear()
                raise
            self._control = control
            atexit.register(self._close_at_exit)
            return self

    def _follow(self, server: Server) -> None:
        self._server = server

    def _running(self) -> Server:
        control, server = self._control, self._server
        if control is None or server is None:
            raise OdradekError("the broker isn't running; use `with odradek.Broker() as broker` or call start()")
        if control.failure is not None:
            raise OdradekError(f"the broker has failed and is closed: {control.failure}") from control.failure
        return server

    @property
    def faults(self) -> Faults:
        """Return what has this broker misbehave: `broker.faults.fail("Produce", "NOT_LEADER_OR_FOLLOWER")`.

        Raises:
            OdradekError: the broker isn't running.
        """
        from odradek.broker.faults import Faults  # noqa: PLC0415 - only tests want it

        return Faults(self._running().faults())

    def snapshot(self) -> Snapshot:
        """Keep topics, records, groups and offsets as they are now, for `restore`.

        Everything acknowledged before the call is in it. The server restarts on the same port: clients lose their
        connections and come back by themselves, group members rejoin, faults are gone. Takes some ms, and time for what
        isn't shared or linked of the data. The snapshot goes with the broker.

        Raises:
            OdradekError: the broker isn't running.
            OSError: the files can't be kept (no space); the broker is stopped then.
        """
        from odradek.broker.snapshot import Snapshot, take  # noqa: PLC0415 - only tests want it

        async def keep() -> Path:
            return take(self.data_dir)

        with self._lock:
            snapshot = Snapshot(self, self._between_servers(keep))
            self._snapshots.append(snapshot)
            return snapshot

    def restore(self, snapshot: Snapshot) -> None:
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
            self._between_servers(lambda: put_back(kept, self.data_dir))

    def _between_servers(self, work: Work) -> Any:
        self._running()
        try:
            return None if self._control is None else self._control.between_servers(work)
        finally:
            self._forget_if_ended()

    def close(self) -> None:
        """Stop gracefully; remove a temporary directory. Idempotent.

        Raises:
            what made the broker fail, if it did, once.
        """
        with self._lock:
            if self._control is None:
                return
            try:
                self._control.stop()
            finally:
                self._forget_if_ended()

    def _close_at_exit(self) -> None:
        with suppress(Exception):  # told in the log; here is nobody to catch it
            self.close()

    def _forget_if_ended(self) -> None:
        """After Ctrl-C in a call that waited the broker goes on; otherwise what has stopped is cleared away."""
        if self._control is not None and not self._control.alive:
            self._control = None
            atexit.unregister(self._close_at_exit)
            self._clear()

    def _clear(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.close()
        while self._snapshots:
            self._snapshots.pop().discard()
        if self._temporary and self._data_dir is not None:
            from shutil import rmtree  # noqa: PLC0415 - a start does without it

            rmtree(self._data_dir, ignore_errors=True)
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


def _temporary_directory() -> str:
    """Make a directory as `tempfile.mkdtemp` does, which is only loaded where that fails: it would be a sixth of a start."""
    parent = next(filter(None, map(os.environ.get, ("TMPDIR", "TEMP", "TMP"))), "/tmp")  # noqa: S108
    path = os.path.join(os.path.abspath(parent), f"odradek-{os.urandom(8).hex()}")  # noqa: PTH100, PTH118
    try:
        os.mkdir(path, 0o700)  # noqa: PTH102 - as above
    except OSError:
        from tempfile import mkdtemp  # noqa: PLC0415

        return mkdtemp(prefix="odradek-")
    return path
