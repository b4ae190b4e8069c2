"""A coordinator of KIP-848 that does what a test tells it: it notes each heartbeat and answers from a list.

`Stage` is the world of `group_world.Sim` without a broker: topics with ids, a clock turned by hand, one member. Requests
and answers are encoded and decoded as on the wire.
"""

import asyncio
from collections import deque
from datetime import timedelta
from types import SimpleNamespace
from uuid import uuid4

from group_harness import FakeClock, turn
from group_world import Sim, SimTransport

from odradek.client.consumer.modern_calls import Place
from odradek.errors import ErrorCode
from odradek.protocol.answers import decode_answer
from odradek.protocol.api_keys import ApiKey
from odradek.protocol.codec import decode, encode, schema

INTERVAL_S = 3
BEAT = ApiKey.CONSUMER_GROUP_HEARTBEAT


class Script(SimTransport):
    """The way to the coordinator, and the coordinator."""

    def __init__(self, stage, newest=1):
        super().__init__(stage)
        self.stage = stage
        self.newest = newest
        """The newest version of the heartbeat that the coordinator serves."""
        self.beats = []
        """The heartbeats that came, as kio decoded them."""
        self.commits = []
        self.fetches = []
        self.lines = deque()
        """What to answer heartbeats, one each, before it says yes to everything: dicts for `_answer`, or exceptions.
        An event is waited for, and the next line is the answer."""
        self.commit_codes = deque()
        self.fetch_codes = deque()
        self.epoch = 1
        self.watched_all = None
        self.counted = 0

    async def request(self, api, build, *, versions, **_others):
        version = min(versions[1], self.newest if api == BEAT else versions[1])
        request = decode(api, version, encode(build(schema(api, version))))
        if api == BEAT and self.lines and isinstance(self.lines[0], asyncio.Event):
            self.beats.append(request)
            await self.lines.popleft().wait()
            self.beats.pop()  # noted once, when it is answered
        answer = {BEAT: self._beat, ApiKey.OFFSET_COMMIT: self._commit, ApiKey.OFFSET_FETCH: self._fetch}[api]
        message = answer(schema(api, version), request)
        await turn()
        return decode_answer(api, version, encode(message))

    def _beat(self, m, request):
        self.beats.append(request)
        line = self.lines.popleft() if self.lines else {}
        if isinstance(line, Exception):
            raise line
        return self._answer(m, request, **line)

    def _answer(self, m, request, *, error=0, message=None, epoch=None, target=None, interval=INTERVAL_S):
        self.epoch = self.epoch if epoch is None else epoch
        leaving = request.member_epoch < 0
        rows = {}
        for topic, partition in target or ():
            rows.setdefault(topic if not isinstance(topic, str) else self.stage.topic_ids[topic], []).append(partition)
        topics = tuple(m.TopicPartitions(topic_id=topic, partitions=tuple(found)) for topic, found in rows.items())
        return m.ConsumerGroupHeartbeatResponse(
            error_code=ErrorCode(error),
            error_message=message,
            member_id=request.member_id,
            member_epoch=request.member_epoch if leaving else self.epoch,
            heartbeat_interval=timedelta(seconds=interval),
            # The request has a TopicPartitions, too, and the builder finds the answer's first.
            assignment=None if target is None else m.Assignment(topic_partitions=topics),
        )

    def _commit(self, m, request):
        self.commits.append(request)
        code = ErrorCode(self.commit_codes.popleft() if self.commit_codes else 0)
        return m.OffsetCommitResponse(
            topics=tuple(
                m.OffsetCommitResponseTopic(
                    name=topic.name,
                    partitions=tuple(
                        m.OffsetCommitResponsePartition(partition_index=row.partition_index, error_code=code)
                        for row in topic.partitions
                    ),
                )
                for topic in request.topics
            )
        )

    def _fetch(self, m, request):
        self.fetches.append(request.groups[0])
        code = ErrorCode(self.fetch_codes.popleft() if self.fetch_codes else 0)
        return m.OffsetFetchResponse(
            groups=(m.OffsetFetchResponseGroup(group_id="g", topics=(), error_code=code),),
        )

    async def partition_counts(self, topics):
        self.counted += 1
        return await super().partition_counts(topics)

    def watch(self, _topics, *, all_topics):
        self.watched_all = all_topics


class Stage:
    """Topics, time, and one member whose coordinator is a `Script`."""

    def __init__(self):
        self.clock = FakeClock()
        self.counts = {"t": 6}
        self.topic_ids = {"t": uuid4()}
        self.metadata_version = 1
        self.members = []

    def member(self, *, newest=1, lines=(), **options):
        script = Script(self, newest)
        script.lines.extend(lines)
        one = Sim(self, transport=script, protocol="consumer", **options)
        self.members.append(one)
        return one, script

    def add(self, topic, partitions=1):
        self.counts[topic] = partitions
        self.topic_ids[topic] = uuid4()
        self.metadata_version += 1

    def places(self, topic, *partitions):
        return {Place(self.topic_ids[topic], partition) for partition in partitions}

    def note_assigned(self, member, partitions):
        """There is nobody else."""

    def note_given_up(self, member, partitions):
        """There is nobody else."""

    async def pass_time(self, seconds=0.0):
        """Let so much time pass in small steps, and then everything that can happen without time."""
        for _ in range(max(int(seconds * 4), 1)):
            for _ in range(6):
                await turn()
            await self.clock.advance(min(seconds, 0.25) * 1000)
            for member in self.members:
                member.check()
        for _ in range(6):
            await turn()

    async def stop(self):
        for member in self.members:
            await member.kill()


def said(beat):
    """Return what a heartbeat says beside who and when, the fields that are there."""
    owned = None
    if beat.topic_partitions is not None:
        owned = {Place(row.topic_id, number) for row in beat.topic_partitions for number in row.partitions}
    fields = SimpleNamespace(
        topics=None if beat.subscribed_topic_names is None else set(beat.subscribed_topic_names),
        owned=owned,
        rebalance_ms=None
        if beat.rebalance_timeout.total_seconds() < 0
        else beat.rebalance_timeout.total_seconds() * 1000,
        assignor=beat.server_assignor,
        rack=beat.rack_id,
    )
    return {name: value for name, value in vars(fields).items() if value is not None}
