"""The composition root: makes one broker out of its parts, in the order in which they can be made, and takes it apart.

Nothing is accepted before everything is ready: topics hosted, groups loaded, port taken (a client that connects early
waits in the listen queue and is never told "not yet"). Read `dispatch.py` for a request's way, `controller/` for topics
and settings, `coordinator/` for groups. The only importer of the native engine in the broker.
"""

import asyncio
import logging
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from odradek._native import Engine
from odradek.broker import handlers
from odradek.broker.context import Services
from odradek.broker.controller.configs import Configs
from odradek.broker.controller.offsets_topic import OffsetsTopic
from odradek.broker.controller.producer_ids import ProducerIds
from odradek.broker.controller.reconcile import reconcile
from odradek.broker.controller.topics import Topics
from odradek.broker.coordinator.clock import LoopClock
from odradek.broker.coordinator.group.service import GroupCoordinator
from odradek.broker.coordinator.group.settings import GroupSettings
from odradek.broker.dispatch import Dispatcher
from odradek.config.address import Address
from odradek.config.broker import BrokerSettings
from odradek.config.listeners import advertised_address, listen_address
from odradek.errors import ConfigError, InternalError, StorageError
from odradek.metadata import tree
from odradek.metadata.embedded import EmbeddedStore
from odradek.metadata.store import Create, MetadataStore, Operation, Set

if TYPE_CHECKING:
    from odradek._native import Faults, Listener

__all__ = ["Server"]

_log = logging.getLogger("odradek.broker")

STOP_GRACE_MS: Final = 5_000
"""How long requests under way may take when the broker stops."""


class Server:
    """One broker on the running asyncio loop. Use: `start`, then wait for `failed` or your own reason, then `stop`."""

    def __init__(self, settings: BrokerSettings, listener: "Listener | None" = None) -> None:
        """Make a broker that isn't started.

        Args:
            settings: its settings.
            listener: the socket of the server it follows, in place of a new one.
        """
        self._settings = settings
        self._listener = listener
        self._loop = asyncio.get_running_loop()
        self._engine: Engine | None = None
        self._store: MetadataStore | None = None
        self._dispatcher: Dispatcher | None = None
        self._groups: GroupCoordinator | None = None
        self._started = False
        self.failed: asyncio.Future[None] = self._loop.create_future()
        """Ends with an exception when the broker can't go on (its data directory failed)."""
        self.address = Address("", 0)
        """Where the broker listens, once it is started."""

    async def start(self) -> None:
        """Open the data directory, make everything ready, listen.

        Raises:
            ConfigError: a setting doesn't fit. StorageError: the data directory. OSError: the port.
        """
        try:
            await self._start()
        except BaseException:
            await self.stop(grace_ms=0)
            raise

    async def _start(self) -> None:
        settings = self._settings
        listen = listen_address(settings)
        data_dir = _data_dir(settings)
        node_id = settings.number("node.id")
        texts = settings.effective_texts()
        engine = self._engine = Engine({**texts, "log.dirs": str(data_dir), "node.id": str(node_id)})
        bound = self.address = _bind(engine, listen, self._listener)
        advertised = advertised_address(settings, bound)
        store = await EmbeddedStore.open(data_dir)
        self._store = store
        epoch = await _register(store, node_id, advertised, engine.cluster_id)

        configs = Configs(settings, store, node_id)
        await configs.load()
        topics = Topics(store, engine, configs, node_id)
        await topics.load(epoch, after_crash=store.crashed)
        offsets_topic = OffsetsTopic(topics, settings)
        await reconcile(topics, offsets_topic, engine, store, data_dir=data_dir, node_id=node_id)
        groups = self._groups = GroupCoordinator(
            GroupSettings.from_broker(settings), engine, offsets_topic, LoopClock(self._loop)
        )
        topics.on_deleted.append(lambda topic: groups.forget_topics([topic.name]))
        await groups.start()

        rack = settings["broker.rack"]
        services = Services(
            node_id=node_id,
            host=advertised.host,
            port=advertised.port,
            rack=rack if isinstance(rack, str) else None,
            cluster_id=engine.cluster_id,
            data_dir=data_dir,
            engine=engine,
            store=store,
            topics=topics,
            configs=configs,
            producer_ids=ProducerIds(store, node_id),
            loop=self._loop,
            groups=groups,
        )
        table = handlers.load()
        engine.publish_apis([(row.api_key, *row.versions) for row in table.values() if row.advertised])
        engine.publish_brokers([(node_id, advertised.host, advertised.port, services.rack)], node_id)
        self._dispatcher = Dispatcher(engine, services, table, self._fail)
        self._dispatcher.start()
        engine.start()
        self._started = True
        _log.info("broker %d of cluster %s listens on %s", node_id, engine.cluster_id, bound)

    def _fail(self, error: Exception) -> None:
        _log.critical("%s", error)
        if not self.failed.done():
            self.failed.set_exception(error)

    def faults(self) -> "Faults":
        """Return the table of what this broker is asked to do wrong; only while it runs."""
        return self._running().faults()

    def listener(self) -> "Listener":
        """Return the listening socket for the next server; only while this one runs."""
        return self._running().listener()

    def _running(self) -> Engine:
        if self._engine is None:
            raise InternalError("the server isn't running")
        return self._engine

    async def stop(self, grace_ms: int = STOP_GRACE_MS) -> None:
        """Answer what is under way, close every connection, write what is needed for a quick next start. Idempotent.

        Args:
            grace_ms: how long requests under way may take; waiting fetches and joins are answered at once.
        """
        engine, self._engine = self._engine, None
        groups, self._groups = self._groups, None
        dispatcher, self._dispatcher = self._dispatcher, None
        store, self._store = self._store, None
        if self._started:
            _log.info("stopping")
        if groups is not None:
            await groups.stop()
        if engine is not None and self._started:
            await self._loop.run_in_executor(None, engine.stop, grace_ms)
        if dispatcher is not None:
            await dispatcher.stop()
        if store is not None:
            await store.close()
        if engine is not None:
            await self._loop.run_in_executor(None, engine.close)
            if self._started:
                _log.info("stopped")
        if self.failed.done() and not self.failed.cancelled():
            self.failed.exception()  # whoever waits for it has seen it; nobody is no reason to complain


def _bind(engine: Engine, listen: Address, listener: "Listener | None") -> Address:
    if listener is not None:
        return Address(listen.host, engine.adopt(listener))
    try:
        return Address(listen.host, engine.bind(listen.host or "0.0.0.0", listen.port))
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise OSError(error.errno, f"can't listen on {listen}: {reason}") from error


def _data_dir(settings: BrokerSettings) -> Path:
    directories = settings.words("log.dirs")
    if len(directories) != 1:
        raise ConfigError(f"log.dirs: {len(directories)} directories; odradek uses exactly one")
    path = Path(directories[0]).absolute()
    try:
        path.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise StorageError(f"{path}: not a directory") from error
    except OSError as error:
        raise StorageError(f"{path}: {error.strerror}") from error
    if not os.access(path, os.R_OK | os.W_OK | os.X_OK):
        raise StorageError(f"{path}: can't be read and written by this user")
    return path


async def _register(store: MetadataStore, node_id: int, address: Address, cluster_id: str) -> int:
    """Put this broker into the tree, make it the controller, and return its controller epoch."""
    operations: list[Operation] = [Create(path) for path in tree.BASE_PATHS if await store.get(path) is None]
    now = str(time.time_ns() // 1_000_000)
    if await store.get(tree.CLUSTER_ID) is None:
        operations.append(Create(tree.CLUSTER_ID, tree.dump({"version": "1", "id": cluster_id})))
    node = await store.get(tree.CONTROLLER_EPOCH)
    epoch = 1 if node is None else int(node.value) + 1
    value = str(epoch).encode()
    operations.append(Create(tree.CONTROLLER_EPOCH, value) if node is None else Set(tree.CONTROLLER_EPOCH, value))
    broker = {
        "version": 5,
        "host": address.host,
        "port": address.port,
        "endpoints": [f"PLAINTEXT://{address}"],
        "listener_security_protocol_map": {"PLAINTEXT": "PLAINTEXT"},
        "jmx_port": -1,
        "rack": None,
        "timestamp": now,
    }
    operations.append(Create(tree.broker_path(node_id), tree.dump(broker), ephemeral=True))
    controller = {"version": 2, "brokerid": node_id, "timestamp": now}
    operations.append(Create(tree.CONTROLLER, tree.dump(controller), ephemeral=True))
    await store.multi(operations)
    return epoch
