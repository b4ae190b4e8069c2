"""The part of a broker that must be there before it listens: directory, metadata, logs, port. Blocks; knows no asyncio.

Once it is started, Rust answers Produce, Fetch, ListOffsets, Metadata and ApiVersions; every other request waits in
the engine's queue for `control.py`, which is loaded and started behind it. So `odradek.Broker()` does not wait for
asyncio and what comes with it, and what is imported here at the top is what each start has to wait for. A new directory
holds nothing that a request could be about, so its metadata tree, and SQLite with it, is left to the control plane, too.
"""

from __future__ import annotations

import os

from odradek._native import Engine
from odradek.broker.served import SERVED
from odradek.config.address import Address
from odradek.config.listeners import advertised_address, listen_address
from odradek.errors import ConfigError, InternalError, StorageError
from odradek.metadata import FILE_NAME

TYPE_CHECKING = False
if TYPE_CHECKING:
    from odradek._native import Faults, Listener
    from odradek.broker.controller.recovery import Recovered
    from odradek.config.broker import BrokerSettings
    from odradek.metadata.sqlite_tree import SqliteTree

__all__ = ["Server"]


class Server:
    """One broker's Rust side and its files. Use: `start`, put a `ControlPlane` beside it, stop that, then `close`."""

    def __init__(self, settings: BrokerSettings, listener: Listener | None = None) -> None:
        """Make a broker that isn't started.

        Args:
            settings: its settings.
            listener: the socket of the server it follows, in place of a new one.
        """
        self.settings = settings
        self.node_id = settings.number("node.id")
        self._listener = listener
        self._engine: Engine | None = None
        self._nodes: SqliteTree | None = None
        self._recovered: Recovered | None = None
        self.controller_epoch = 0
        """This broker's, as controller, once `nodes` has been asked for."""
        self._data_dir = ""
        self.address: Address
        """Where the broker listens, once it is started."""
        self.advertised: Address
        """What clients are told, once it is started."""

    def start(self) -> None:
        """Open the data directory, recover the logs if there are any, listen.

        Raises:
            ConfigError: a setting doesn't fit. StorageError: the data directory. OSError: the port.
        """
        try:
            self._start()
        except BaseException:
            self.close()
            raise

    def _start(self) -> None:
        settings = self.settings
        listen = listen_address(settings)
        self._data_dir = _data_dir(settings)
        texts = settings.effective_texts()
        engine = self._engine = Engine({**texts, "log.dirs": self._data_dir, "node.id": str(self.node_id)})
        self.address = _bind(engine, listen, self._listener)
        self.advertised = advertised_address(settings, self.address)
        if engine.partitions_on_disk() or os.path.lexists(os.path.join(self._data_dir, FILE_NAME)):  # noqa: PTH118
            self.recovered()
        engine.publish_apis(SERVED)
        broker = (self.node_id, self.advertised.host, self.advertised.port, self.rack)
        engine.publish_brokers([broker], self.node_id)
        engine.start()

    def recovered(self) -> Recovered:
        """Return settings and topics as they were found."""
        from pathlib import Path  # noqa: PLC0415 - a new directory is served without any of this

        from odradek.broker.controller.recovery import recover  # noqa: PLC0415

        if self._recovered is None:
            self._recovered = recover(
                self.nodes,
                self.engine,
                self.settings,
                node_id=self.node_id,
                data_dir=Path(self._data_dir),
                controller_epoch=self.controller_epoch,
            )
        return self._recovered

    @property
    def rack(self) -> str | None:
        """`broker.rack`."""
        rack = self.settings["broker.rack"]
        return rack if isinstance(rack, str) else None

    @property
    def data_dir(self) -> str:
        """Absolute path of the data directory, once it is started."""
        return self._data_dir

    @property
    def engine(self) -> Engine:
        """The Rust side; only while it runs."""
        if self._engine is None:
            raise InternalError("the server isn't running")
        return self._engine

    @property
    def nodes(self) -> SqliteTree:
        """The metadata tree, with this broker in it as the controller; only while it runs.

        Raises:
            StorageError: the tree of a new directory can't be made.
        """
        nodes = self._nodes
        if nodes is None:
            from odradek.broker.registration import register  # noqa: PLC0415 - a new directory is served without SQLite
            from odradek.metadata.sqlite_tree import SqliteTree  # noqa: PLC0415

            engine = self.engine
            nodes = self._nodes = SqliteTree(self._data_dir)
            self.controller_epoch = register(nodes, self.node_id, self.advertised, engine.cluster_id)
        return nodes

    def faults(self) -> Faults:
        """Return the table of what this broker is asked to do wrong; only while it runs."""
        return self.engine.faults()

    def listener(self) -> Listener:
        """Return the listening socket for the next server; only while this one runs."""
        return self.engine.listener()

    def close(self) -> None:
        """Close every connection and write what is needed for a quick next start. Idempotent.

        Requests under way are not waited for: stop the control plane first, which does that.
        """
        engine, self._engine = self._engine, None
        nodes, self._nodes = self._nodes, None
        if engine is not None:
            engine.stop(0)
        if nodes is not None:
            nodes.close()
        if engine is not None:
            engine.close()


def _bind(engine: Engine, listen: Address, listener: Listener | None) -> Address:
    if listener is not None:
        return Address(listen.host, engine.adopt(listener))
    try:
        return Address(listen.host, engine.bind(listen.host or "0.0.0.0", listen.port))
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise OSError(error.errno, f"can't listen on {listen}: {reason}") from error


def _data_dir(settings: BrokerSettings) -> str:
    directories = settings.words("log.dirs")
    if len(directories) != 1:
        raise ConfigError(f"log.dirs: {len(directories)} directories; odradek uses exactly one")
    path = os.path.abspath(directories[0])  # noqa: PTH100 - `pathlib` costs each start 2 ms
    try:
        os.makedirs(path, exist_ok=True)  # noqa: PTH103
    except FileExistsError as error:
        raise StorageError(f"{path}: not a directory") from error
    except OSError as error:
        raise StorageError(f"{path}: {error.strerror}") from error
    if not os.access(path, os.R_OK | os.W_OK | os.X_OK):
        raise StorageError(f"{path}: can't be read and written by this user")
    return path
