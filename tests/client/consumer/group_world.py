"""Members of ours against the broker's real coordinator and handlers, without sockets, with time in hand.

A `World` has one coordinator, a clock and topics; a `Sim` is one consumer: our Membership and Commits, and a poller that
does what poll does. Requests are encoded and decoded on the way, as on the wire. The world notes who owns what.
"""

import asyncio
import random
import sys
from collections import defaultdict
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from uuid import uuid4

sys.path.insert(0, str(Path(__file__).parents[2] / "unit" / "coordinator"))

from group_harness import FakeClock, Service, turn

from odradek.broker.context import RequestContext
from odradek.broker.coordinator.group.states import Limits
from odradek.broker.handlers import load
from odradek.client.consumer.assignors import ASSIGNORS
from odradek.client.consumer.commits import Commits
from odradek.client.consumer.group_calls import GroupCalls
from odradek.client.consumer.handover import Assign, Handover, Lost, Revoke
from odradek.client.consumer.protocols import MEMBERSHIPS
from odradek.client.consumer.settings import GroupSettings
from odradek.client.consumer.subscription import Holdings
from odradek.client.consumer.wanted import Wanted
from odradek.errors import DisconnectedError, OdradekError
from odradek.protocol.answers import decode_answer
from odradek.protocol.api_keys import ApiKey
from odradek.protocol.codec import decode, encode, schema
from odradek.types import OffsetAndMetadata, TopicPartition

SESSION_MS = 6_000
MAX_POLL_MS = 20_000
HANDLERS = load()


def fetch_nothing():
    """There is no fetcher here."""


class SimClock:
    """The coordinator's clock, as the client reads one."""

    def __init__(self, clock: FakeClock):
        self._clock = clock

    def now(self):
        return self._clock.monotonic_ms() / 1000

    async def sleep(self, seconds):
        over = asyncio.get_running_loop().create_future()
        alarm = self._clock.call_at(
            self._clock.monotonic_ms() + seconds * 1000, lambda: over.done() or over.set_result(None)
        )
        try:
            await over
        finally:
            alarm.cancel()


class SimTransport:
    """Calls the broker's handlers; can be cut off, or told to answer with an error code."""

    def __init__(self, world):
        self._world = world
        self.cut = False
        self.lose = 0
        """So many answers are lost, though what they answer was done."""
        self.refuse = {}
        """Error codes or exceptions by API, one an answer, before requests get through again."""
        self.asked = []

    async def request(self, api, build, *, channel, versions, **_others):
        self.asked.append(api)
        handler = HANDLERS[api]
        version = min(handler.versions[1], versions[1])
        request = decode(api, version, encode(build(schema(api, version))))
        context = RequestContext(api, version, 1, "sim", id(self) * 10 + channel, "10.0.0.1", 1, self._world.services)
        if self.cut:
            raise DisconnectedError("cut")
        codes = self.refuse.get(api)
        if codes:
            code = codes.pop(0)
            if isinstance(code, Exception):
                raise code
            return SimpleNamespace(
                error_code=code,
                error_message=None,
                member_id="",
                member_epoch=0,
                heartbeat_interval=timedelta(0),
                members=(),
                topics=(),
                assignment=None if api == ApiKey.CONSUMER_GROUP_HEARTBEAT else b"",
            )
        answer = await handler.handle(context, request)
        if self.cut or self.lose:
            self.lose = max(self.lose - 1, 0)
            raise DisconnectedError("cut")
        return decode_answer(api, version, answer if isinstance(answer, bytes) else encode(answer))

    async def coordinator(self, _group_id):
        if self.cut:
            raise DisconnectedError("cut")
        return 1

    async def partition_counts(self, topics):
        if self.cut:
            raise DisconnectedError("cut")
        counts = self._world.counts
        return dict(counts) if topics is None else {topic: counts[topic] for topic in topics if topic in counts}

    async def topic_names(self, topic_ids):
        if self.cut:
            raise DisconnectedError("cut")
        return {one: name for name, one in self._world.topic_ids.items() if one in topic_ids}

    def known_counts(self):
        return dict(self._world.counts)

    def version(self):
        return self._world.metadata_version

    def watch(self, topics, *, all_topics):
        pass


class World:
    """One coordinator, its topics, its members, and who owns what."""

    def __init__(self, seed=0, usual="range", **counts):
        self.random = random.Random(seed)
        self.usual = usual
        """The assignor of a member that is given none."""
        self.counts = counts or {"t": 6}
        self.topic_ids = defaultdict(uuid4)
        self.metadata_version = 1
        self.service = Service(
            limits=Limits(0, max_size=1_000),
            topics=self,
            consumer_session_timeout_ms=SESSION_MS,
            consumer_heartbeat_interval_ms=SESSION_MS // 3,
        )
        self.clock = self.service.clock
        self.services = SimpleNamespace(groups=self.service.coordinator, topics=self)
        self.owners = {}
        self.members = []

    async def start(self):
        await self.service.start()
        return self

    # what the broker asks of topics

    @property
    def revision(self):
        return self.metadata_version

    def names(self):
        return sorted(self.counts)

    def get(self, name):
        count = self.counts.get(name)
        return count and SimpleNamespace(name=name, topic_id=self.topic_ids[name], partitions=range(count))

    def grow(self, topic, count):
        self.counts[topic] = count
        self.metadata_version += 1

    def member(self, *assignors, **options):
        """Add one with these assignors: those of the client, or "848-range" and "848-uniform", which are the broker's."""
        assignors = assignors or (self.usual,)
        if assignors[0].startswith("848-"):
            options |= {"protocol": "consumer", "remote_assignor": assignors[0].removeprefix("848-")}
            assignors = ()
        one = Sim(self, assignors, **options)
        self.members.append(one)
        return one

    def owned(self, *members):
        return sorted(partition for member in members for partition in member.holdings.held())

    def group(self):
        return self.service.coordinator.describe("g")

    def knows(self, member):
        """Return whether the coordinator still counts on a member.

        A static one that misses a rebalance stays in the group until its session ends, but in a generation that is
        over: Kafka's coordinator goes on without it, and gives what it has to others.
        """
        who = member.membership.identity
        if member.protocol == "consumer":
            known = self.group().members.get(who.member_id)
            return known is not None and known.epoch >= 0  # -2: it has said that it is away
        over = member.instance_id is not None and who.generation != self.group().generation
        return who.member_id in self.group().members.by_id and not over

    def note_assigned(self, member, partitions):
        """Hold that nobody whom the group still counts on owns any of them."""
        for one in partitions:
            other = self.owners.get(one)
            if other is not None and other is not member and other.alive:
                assert not self.knows(other), f"{one} belongs to {other.name} and is given to {member.name}"
            self.owners[one] = member

    def note_given_up(self, member, partitions):
        for one in partitions:
            if self.owners.get(one) is member:
                del self.owners[one]

    async def advance(self, ms):
        await turn()
        await self.clock.advance(ms)
        for member in self.members:
            member.check()

    async def settle(self, ms=30_000):
        """Let time pass in small steps."""
        for _ in range(ms // 500):
            await self.advance(500)

    async def stop(self):
        for member in self.members:
            await member.kill()


class Sim:
    """One consumer of group `g`."""

    def __init__(
        self,
        world,
        assignors=(),
        *,
        transport=None,
        protocol="classic",
        instance_id=None,
        topics="t",
        name=None,
        **options,
    ):
        self.world = world
        self.instance_id, self.protocol = instance_id, protocol
        self.name = name or f"m{len(world.members)}"
        loop = asyncio.get_running_loop()
        self._due = asyncio.Event()
        self.handover = Handover(loop, self._due.set)
        self.holdings = Holdings()
        self.transport = transport or SimTransport(world)
        clock = SimClock(world.clock)
        settings = GroupSettings(
            "g",
            [ASSIGNORS[one]() for one in assignors],
            instance_id,
            session_timeout_ms=SESSION_MS,
            heartbeat_interval_ms=SESSION_MS // 3,
            max_poll_interval_ms=MAX_POLL_MS,
            **options,
        )
        calls = GroupCalls(self.transport, settings)
        self.membership = MEMBERSHIPS[protocol](
            calls, self.transport, self.handover, settings, Wanted.of(topics), clock=clock, poll_age=self._poll_age
        )
        self.commits = Commits(calls, settings, self.holdings, lambda: self.membership, clock)
        self.polled_at = None
        self.log = []
        """What the user would be told: ("assigned" | "revoked" | "lost", partitions)."""
        self.raised = []
        self.progress = {}
        self.alive = True
        self.membership.start()
        self._poller = asyncio.ensure_future(self._poll_on())

    def _poll_age(self):
        return 0.0 if self.polled_at is None else self.world.clock.monotonic_ms() / 1000 - self.polled_at

    def stall(self):
        """Stop polling; heartbeats go on."""
        self.polled_at = self.world.clock.monotonic_ms() / 1000

    def resume(self):
        self.polled_at = None
        self._due.set()

    async def _poll_on(self):
        while True:
            await self._due.wait()
            self._due.clear()
            while self.polled_at is None and (event := self.handover.take()) is not None:
                try:
                    await self._event(event)
                except OdradekError as error:
                    self.raised.append(error)
                finally:
                    self.handover.settle(event)

    async def _event(self, event):
        held = self.holdings.held()
        if isinstance(event, Assign):
            added = self.holdings.replace(event.target, fetch_nothing)
            self.world.note_assigned(self, added)
            self.log.append(("assigned", added))
        elif isinstance(event, Revoke):
            going = [one for one in event.partitions if one in held]
            self.log.append(("revoked", going))
            self.holdings.replace(held.difference(going), fetch_nothing)
            self.world.note_given_up(self, going)
        elif isinstance(event, Lost):
            if held:
                self.log.append(("lost", sorted(held)))
            self.holdings.replace((), fetch_nothing)
            self.world.note_given_up(self, held)
            if event.error:
                raise event.error

    def told(self, what):
        return [partition for kind, partitions in self.log if kind == what for partition in partitions]

    def commit(self, offset=1, timeout=5.0):
        offsets = {one: OffsetAndMetadata(offset) for one in self.holdings.held()}
        return self.commits.commit(offsets, timeout)

    def check(self):
        """A task that died would be a silent stop."""
        if self.alive:
            assert not self._poller.done(), self._poller.exception()

    async def leave(self):
        """Close as the consumer does: give up, then leave."""
        self.world.note_given_up(self, self.holdings.held())
        self.holdings.replace((), fetch_nothing)
        self.alive = False
        self._poller.cancel()
        await self.membership.stop("closed")

    async def kill(self):
        """Die without a word."""
        self.transport.cut = True
        self.alive = False
        self._poller.cancel()
        await self.membership.stop("killed")


def partitions(topic, *numbers):
    return [TopicPartition(topic, number) for number in numbers]
