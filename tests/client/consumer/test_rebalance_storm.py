"""Ten members that join, leave and die at random while records come in, each on a thread with a real consumer.

What must hold: every record is read; none is read again once a commit of it has succeeded; and no partition is given to
a member while another still has it, unless that one was dead or was told afterwards that it had lost it.
"""

import itertools
import random
import threading
import time
from collections import Counter, defaultdict

import pytest
from confluent_kafka import Producer

import odradek
from odradek.errors import CommitFailedError, KafkaError, TimeoutError  # noqa: A004
from odradek.types import TopicPartition

PARTITIONS = 8
CROWD = 10
PATIENCE_S = 40


class World:
    """What all members share."""

    def __init__(self, bootstrap, topic, options, seed):
        self.bootstrap, self.topic, self.options = bootstrap, topic, options
        self.random = random.Random(seed)
        self.lock = threading.Lock()
        self.progress = threading.Condition(self.lock)
        """Told of every commit and every failure; shares the lock."""
        self.owners = {}
        self.doubled = []
        """(partition, earlier owner, later owner): innocent when the earlier one turns out to have lost it, or is dead."""
        self.confirmed = Counter()
        self.seen = set()
        self.over = threading.Event()
        self.failures = []

    def assigned(self, member, partitions):
        with self.lock:
            for one in partitions:
                other = self.owners.get(one)
                if other is not None and other is not member:
                    self.doubled.append((one, other, member))
                self.owners[one] = member

    def gone(self, member, partitions, how):
        with self.lock:
            for one in partitions:
                if self.owners.get(one) is member:
                    del self.owners[one]
                if how == "lost":
                    member.lost[one] += 1

    def guilty(self):
        """Return the doubles that nothing excuses."""
        lost = defaultdict(int)
        guilty = []
        for one, other, later in self.doubled:
            lost[one, other] += 1
            if not other.dead and lost[one, other] > other.lost[one]:
                guilty.append((one, other.name, later.name))
        return guilty


class Member(threading.Thread):
    """One consumer's life: until it is told to leave or to die."""

    def __init__(self, world, number):
        super().__init__(name=f"member-{number}", daemon=True)
        self.world = world
        self.end = None
        self.dead = False
        self.lost = Counter()
        self.start()

    def run(self):
        try:
            self.live()
        except Exception as error:  # noqa: BLE001  the test tells
            with self.world.lock:
                self.world.failures.append((self.name, error))
                self.world.progress.notify_all()

    def live(self):
        world = self.world
        consumer = odradek.Consumer(
            world.bootstrap,
            group_id=world.topic,
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            max_poll_records=50,
            **world.options,
        )
        consumer.subscribe(
            world.topic,
            on_assigned=lambda partitions: world.assigned(self, partitions),
            on_revoked=lambda partitions: world.gone(self, partitions, "revoked"),
            on_lost=lambda partitions: world.gone(self, partitions, "lost"),
        )
        while self.end is None and not world.over.is_set():
            records = consumer.poll(0.1)
            if not records:
                continue
            places = [(record.partition, record.offset) for record in records]
            with world.lock:
                world.seen.update(places)
            if self.end == "die":
                break
            try:
                consumer.commit(timeout=10)
            except (CommitFailedError, KafkaError, TimeoutError):
                continue
            with world.lock:
                world.confirmed.update(places)
                world.progress.notify_all()
        if self.end == "die":
            self.dead = True
            consumer._closed = True  # no word to anybody, as after kill -9
            consumer._end()
        else:
            consumer.close()


def storm(world, seconds):
    """Let members come and go."""
    numbers = itertools.count()
    members = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        members = [one for one in members if one.is_alive()]
        if len(members) < CROWD and world.random.random() < 0.7:
            members.append(Member(world, next(numbers)))
        elif members:
            world.random.choice(members).end = world.random.choice(["leave", "leave", "die"])
        world.over.wait(world.random.choice([0.01, 0.2, 0.7]))
    while sum(one.is_alive() and one.end is None for one in members) < 3:
        members.append(Member(world, next(numbers)))
    return members


def produce_until(world, over, places):
    """Produce until told that it's over; note where every record went."""
    producer = Producer({"bootstrap.servers": world.bootstrap, "linger.ms": 5})
    failed = []

    def delivered(error, record):
        places.add((record.partition(), record.offset())) if error is None else failed.append(error)

    numbers = itertools.count()
    while not over.wait(0.01):
        for number in itertools.islice(numbers, 20):
            producer.produce(world.topic, b"%d" % number, partition=number % PARTITIONS, on_delivery=delivered)
        producer.poll(0)
    assert producer.flush(30) == 0
    assert not failed


CLASSIC = {"session_timeout_ms": 3_000, "heartbeat_interval_ms": 100}
SHARING = {
    "range": {**CLASSIC, "partition_assignment_strategy": ["range"]},
    "cooperative-sticky": {**CLASSIC, "partition_assignment_strategy": ["cooperative-sticky"]},
    "kip-848-uniform": {"group_protocol": "consumer", "group_remote_assignor": "uniform"},
    "kip-848-range": {"group_protocol": "consumer", "group_remote_assignor": "range"},
}


@pytest.fixture
def quick_broker():
    """A broker that has short sessions, as `CLASSIC` has."""
    settings = {"group_min_session_timeout_ms": 100, "num_partitions": PARTITIONS}
    modern = {
        "group_consumer_min_session_timeout_ms": 100,
        "group_consumer_session_timeout_ms": CLASSIC["session_timeout_ms"],
        "group_consumer_min_heartbeat_interval_ms": 100,
        "group_consumer_heartbeat_interval_ms": CLASSIC["heartbeat_interval_ms"],
    }
    with odradek.Broker(**settings, **modern) as broker:
        yield broker.bootstrap_servers


@pytest.mark.parametrize("sharing", SHARING)
@pytest.mark.parametrize(
    "seconds", [6, pytest.param(60, marks=[pytest.mark.slow, pytest.mark.timeout(240)])], ids=lambda n: f"{n}s"
)
def test_nothing_is_lost_or_read_again_and_nobody_shares_a_partition(sharing, seconds, unique, quick_broker):
    weather(quick_broker, unique("storm"), SHARING[sharing], seconds)


@pytest.mark.brokers("kafka")
@pytest.mark.parametrize("sharing", ["kip-848-uniform", "kip-848-range"])
@pytest.mark.parametrize(
    "seconds", [6, pytest.param(60, marks=[pytest.mark.slow, pytest.mark.timeout(300)])], ids=lambda n: f"{n}s"
)
def test_the_same_with_apache_kafka(sharing, seconds, make_topic, bootstrap):
    weather(bootstrap, make_topic("storm", partitions=PARTITIONS), SHARING[sharing], seconds)


def weather(bootstrap, topic, options, seconds):
    """Have a storm of so many seconds and hold what the top of this file says."""
    world = World(bootstrap, topic, options, seed=seconds)
    over, places = threading.Event(), set()
    producing = threading.Thread(target=produce_until, args=(world, over, places))
    producing.start()
    try:
        members = storm(world, seconds)
    finally:
        over.set()
        producing.join()
    assert len(places) > 20
    with world.lock:
        world.progress.wait_for(lambda: places <= world.confirmed.keys() or world.failures, PATIENCE_S)
    world.over.set()
    for one in members:
        one.join(20)
    assert not world.failures
    assert not places - world.seen, "lost"
    assert {place: count for place, count in world.confirmed.items() if count > 1} == {}, "read again"
    assert not world.guilty()
    with odradek.Consumer(bootstrap, group_id=topic) as watcher:
        everywhere = [TopicPartition(topic, number) for number in range(PARTITIONS)]
        committed = watcher.committed(everywhere)
        assert {one: at.offset for one, at in committed.items() if at} == watcher.end_offsets(everywhere)
