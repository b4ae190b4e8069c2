"""A group with members of several libraries at once: odradek, librdkafka and aiokafka, each of them its leader once.

With the protocol of KIP-848, which aiokafka does not speak, the broker assigns; there the two others take turns.
"""

import asyncio
import sys
import threading
import time
from pathlib import Path

import pytest
from consuming import PATIENCE_S

sys.path.insert(0, str(Path(__file__).parents[2] / "integration"))

from group_members import SESSION_MS, Librdkafka

import odradek

pytestmark = [pytest.mark.interop, pytest.mark.brokers("odradek", "kafka")]

PARTITIONS = 6
ASSIGNORS = {"range": "RangePartitionAssignor", "roundrobin": "RoundRobinPartitionAssignor"}


class Ours:
    """A member of odradek's own client."""

    def __init__(self, bootstrap, group, topic, strategy):
        self.values = []
        self._consumer = odradek.Consumer(
            bootstrap, group_id=group, auto_offset_reset="earliest", enable_auto_commit=False, **self.options(strategy)
        )
        self._consumer.subscribe([topic])

    def poll(self):
        self.values += [record.value for record in self._consumer.poll(0.05)]

    def owned(self):
        return [one.partition for one in self._consumer.assignment()]

    def commit(self):
        self._consumer.commit()

    def close(self):
        self._consumer.close()

    @staticmethod
    def options(strategy):
        return {
            "session_timeout_ms": SESSION_MS,
            "heartbeat_interval_ms": 500,
            "partition_assignment_strategy": [strategy],
        }


class OursModern(Ours):
    """A member of odradek's own client with the protocol of KIP-848."""

    @staticmethod
    def options(strategy):
        return {"group_protocol": "consumer", "group_remote_assignor": strategy}


class Aiokafka:
    """A member of aiokafka, polled by a task on a loop in a thread of its own: its polls wait for rebalances to end."""

    def __init__(self, bootstrap, group, topic, strategy):
        import aiokafka
        from aiokafka.coordinator import assignors

        __import__(f"aiokafka.coordinator.assignors.{strategy}")
        module = getattr(assignors, strategy)
        self.values = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

        async def start():
            self._consumer = aiokafka.AIOKafkaConsumer(
                topic,
                bootstrap_servers=bootstrap,
                group_id=group,
                auto_offset_reset="earliest",
                enable_auto_commit=False,
                session_timeout_ms=SESSION_MS,
                heartbeat_interval_ms=500,
                partition_assignment_strategy=[getattr(module, ASSIGNORS[strategy])],
            )
            self._polling = asyncio.ensure_future(self._poll_on())

        self._run(start())

    async def _poll_on(self):
        await self._consumer.start()  # returns when it has joined, for which the others have to poll
        while True:
            for records in (await self._consumer.getmany(timeout_ms=200)).values():
                self.values += [record.value for record in records]

    def _run(self, work):
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE_S)

    def poll(self):
        """Nothing to do: the task polls."""

    def owned(self):
        return [one.partition for one in self._consumer.assignment()]

    def commit(self):
        self._run(self._consumer.commit())

    def close(self):
        async def stop():
            self._polling.cancel()
            await asyncio.wait({self._polling})
            await self._consumer.stop()

        self._run(stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


def librdkafka(bootstrap, group, topic, strategy):
    return Librdkafka(bootstrap, group, topic, **{"partition.assignment.strategy": strategy})


def librdkafka_modern(bootstrap, group, topic, strategy):
    return Librdkafka(bootstrap, group, topic, **{"group.protocol": "consumer", "group.remote.assignor": strategy})


def until(members, condition, what):
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end, f"never happened: {what}; {[sorted(one.owned()) for one in members]}"
        for one in members:
            one.poll()


def shared(members):
    owned = [one.owned() for one in members]
    return all(owned) and sorted(one for part in owned for one in part) == list(range(PARTITIONS))


@pytest.mark.parametrize("strategy", sorted(ASSIGNORS))
@pytest.mark.parametrize(
    "order",
    [(Ours, librdkafka, Aiokafka), (librdkafka, Aiokafka, Ours), (Aiokafka, Ours, librdkafka)],
    ids=["ours-leads", "librdkafka-leads", "aiokafka-leads"],
)
def test_members_of_three_libraries_share_a_topic(order, strategy, bootstrap, make_topic, unique, produce):
    share(order, strategy, bootstrap, make_topic, unique, produce)


@pytest.mark.parametrize("strategy", ["range", "uniform"])
@pytest.mark.parametrize(
    "order",
    [(OursModern, librdkafka_modern, OursModern), (librdkafka_modern, OursModern, librdkafka_modern)],
    ids=["ours-first", "librdkafka-first"],
)
def test_members_of_two_libraries_share_a_topic_by_kip_848(order, strategy, bootstrap, make_topic, unique, produce):
    share(order, strategy, bootstrap, make_topic, unique, produce)


@pytest.mark.brokers("kafka")  # odradek's broker has no online migration
@pytest.mark.parametrize(
    "order",
    [(Ours, OursModern, Aiokafka), (OursModern, Ours, librdkafka_modern), (Aiokafka, librdkafka, OursModern)],
    ids=["classic-first", "modern-first", "others-first"],
)
def test_members_of_both_protocols_share_a_topic_where_the_broker_migrates(
    order, bootstrap, make_topic, unique, produce
):
    share(order, "range", bootstrap, make_topic, unique, produce, once=False)


def share(order, strategy, bootstrap, make_topic, unique, produce, *, once=True):
    """Have members join one by one, share, read everything, and go on when the first leaves.

    Not `once`: an eager member of a group that migrates may be asked to join again after all have their share, and then
    reads again what it has not committed.
    """
    topic, group = make_topic(partitions=PARTITIONS), unique("mixed")
    members = []
    try:
        for kind in order:
            members.append(kind(bootstrap, group, topic, strategy))
            until(members, lambda: shared(members), f"{len(members)} members share")
        values = produce(topic, 120, partitions=PARTITIONS)
        wanted = sorted(value for part in values.values() for value in part)
        until(members, lambda: len({value for one in members for value in one.values}) >= 120, "all is read")
        found = [value for one in members for value in one.values]
        assert sorted(found if once else set(found)) == wanted
        for one in members:
            one.commit()
        members.pop(0).close()
        until(members, lambda: shared(members), "the others take over")
        more = produce(topic, 60, partitions=PARTITIONS, prefix="more")
        wanted += [value for part in more.values() for value in part]
        kept = [value for one in members for value in one.values if value.startswith(b"v-")]
        until(members, lambda: sum(value.startswith(b"more") for one in members for value in one.values) >= 60, "more")
        assert sorted(value for one in members for value in one.values if value.startswith(b"v-")) == sorted(kept)
    finally:
        for one in members:
            one.close()
