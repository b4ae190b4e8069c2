"""What the coordinator's unit tests share: a clock turned by hand, a log in memory, drivers of group and service."""

import asyncio
import heapq
import itertools
import re
import struct
from dataclasses import dataclass, field
from uuid import UUID, uuid4

from fake_rounds import FakeRounds

from odradek.broker.coordinator.group.classic import ClassicGroup
from odradek.broker.coordinator.group.gathering import QUIET_MS
from odradek.broker.coordinator.group.members import Identity, JoinRequest
from odradek.broker.coordinator.group.records import OffsetCommit, OffsetKey, Record, encode
from odradek.broker.coordinator.group.service import OFFSETS_TOPIC, GroupCoordinator
from odradek.broker.coordinator.group.settings import GroupSettings
from odradek.broker.coordinator.group.states import Limits
from odradek.errors import LogDirOfflineError
from odradek.record import decode_batches, encode_batch

SESSION_MS = 10_000
REBALANCE_MS = 60_000


def subscription(*topics, version=1):
    """A consumer's subscription blob: the head that all versions share, and no user data."""
    body = struct.pack(">hi", version, len(topics))
    for topic in topics:
        body += struct.pack(">h", len(topic)) + topic.encode()
    return body + struct.pack(">i", -1)


def join_request(member_id="", **changes):
    values = {
        "member_id": member_id,
        "protocol_type": "consumer",
        "protocols": {"range": subscription("orders")},
        "session_timeout_ms": SESSION_MS,
        "rebalance_timeout_ms": REBALANCE_MS,
        "client_id": "client",
        "client_host": "/10.0.0.1",
    }
    return JoinRequest(**(values | changes))


class Driver:
    """One ClassicGroup, time in hand, records applied as soon as they come. Waiters are numbers."""

    def __init__(self, *, limits=None, group=None):
        self.now = 0.0
        self.group = group or ClassicGroup("g", limits or Limits(initial_rebalance_delay_ms=0))
        self.log = []
        self.answers = {}
        self._ids = itertools.count(1)
        self._waiters = itertools.count(1)

    def settle(self):
        while self.group.records:
            record = self.group.records.pop(0)
            self.log.append(record)
            self.group.apply(record, self.now)
        for waiter, answer in self.group.answers:
            assert waiter not in self.answers, "answered twice"
            self.answers[waiter] = answer
        self.group.answers.clear()

    def advance(self, ms):
        """Let time pass, waking the group when it wants to be woken."""
        end = self.now + ms
        for _ in range(10_000):
            if self.group.wake_at_ms > end:
                break
            self.now = max(self.now, self.group.wake_at_ms)
            self.group.expire(self.now)
            self.settle()
        else:
            raise AssertionError("the group does not stop waking up")
        self.now = end

    def gather(self):
        """Let a first rebalance end: its members have found each other."""
        self.advance(QUIET_MS)

    def join(self, member_id="", **changes):
        """Send a join; return its waiter, whose answer may come later."""
        waiter = next(self._waiters)
        self.group.join(join_request(member_id, **changes), waiter, self.now, lambda: f"m{next(self._ids)}")
        self.settle()
        return waiter

    def sync(self, member_id, generation=None, assignments=None, *, instance_id=None, protocol=(None, None)):
        waiter = next(self._waiters)
        generation = self.group.generation if generation is None else generation
        who = Identity(member_id, instance_id, generation)
        self.group.sync(who, protocol, assignments or {}, waiter, self.now)
        self.settle()
        return waiter

    def heartbeat(self, member_id, generation=None, instance_id=None):
        generation = self.group.generation if generation is None else generation
        return self.group.heartbeat(Identity(member_id, instance_id, generation), self.now)

    def commit(self, member_id="", generation=-1, instance_id=None):
        return self.group.check_commit(Identity(member_id, instance_id, generation), self.now)

    def leave(self, *who):
        errors = self.group.leave(who, self.now)
        self.settle()
        return errors

    def add(self, **changes):
        """Take a dynamic member through the member id round trip; return (member id, waiter of the real join)."""
        member_id = self.answers[self.join(**changes)].member_id
        return member_id, self.join(member_id, **changes)

    def stable(self, count, **changes):
        """Return the ids of `count` members of a stable group, the leader first."""
        joined = [self.add(**changes) for _ in range(count)]
        self.gather()
        members = [member_id for member_id, _ in joined]
        self.sync_all(members)
        return members

    def sync_all(self, members):
        assignments = {member_id: b"for " + member_id.encode() for member_id in members}
        for member_id in members:
            leads = self.group.members.leader == member_id
            self.sync(member_id, assignments=assignments if leads else {})

    def keep_alive(self, members, ms):
        """Let time pass while these members send heartbeats."""
        step = SESSION_MS / 3
        end = self.now + ms
        while self.now < end:
            self.advance(min(step, end - self.now))
            for member_id in members:
                self.heartbeat(member_id)


@dataclass(order=True)
class FakeAlarm:
    when_ms: float
    number: int
    action: object = field(compare=False)
    cancelled: bool = field(default=False, compare=False)

    def cancel(self):
        self.cancelled = True


class FakeClock:
    """A clock that moves when told to, ringing its alarms on the way."""

    def __init__(self, wall_ms=1_700_000_000_000):
        self._now = 0.0
        self._wall = wall_ms
        self._alarms = []
        self._numbers = itertools.count()

    def monotonic_ms(self):
        return self._now

    def wall_ms(self):
        return self._wall + int(self._now)

    def call_at(self, when_ms, action):
        alarm = FakeAlarm(when_ms, next(self._numbers), action)
        heapq.heappush(self._alarms, alarm)
        return alarm

    @property
    def alarms(self):
        return sum(not alarm.cancelled for alarm in self._alarms)

    async def advance(self, ms):
        end = self._now + ms
        while self._alarms and self._alarms[0].when_ms <= end:
            alarm = heapq.heappop(self._alarms)
            self._now = max(self._now, alarm.when_ms)
            if not alarm.cancelled:
                alarm.action()
                await turn()
        self._now = end
        await turn()


async def turn():
    """Give every task that can run its turns."""
    for _ in range(5):
        await asyncio.sleep(0)


class FakeLog(FakeRounds):
    """Partitions as byte strings, offsets given as the engine gives them."""

    def __init__(self):
        super().__init__()
        self.partitions = {}
        self.offline = False
        self.appends = 0
        self.settled = {}
        self.heard = {}
        self.held = set()
        self._places = {}
        self._untaken = {}

    def append(self, topic, partition, batches):
        if self.offline:
            raise LogDirOfflineError("the disk is gone")
        self.appends += 1
        batch = decode_batches(batches)[0]
        stored = self.partitions.setdefault((topic, partition), [])
        base = stored[-1][1] + 1 if stored else 0
        last = base + batch.last_offset - batch.base_offset
        stored.append((base, last, struct.pack(">q", base) + batches[8:]))
        return base, last

    def read(self, topic, partition, offset, max_bytes):
        out = b""
        for _, last, data in self.partitions.get((topic, partition), []):
            if last >= offset and (not out or len(out) + len(data) <= max_bytes):
                out += data
        return out

    def offsets(self, topic, partition):
        stored = self.partitions.get((topic, partition), [])
        end = stored[-1][1] + 1 if stored else 0
        return 0, end, end

    def matching_names(self, expression, names):
        try:
            pattern = re.compile(expression)
        except re.error as error:
            raise ValueError(str(error)) from error
        return [name for name in names if pattern.fullmatch(name)]

    def settle_group(self, group, generation, members, partition):
        self.settled[group] = (generation, dict(members))
        self.heard[group] = {}
        self._untaken[group] = {}
        self._places[group] = partition

    def unsettle_group(self, group):
        assert not self._untaken[group], "these commits are lost"
        assert group in self.held, "what is committed now is lost"
        self.held.discard(group)
        silences = self.silences(group)
        del self.settled[group], self.heard[group]
        return silences

    def take_commits(self, group, *, hold):
        if hold:
            self.held.add(group)
        taken, self._untaken[group] = self._untaken[group], {}
        return [(*at, *commit) for at, commit in taken.items()]

    def release_commits(self, group):
        self.held.discard(group)

    def commit(self, group, topic, partition, offset):
        """Commit as the engine would for a member of a settled group; False = it goes to Python."""
        if group not in self.settled or group in self.held:
            return False
        stamp, topic_id = self.clock.wall_ms(), bytes(16)
        commit = OffsetCommit(offset, -1, "", stamp, topic_id=topic_id)
        record = encode(Record(OffsetKey(group, topic, partition), commit))
        self.append(OFFSETS_TOPIC, self._places[group], encode_batch([(stamp, *record, ())]))
        self._untaken[group][topic, partition] = (offset, -1, "", stamp, topic_id)
        return True

    def silences(self, group):
        return {member: int(self.clock.monotonic_ms() - at) for member, at in self.heard.get(group, {}).items()}

    def hear(self, group, member_id):
        """Answer a heartbeat as the engine would; False = it goes to Python."""
        known = member_id in self.settled.get(group, (0, {}))[1]
        if known:
            self.heard[group][member_id] = self.clock.monotonic_ms()
        return known

    def records(self, topic=OFFSETS_TOPIC):
        """All records of all partitions in order, as (key, value)."""
        return [
            (record.key, record.value)
            for (name, _), stored in self.partitions.items()
            if name == topic
            for _, _, data in stored
            for batch in decode_batches(data)
            for record in batch.records
        ]


class FakeTopic:
    """`__consumer_offsets`, there from the first need on."""

    def __init__(self, count=50, *, exists=True):
        self._count = count
        self.exists = exists

    def partition_count(self):
        return self._count if self.exists else 0

    async def create(self):
        self.exists = True
        return self._count


@dataclass(frozen=True)
class FakeClusterTopic:
    topic_id: UUID
    partitions: range


class FakeTopics:
    """The cluster's topics: `put` makes and grows, `drop` deletes."""

    def __init__(self, **counts):
        self.revision = 0
        self._by_name = {}
        for name, count in counts.items():
            self.put(name, count)

    def put(self, name, count):
        known = self._by_name.get(name)
        self._by_name[name] = FakeClusterTopic(uuid4() if known is None else known.topic_id, range(count))
        self.revision += 1

    def drop(self, name):
        del self._by_name[name]
        self.revision += 1

    def get(self, name):
        return self._by_name.get(name)

    def names(self):
        return sorted(self._by_name)

    def id_of(self, name):
        return self._by_name[name].topic_id.bytes


class Service:
    """A GroupCoordinator over a fake log and clock."""

    def __init__(self, log=None, clock=None, topic=None, topics=None, **settings):
        self.log = log or FakeLog()
        self.clock = self.log.clock = clock or FakeClock()
        self.topic = topic or FakeTopic()
        settings.setdefault("limits", Limits(initial_rebalance_delay_ms=0))
        self.settings = settings
        self.topics = topics or FakeTopics()
        self.coordinator = GroupCoordinator(GroupSettings(**settings), self.log, self.topic, self.clock, self.topics)

    async def start(self):
        await self.coordinator.start()
        return self

    async def restarted(self):
        """Another coordinator over the same log, as after kill -9."""
        clock = FakeClock(self.clock.wall_ms())
        other = Service(log=self.log, clock=clock, topic=self.topic, topics=self.topics, **self.settings)
        return await other.start()

    async def member(self, group="g", **changes):
        """Take one member through join and sync as leader; return its Identity."""
        changes.setdefault("needs_member_id", False)
        task = asyncio.ensure_future(self.coordinator.join(group, join_request(**changes)))
        await turn()
        await self.clock.advance(0)
        joined = await task
        assert joined.error == 0, joined
        who = Identity(joined.member_id, changes.get("instance_id"), joined.generation)
        await self.coordinator.sync(group, who, (None, None), {joined.member_id: b"all"})
        return who

    async def commit(self, group, commits, who=None, **extra):
        """Commit {(topic, partition): offset or (offset, epoch, metadata)}."""
        full = {at: (*one, None) if isinstance(one, tuple) else (one, -1, "", None) for at, one in commits.items()}
        return await self.coordinator.commit_offsets(group, who or Identity(""), full, **extra)

    def offset(self, group, topic, partition):
        commit = self.coordinator.offsets(group).get(topic, {}).get(partition)
        return None if commit is None else commit.offset
