"""A broker without sockets or logs: the real store, controller, dispatcher and handlers around an engine that only notes.

The engine here stands for the native one where its bytes don't matter; what is seen on the wire is tested in tests/wire.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from types import SimpleNamespace

from kio.serial import entity_reader

from odradek.broker import handlers
from odradek.broker.context import Services
from odradek.broker.controller.producer_ids import ProducerIds
from odradek.broker.controller.recovery import recover
from odradek.broker.controller.topics import Topics
from odradek.broker.dispatch import Dispatcher
from odradek.config.broker import BrokerSettings
from odradek.metadata import tree
from odradek.metadata.embedded import EmbeddedStore
from odradek.metadata.sqlite_tree import SqliteTree
from odradek.metadata.store import Create
from odradek.protocol.api_keys import ApiKey
from odradek.protocol.codec import encode, response_class, schema

NODE = 7
CONTROLLER_EPOCH = 1
DISCONNECTED = object()


class NotingEngine:
    """Keeps what it was told; answers come back through `answers`."""

    cluster_id = "test-cluster"

    def __init__(self):
        self.fd = os.eventfd(0, os.EFD_NONBLOCK)
        self.queue = []
        self.events = []
        self.answers = {}
        self.hosted = {}
        self.configs = {}
        self.published = {}
        self.folders = {}
        self.fail_hosting = None

    # control queue

    def control_fd(self):
        return self.fd

    def take_requests(self, limit):
        taken, self.queue = self.queue[:limit], self.queue[limit:]
        if not self.queue:
            os.eventfd_read(self.fd)
        return taken

    def take_events(self):
        taken, self.events = self.events, []
        return taken

    def respond(self, token, body):
        self.answers[token].set_result(body)

    def reroute(self, token):
        self.answers[token].set_result("rerouted")

    def disconnect(self, token):
        self.answers[token].set_result(DISCONNECTED)

    # partitions

    def partitions_on_disk(self):
        return [(topic, number, topic_id) for (topic, number), topic_id in self.folders.items()]

    def host_partitions(self, topic, topic_id, config, partitions):
        if self.fail_hosting:
            raise self.fail_hosting
        self.configs[topic] = dict(config)
        for number, epoch, isr in partitions:
            self.hosted[topic, number] = (epoch, isr)
            self.folders[topic, number] = topic_id

    def configure_topic(self, topic, config):
        self.configs[topic] = dict(config)

    def delete_partitions(self, topic, partitions):
        for number in partitions:
            if self.hosted.pop((topic, number), None):
                del self.folders[topic, number]

    def publish_topics(self, topics):
        self.published |= {topic[0]: topic for topic in topics}

    def withdraw_topics(self, names):
        for name in names:
            del self.published[name]

    def log_sizes(self):
        return [(topic, number, 100 + number) for topic, number in sorted(self.hosted)]


class NotingGroups:
    """In place of the group coordinator: keeps who asked for it."""

    def __init__(self):
        self.announced = []

    def announce(self, group_id, connection_id):
        self.announced.append((group_id, connection_id))

    def describe(self, _group_id):
        return None


class World:
    """One broker's Python side."""

    def __init__(self, engine, store, services, dispatcher):
        self.engine = engine
        self.store = store
        self.services = services
        self.dispatcher = dispatcher
        self.fatal = asyncio.Queue()
        self._token = 0
        self.connection = 1

    @classmethod
    async def start(cls, directory: Path, engine=None, **settings):
        engine = engine or NotingEngine()
        nodes = SqliteTree(directory)
        nodes.multi([Create(path) for path in tree.BASE_PATHS if nodes.get(path) is None])
        texts = {name.replace("_", "."): str(value) for name, value in settings.items()}
        configs, recovered = recover(
            nodes, engine, BrokerSettings(texts), node_id=NODE, data_dir=directory, controller_epoch=CONTROLLER_EPOCH
        )
        store = EmbeddedStore(nodes)
        topics = Topics(store, engine, configs, recovered, CONTROLLER_EPOCH)
        services = Services(
            node_id=NODE,
            host="broker.example",
            port=9092,
            rack="r1",
            cluster_id=engine.cluster_id,
            data_dir=directory,
            engine=engine,
            store=store,
            topics=topics,
            configs=configs,
            producer_ids=ProducerIds(store, NODE),
            loop=asyncio.get_running_loop(),
            groups=NotingGroups(),
        )
        world = cls(engine, store, services, None)
        world.dispatcher = Dispatcher(engine, services, handlers.load(), world.fatal.put_nowait)
        world.dispatcher.start()
        return world

    async def stop(self):
        await self.dispatcher.stop()
        await self.store.close()
        os.close(self.engine.fd)

    async def send(self, api_key, version, body):
        """Return the raw answer: bytes, "rerouted" or DISCONNECTED."""
        self._token += 1
        token = self._token
        self.engine.answers[token] = asyncio.get_running_loop().create_future()
        self.engine.queue.append(
            SimpleNamespace(
                token=token,
                api_key=api_key,
                api_version=version,
                correlation_id=token,
                client_id="tester",
                connection_id=self.connection,
                peer_host="127.0.0.1",
                fault_code=0,
                body=body,
            )
        )
        os.eventfd_write(self.engine.fd, 1)
        return await self.engine.answers[token]

    async def ask(self, api_key, version, build):
        """Send what `build(schema)` makes; return the decoded response, every byte of which is accounted for."""
        body = await self.send(api_key, version, encode(build(schema(api_key, version))))
        response, size = entity_reader(response_class(api_key, version))(body, 0)
        assert size == len(body)
        return response

    async def create_topic(self, name, partitions=1, **configs):
        """Make a topic, the ordinary way."""

        def build(m):
            rows = tuple(m.CreatableTopicConfig(name=k.replace("_", "."), value=v) for k, v in configs.items())
            topic = m.CreatableTopic(
                name=name, num_partitions=partitions, replication_factor=-1, assignments=(), configs=rows
            )
            return m.CreateTopicsRequest(topics=(topic,))

        (row,) = (await self.ask(ApiKey.CREATE_TOPICS, 7, build)).topics
        assert row.error_code == 0, row
        return row
