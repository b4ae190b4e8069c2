"""Groups and committed offsets when the broker is killed with -9 or stopped, and started again."""

import pytest
from group_members import share, until
from support import topics
from support.wire import Wire

pytestmark = pytest.mark.interop

PARTITIONS = 4


@pytest.fixture
def start(own_broker):
    """Return a function that starts a broker with a topic of four partitions on it."""

    def begin(**settings):
        broker = own_broker(**settings)
        wire = Wire(broker.bootstrap)
        topics.create_topic(wire, "orders", partitions=PARTITIONS)
        wire.close()
        return broker

    return begin


@pytest.mark.parametrize("how", ["kill", "stop"])
def test_offsets_and_members_outlive_the_broker(start, member, produce, how):
    broker = start()
    first, second = member(broker.bootstrap, "g", "orders"), member(broker.bootstrap, "g", "orders")
    both = [first, second]
    until(both, lambda: share(first, second, partitions=PARTITIONS), "both own a share")
    produce(broker.bootstrap, "orders", PARTITIONS, 40, "before")
    until(both, lambda: len(first.values + second.values) >= 40, "all records are read")
    for one in both:
        one.commit()
    getattr(broker, how)()
    broker.start()
    after = produce(broker.bootstrap, "orders", PARTITIONS, 20, "after")
    until(both, lambda: after <= set(first.values + second.values), "the new records are read")
    for one in both:
        one.close()
    third = member(broker.bootstrap, "g", "orders")
    until([third], lambda: share(third, partitions=PARTITIONS), "a member without history")
    assert all(offset >= 10 for offset in third.committed("orders", PARTITIONS))


def test_a_new_consumer_resumes_at_the_offset_that_was_committed_before_the_kill(start, member, produce):
    broker = start()
    produce(broker.bootstrap, "orders", PARTITIONS, 40, "before")
    first = member(broker.bootstrap, "g", "orders")
    until([first], lambda: len(first.values) >= 40, "all records are read")
    first.commit()
    broker.kill()
    broker.start()
    after = produce(broker.bootstrap, "orders", PARTITIONS, 8, "after")
    first.close()
    second = member(broker.bootstrap, "g", "orders")
    until([second], lambda: len(second.values) >= 8, "the new records are read")
    assert sorted(second.values) == sorted(after)


def test_a_deleted_topic_takes_its_offsets_with_it_for_good(start, member, produce):
    from confluent_kafka.admin import AdminClient

    broker = start()
    produce(broker.bootstrap, "orders", PARTITIONS, 40)
    first = member(broker.bootstrap, "g", "orders")
    until([first], lambda: len(first.values) >= 40, "all records are read")
    first.commit()
    first.close()
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    admin.delete_topics(["orders"])["orders"].result(10)
    broker.kill()
    broker.start()
    wire = Wire(broker.bootstrap)
    topics.create_topic(wire, "orders", partitions=PARTITIONS)
    wire.close()
    second = member(broker.bootstrap, "g", "orders")
    until([second], lambda: share(second, partitions=PARTITIONS), "a member of the new topic")
    assert all(offset < 0 for offset in second.committed("orders", PARTITIONS))
