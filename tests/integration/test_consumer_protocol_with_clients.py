"""Groups of KIP-848 with librdkafka's members: sharing, leaving, dying, static members, expressions, the broker's deaths."""

import subprocess
import sys
from pathlib import Path

import pytest
from confluent_kafka import ConsumerGroupState, ConsumerGroupType
from confluent_kafka.admin import AdminClient
from group_members import share, until
from support import topics
from support.wire import Wire

pytestmark = pytest.mark.interop

PARTITIONS = 6
QUICK = {
    "group_consumer_heartbeat_interval_ms": "300",
    "group_consumer_min_heartbeat_interval_ms": "100",
    "group_consumer_session_timeout_ms": "4000",
    "group_consumer_min_session_timeout_ms": "1000",
}


@pytest.fixture
def broker(own_broker):
    started = own_broker(**QUICK)
    create(started, "orders")
    return started


@pytest.fixture
def consumer(member, broker):
    """Return a function that starts a member of the consumer protocol."""

    def start(topic="orders", group="g", **config):
        return member(broker.bootstrap, group, topic, **{"group.protocol": "consumer", **config})

    return start


def create(broker, name, partitions=PARTITIONS):
    wire = Wire(broker.bootstrap)
    topics.create_topic(wire, name, partitions=partitions)
    wire.close()


def shared(*members):
    return lambda: share(*members, partitions=PARTITIONS)


def test_members_come_and_go_and_each_record_is_read(broker, consumer, produce):
    first = consumer()
    until([first], shared(first), "one owns all")
    others = [consumer(), consumer()]
    three = [first, *others]
    until(three, shared(*three), "three share")
    assert {len(one.owned()) for one in three} == {2}
    written = produce(broker.bootstrap, "orders", PARTITIONS, 60)
    until(three, lambda: written == {value for one in three for value in one.values}, "all is read")
    for one in three:
        one.commit()
    others[0].close()
    left = [first, others[1]]
    until(left, shared(*left), "two share what three had")
    kept = sum(len(one.values) for one in three)
    assert kept == len(written), "nobody read what another had committed"


def test_a_group_is_listed_and_described_as_what_it_is(broker, consumer):
    one, two = consumer(**{"client.id": "one", "group.instance.id": "i"}), consumer(**{"client.id": "two"})
    until([one, two], shared(one, two), "both share")
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    listed = admin.list_consumer_groups(states={ConsumerGroupState.STABLE}, types={ConsumerGroupType.CONSUMER}).result(
        10
    )
    assert [group.group_id for group in listed.valid] == ["g"]
    assert admin.list_consumer_groups(types={ConsumerGroupType.CLASSIC}).result(10).valid == []
    described = admin.describe_consumer_groups(["g"])["g"].result(10)
    assert (described.state, described.type) == (ConsumerGroupState.STABLE, ConsumerGroupType.CONSUMER)
    found = {
        member.client_id: sorted(part.partition for part in member.assignment.topic_partitions)
        for member in described.members
    }
    assert found == {"one": sorted(one.owned()), "two": sorted(two.owned())}
    assert {member.group_instance_id for member in described.members} == {"i", None}


def test_what_a_killed_member_had_goes_to_the_others_when_its_session_ends(broker, consumer):
    alive = consumer()
    program = Path(__file__).with_name("group_members.py")
    other = subprocess.Popen(
        [sys.executable, program, broker.bootstrap, "g", "orders", "consumer"], stdout=subprocess.PIPE, text=True
    )
    try:
        until([alive], lambda: 0 < len(alive.owned()) < PARTITIONS, "two share")
        assert other.stdout.readline() == "owns\n"
    finally:
        other.kill()
        other.wait()
        other.stdout.close()
    until([alive], shared(alive), "what the killed one had")


def test_a_static_member_that_restarts_keeps_its_partitions_and_the_other_notices_nothing(broker, consumer):
    other = consumer()
    static = consumer(**{"group.instance.id": "i"})
    until([other, static], shared(other, static), "both share")
    held, given = sorted(static.owned()), other.generations
    static.close()
    again = consumer(**{"group.instance.id": "i"})
    until([other, again], shared(other, again), "both share again")
    assert (sorted(again.owned()), other.generations, other.revoked[:0]) == (held, given, [])


def test_an_expression_takes_the_topics_that_match_also_later_ones(broker, consumer, produce):
    create(broker, "sales-eu", 1)
    one = consumer("^sales-.*")
    written = produce(broker.bootstrap, "sales-eu", 1, 3, "eu")
    produce(broker.bootstrap, "orders", 1, 3, "no")
    until([one], lambda: set(one.values) == written, "what matches is read")
    create(broker, "sales-us", 1)
    written |= produce(broker.bootstrap, "sales-us", 1, 3, "us")
    until([one], lambda: set(one.values) == written, "the later topic is read")


def test_partitions_that_a_topic_gains_are_shared(broker, consumer):
    members = [consumer(), consumer()]
    until(members, shared(*members), "both share")
    wire = Wire(broker.bootstrap)
    grown = {"topics": [{"name": "orders", "count": PARTITIONS + 2, "assignments": None}], "timeout": 9_000}
    assert wire.call("create_partitions", 3, {**grown, "validate_only": False}).results[0].error_code == 0
    wire.close()
    until(members, lambda: share(*members, partitions=PARTITIONS + 2), "the new ones too")


@pytest.mark.parametrize("how", ["kill", "stop"])
def test_members_go_on_where_they_were_when_the_broker_comes_back(broker, consumer, produce, how):
    members = [consumer(), consumer()]
    until(members, shared(*members), "both share")
    before = produce(broker.bootstrap, "orders", PARTITIONS, 30, "before")
    until(members, lambda: before == {value for one in members for value in one.values}, "all is read")
    for one in members:
        one.commit()
    owned, given = [sorted(one.owned()) for one in members], [one.generations for one in members]
    getattr(broker, how)()
    broker.start()
    after = produce(broker.bootstrap, "orders", PARTITIONS, 30, "after")
    until(members, lambda: after <= {value for one in members for value in one.values}, "the new records are read")
    assert [sorted(one.owned()) for one in members] == owned
    assert [one.generations for one in members] == given, "nobody had to join again"
    for one in members:
        one.commit()
    assert members[0].committed("orders", PARTITIONS) == [10] * PARTITIONS


def test_an_empty_group_changes_its_protocol_and_keeps_its_offsets(broker, consumer, member, produce):
    written = produce(broker.bootstrap, "orders", PARTITIONS, 30)
    classic = member(broker.bootstrap, "g", "orders")
    until([classic], lambda: set(classic.values) == written, "all is read")
    classic.commit()
    classic.close()
    modern = consumer()
    until([modern], shared(modern), "a member of the other protocol")
    assert modern.committed("orders", PARTITIONS) == [5] * PARTITIONS
    modern.close()
    classic = member(broker.bootstrap, "g", "orders")
    until([classic], shared(classic), "and back")
    assert classic.committed("orders", PARTITIONS) == [5] * PARTITIONS
    assert classic.values == []
