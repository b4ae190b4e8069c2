"""Members of KIP-848 groups for unit tests: they say and do what Kafka's consumer does, step by step when told to."""

from group_harness import FakeTopics, Service

from odradek.broker.coordinator.group.consumer_members import HeartbeatRequest
from odradek.errors import ErrorCode, KafkaError

REBALANCE_MS = 30_000
SESSION_MS = 45_000
INTERVAL_MS = 5_000


async def consumer_service(**topics):
    """Return a started Service whose cluster has these topics, by their number of partitions."""
    service = Service(topics=FakeTopics(**topics))
    return await service.start()


async def beat(service, group, member_id, epoch, **said):
    """Send one heartbeat; return the answer. Raises KafkaError."""
    version = said.pop("version", 1)
    request = HeartbeatRequest(group, member_id, epoch, client_id="client", client_host="/10.0.0.1", **said)
    return await service.coordinator.consumer_heartbeat(request, version)


async def refusal(service, *who, **said):
    """Send one heartbeat that has to be refused; return the code."""
    try:
        answer = await beat(service, *who, **said)
    except KafkaError as error:
        return error.error_code
    raise AssertionError(f"not refused: {answer}")


class Member:
    """One consumer. `holds` is what it may be reading from; it changes only in `apply`."""

    def __init__(self, service, member_id, topics=("orders",), group="g", instance_id=None, **said):
        self.service = service
        self.group_id = group
        self.member_id = member_id
        self.instance_id = instance_id
        self.topics = tuple(sorted(topics))
        self.said = said
        self.epoch = 0
        self.holds = {}
        self.told = {}
        self._acknowledged = None
        self._missed = False

    async def join(self):
        """Send everything, from the beginning."""
        self.epoch, self.holds, self.told, self._missed = 0, {}, {}, False
        return await self._send(
            owned={},
            topics=self.topics,
            rebalance_timeout_ms=REBALANCE_MS,
            instance_id=self.instance_id,
            **self.said,
        )

    async def beat(self, *, lost=False, **said):
        """Send what is new: what it owns, after that has changed; everything, after an answer never came (`lost`)."""
        if self.holds != self._acknowledged or self._missed:
            said.setdefault("owned", {topic: frozenset(parts) for topic, parts in self.holds.items()})
        if self._missed:
            said |= {"topics": self.topics, "rebalance_timeout_ms": REBALANCE_MS}
        self._missed = lost
        return await self._send(instance_id=self.instance_id, lost=lost, **said)

    async def subscribe(self, *topics):
        self.topics = tuple(sorted(topics))
        return await self.beat(topics=self.topics)

    async def leave(self, epoch=-1):
        self.holds, self.told = {}, {}
        return await beat(self.service, self.group_id, self.member_id, epoch, instance_id=self.instance_id)

    def apply(self):
        """Give up what is no longer assigned, take what is.

        Who has missed an answer takes nothing until the next: it says that it does not have what it was told before, so
        another may get that. The protocol has no other safeguard against it, in Apache Kafka either.
        """
        if self._missed:
            self.revoke()
            return
        self.holds = {topic: set(parts) for topic, parts in self.told.items()}

    def revoke(self):
        """Only give up."""
        self.holds = {
            topic: kept for topic, parts in self.holds.items() if (kept := set(parts) & set(self.told.get(topic, ())))
        }

    async def settle(self):
        """Heartbeat and apply until nothing new comes."""
        for _ in range(4):
            before = (self.epoch, self.holds)
            await self.beat()
            self.apply()
            if before == (self.epoch, self.holds):
                return

    def numbers(self, name="orders"):
        """Return the partitions it holds of a topic."""
        topic = self.service.topics.get(name)
        return sorted(self.holds.get(topic.topic_id.bytes, ())) if topic else []

    @property
    def group(self):
        return self.service.coordinator.describe(self.group_id)

    @property
    def state(self):
        return self.group.members[self.member_id].state

    async def _send(self, *, lost=False, **said):
        answer = await beat(self.service, self.group_id, self.member_id, self.epoch, **said)
        if lost:
            return answer
        assert answer.member_id == self.member_id
        self.epoch = answer.epoch
        if "owned" in said:
            self._acknowledged = {topic: set(parts) for topic, parts in said["owned"].items()}
        if answer.assignment is not None:
            self.told = {topic: set(parts) for topic, parts in answer.assignment.items()}
        return answer


async def joined(service, *names, **said):
    """Return members that have joined one after the other and are all settled."""
    members = []
    for name in names:
        members.append(Member(service, name, **said))
        await members[-1].join()
        for _ in range(3):
            for member in members:
                await member.settle()
    return members


__all__ = [
    "INTERVAL_MS",
    "REBALANCE_MS",
    "SESSION_MS",
    "ErrorCode",
    "Member",
    "beat",
    "consumer_service",
    "joined",
    "refusal",
]
