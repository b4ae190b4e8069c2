"""The part of a broker that decides: topics, settings, groups. It comes up behind a `Server` that Rust serves already.

Requests that are its business wait in the engine's queue until it is up, so no client meets a coordinator that is
"still loading" (unless reading `__consumer_offsets` takes more than a second), and none is refused. Read
`dispatch.py` for a request's way, `controller/` for topics and settings, `coordinator/` for groups.
"""

import asyncio
import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

from odradek.broker import handlers
from odradek.broker.context import Services
from odradek.broker.controller.offsets_topic import OffsetsTopic
from odradek.broker.controller.producer_ids import ProducerIds
from odradek.broker.controller.topics import Topics
from odradek.broker.coordinator.clock import LoopClock
from odradek.broker.coordinator.group.service import GroupCoordinator
from odradek.broker.coordinator.group.settings import GroupSettings
from odradek.broker.dispatch import Dispatcher
from odradek.broker.server import Server
from odradek.metadata.embedded import EmbeddedStore

__all__ = ["ControlPlane"]

_log = logging.getLogger("odradek.broker")

STOP_GRACE_MS: Final = 5_000
"""How long requests under way may take when the broker stops."""


class ControlPlane:
    """The control plane of one server, on the running asyncio loop.

    Use: `start`, wait for `failed` or a reason of your own, then `stop`, which closes the server, too.
    """

    def __init__(self, server: Server) -> None:
        """Make one for a server that is started; it serves nothing yet."""
        self._server = server
        self._loop = asyncio.get_running_loop()
        self._store: EmbeddedStore | None = None
        self._dispatcher: Dispatcher | None = None
        self._groups: GroupCoordinator | None = None
        self.failed: asyncio.Future[None] = self._loop.create_future()
        """Ends with an exception when the broker can't go on (its data directory failed)."""

    async def start(self) -> None:
        """Load settings and groups, then answer what has been waiting and what comes.

        Raises:
            OdradekError: it can't be done; the server is closed then, and with it all connections.
        """
        try:
            await self._start()
        except BaseException:
            await self.stop(grace_ms=0)
            raise

    async def _start(self) -> None:
        server, engine, settings = self._server, self._server.engine, self._server.settings
        recovered = server.recovered()
        store = self._store = EmbeddedStore(server.nodes)
        configs = recovered.configs
        topics = Topics(store, engine, configs, recovered.topics, server.controller_epoch)
        groups = self._groups = GroupCoordinator(
            GroupSettings.from_broker(settings), engine, OffsetsTopic(topics, settings), LoopClock(self._loop), topics
        )
        topics.on_deleted.append(lambda topic: groups.forget_topics([topic.name]))
        await groups.start()
        services = Services(
            node_id=server.node_id,
            host=server.advertised.host,
            port=server.advertised.port,
            rack=server.rack,
            cluster_id=engine.cluster_id,
            data_dir=Path(server.data_dir),
            engine=engine,
            store=store,
            topics=topics,
            configs=configs,
            producer_ids=ProducerIds(store, server.node_id),
            loop=self._loop,
            groups=groups,
        )
        self._dispatcher = Dispatcher(engine, services, handlers.load(), self._fail)
        self._dispatcher.start()
        policy = settings["group.consumer.migration.policy"]
        if str(policy).lower() != "disabled":
            _log.warning(
                "group.consumer.migration.policy=%s is not served: groups with members keep their protocol", policy
            )
        _log.info("broker %d of cluster %s listens on %s", server.node_id, engine.cluster_id, server.address)

    def _fail(self, error: Exception) -> None:
        _log.critical("%s", error)
        if not self.failed.done():
            self.failed.set_exception(error)

    async def stop(self, grace_ms: int = STOP_GRACE_MS) -> None:
        """Answer what is under way, close every connection, write what is needed for a quick next start. Idempotent.

        Args:
            grace_ms: how long requests under way may take; waiting fetches and joins are answered at once.
        """
        groups, self._groups = self._groups, None
        dispatcher, self._dispatcher = self._dispatcher, None
        store, self._store = self._store, None
        if dispatcher is not None:
            _log.info("stopping")
        if groups is not None:
            await groups.stop()
        try:
            if dispatcher is not None:
                engine = self._server.engine
                await self._on_a_thread(lambda: engine.stop(grace_ms))
        finally:
            if dispatcher is not None:
                await dispatcher.stop()
            if store is not None:
                await store.close()
            self._server.close()
        if dispatcher is not None:
            _log.info("stopped")
        if self.failed.done() and not self.failed.cancelled():
            self.failed.exception()  # whoever waits for it has seen it; nobody is no reason to complain

    async def _on_a_thread(self, work: Callable[[], None]) -> None:
        """Do what blocks while the loop goes on answering.

        No executor does it: at the interpreter's end, when brokers that nobody closed are closed, none takes work.
        """
        done = self._loop.create_future()

        def run() -> None:
            try:
                work()
            except Exception as error:  # noqa: BLE001 - it is raised where this is awaited
                self._loop.call_soon_threadsafe(done.set_exception, error)
            else:
                self._loop.call_soon_threadsafe(done.set_result, None)

        thread = threading.Thread(target=run, name="odradek-stop")
        thread.start()
        try:
            await done
        finally:
            thread.join()
