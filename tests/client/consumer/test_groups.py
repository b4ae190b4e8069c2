"""Consumers of ours in a group on a real broker: sharing, rebalancing, committing, being told."""

import threading
import time

import pytest
from consuming import PATIENCE_S, read, until

from odradek.errors import CommitFailedError, MaxPollExceededError
from odradek.types import OffsetAndMetadata, TopicPartition

pytestmark = [pytest.mark.brokers("odradek", "kafka"), pytest.mark.protocols("classic", "consumer")]


class Told:
    """Rebalance callbacks that note."""

    def __init__(self):
        self.log = []

    def options(self):
        return {
            "on_assigned": lambda partitions: self.log.append(("assigned", partitions)),
            "on_revoked": lambda partitions: self.log.append(("revoked", partitions)),
            "on_lost": lambda partitions: self.log.append(("lost", partitions)),
        }

    def of(self, what):
        return sorted(one for kind, partitions in self.log if kind == what for one in partitions)


@pytest.fixture
def wide(make_topic):
    """A topic with four partitions."""
    return make_topic(partitions=4)


@pytest.fixture
def group(unique):
    return unique("group")


def everything(topic, count=4):
    return [TopicPartition(topic, number) for number in range(count)]


def shared(topic, *members, count=4):
    """Return a condition: the members own everything, each something, nothing twice."""

    def condition():
        owned = [member.assignment() for member in members]
        return all(owned) and sorted(one for part in owned for one in part) == everything(topic, count)

    return condition


SHARING = [
    *(
        ("classic", {"partition_assignment_strategy": [name]})
        for name in ("range", "roundrobin", "sticky", "cooperative-sticky")
    ),
    *(("consumer", {"group_remote_assignor": name}) for name in (None, "uniform", "range")),
]


@pytest.mark.protocols
@pytest.mark.parametrize(
    ("protocol", "sharing"),
    SHARING,
    indirect=["protocol"],
    ids=lambda one: one if isinstance(one, str) else str(*one.values()),
)
def test_members_share_the_partitions_and_all_is_read_once(consumer, wide, group, produce, sharing):
    values = produce(wide, 200, partitions=4)
    first, second = (consumer(group, **sharing) for _ in range(2))
    first.subscribe([wide])
    records = until(shared(wide, first), first)
    second.subscribe([wide])
    records += until(shared(wide, first, second), first, second)
    more = produce(wide, 200, partitions=4, first=200)
    wanted = sorted(value for part in (values, more) for one in part.values() for value in one)
    records += read_from([first, second], 400 - len(records))
    assert sorted(record.value for record in records) == wanted


@pytest.mark.protocols("classic")
def test_eager_members_hear_of_everything_and_cooperative_ones_of_what_moves(consumer, wide, unique):
    for strategy, moved in (("range", 4), ("cooperative-sticky", 2)):
        told, group = Told(), unique("group")
        first, second = (consumer(group, partition_assignment_strategy=[strategy]) for _ in range(2))
        first.subscribe(wide, **told.options())
        until(shared(wide, first), first)
        assert told.log == [("assigned", everything(wide))]
        second.subscribe(wide)
        until(shared(wide, first, second), first, second)
        assert len(told.of("revoked")) == moved
        assert not told.of("lost")


def test_a_member_that_closes_hands_its_partitions_on_at_once(consumer, wide, group):
    told = Told()
    first, second = consumer(group), consumer(group)
    first.subscribe(wide)
    second.subscribe(wide, **told.options())
    until(shared(wide, first, second), first, second)
    owned = sorted(second.assignment())
    second.close()
    assert told.log[-1] == ("revoked", owned)
    began = time.monotonic()
    until(shared(wide, first), first)
    assert time.monotonic() - began < 5, "the session is 6 s"


def test_a_static_member_comes_back_to_its_partitions_without_a_rebalance(consumer, wide, group):
    told = Told()
    first, second = consumer(group), consumer(group, group_instance_id="two")
    first.subscribe(wide, **told.options())
    second.subscribe(wide)
    until(shared(wide, first, second), first, second)
    heard = len(told.log)
    owned = second.assignment()
    second.close()
    again = consumer(group, group_instance_id="two")
    again.subscribe(wide)
    until(lambda: again.assignment() == owned, first, again)
    assert len(told.log) == heard


def test_a_pattern_takes_in_topics_that_come_later(consumer, make_topic, unique, group):
    stem = unique("pat")
    one = make_topic(f"{stem}-a")
    member = consumer(group)
    member.subscribe(f"^{stem}-")
    until(lambda: {partition.topic for partition in member.assignment()} == {one}, member)
    two = make_topic(f"{stem}-b")
    until(lambda: {partition.topic for partition in member.assignment()} == {one, two}, member)
    assert member.subscription().pattern == f"^{stem}-"


@pytest.mark.parametrize("excluded", [True, False])
def test_a_pattern_leaves_out_internal_topics_unless_they_are_wanted(consumer, topic, group, excluded):
    member = consumer(group, exclude_internal_topics=excluded, max_poll_records=1)
    member.subscribe(f"^({topic}|__consumer_offsets)$")
    until(lambda: topic in {partition.topic for partition in member.assignment()}, member)
    assert ("__consumer_offsets" in {partition.topic for partition in member.assignment()}) == (not excluded)


def test_unsubscribe_leaves_and_another_subscription_may_follow(consumer, wide, topic, group):
    told = Told()
    member = consumer(group)
    member.subscribe(wide, **told.options())
    until(shared(wide, member), member)
    member.unsubscribe()
    assert told.of("revoked") == everything(wide)
    assert member.assignment() == set()
    assert member.subscription() is None
    member.assign([TopicPartition(topic, 0)])
    assert member.assignment() == {TopicPartition(topic, 0)}
    member.unsubscribe()
    member.subscribe(topic)
    until(shared(topic, member, count=1), member)


def test_a_subscription_can_be_changed(consumer, wide, topic, group):
    member = consumer(group)
    member.subscribe(wide)
    until(shared(wide, member), member)
    member.subscribe([topic])
    until(shared(topic, member, count=1), member)


def test_committed_offsets_are_where_the_next_one_begins(consumer, topic, group, produce):
    produce(topic, 100)
    one = TopicPartition(topic, 0)
    first = consumer(group, enable_auto_commit=False)
    first.subscribe(topic)
    read(first, 100)
    assert first.committed([one]) == {one: None}
    first.commit({one: 40})
    assert first.committed()[one].offset == 40
    first.commit({one: OffsetAndMetadata(41, "a note")})
    assert first.committed([one])[one][:2] == (41, "a note")
    first.commit()
    assert first.committed()[one].offset == 100
    first.seek(one, 60)
    first.commit(read(first, 1)[0])
    assert first.committed()[one].offset == 61
    first.close()
    second = consumer(group)
    second.subscribe(topic)
    assert read(second, 1)[0].offset == 61


def test_without_a_commit_nothing_is_committed_at_close(consumer, topic, group, produce):
    produce(topic, 10)
    member = consumer(group, enable_auto_commit=False)
    member.subscribe(topic)
    read(member, 10)
    member.close()
    assert consumer(group).committed([TopicPartition(topic, 0)]) == {TopicPartition(topic, 0): None}


def test_asynchronous_commits_are_told_of_in_order_in_poll(consumer, topic, group, produce):
    produce(topic, 10)
    one = TopicPartition(topic, 0)
    member = consumer(group, enable_auto_commit=False)
    member.subscribe(topic)
    read(member, 10)
    heard = []
    for offset in (3, 4, 5):
        member.commit_async({one: offset}, lambda offsets, error: heard.append((offsets[one].offset, error)))
    member.commit_async()
    assert not heard
    until(lambda: len(heard) == 3, member)
    assert heard == [(3, None), (4, None), (5, None)]
    assert member.committed()[one].offset == 10


def test_automatic_commits_count_what_was_handed_out_and_no_more(consumer, topic, group, produce):
    produce(topic, 1_000)
    one = TopicPartition(topic, 0)
    watcher = consumer(group)
    member = consumer(group, auto_commit_interval_ms=50, max_poll_records=10)
    member.subscribe(topic)
    handed = []
    while watcher.committed([one])[one] is None:
        handed += member.poll(0.05)
        if len(handed) >= 50:  # a thousand may be read before the first commit is seen
            member.pause([one])
    member.resume([one])
    assert watcher.committed([one])[one].offset <= len(handed)
    while len(handed) < 55:
        handed += member.poll(1.0)
    for record in member:
        handed.append(record)
        if len(handed) >= 63:
            break
    member.close()
    assert watcher.committed([one])[one].offset == len(handed)


def test_partitions_are_committed_before_they_are_given_up(consumer, wide, group, produce):
    produce(wide, 400, partitions=4)
    first = consumer(group, auto_commit_interval_ms=60_000)
    first.subscribe(wide)
    seen = read(first, 400)
    second = consumer(group, auto_commit_interval_ms=60_000)
    second.subscribe(wide)
    again = until(shared(wide, first, second), first, second)
    produce(wide, 4, partitions=4, prefix="new")
    again += read_from([first, second], 4)
    assert sorted(record.value for record in again) == [b"new-0", b"new-1", b"new-2", b"new-3"]
    assert len(seen) == 400


def read_from(members, count):
    """Poll the members in turn until they have returned so many records."""
    records = []
    end = time.monotonic() + PATIENCE_S
    while len(records) < count:
        assert time.monotonic() < end, f"{len(records)} of {count} records"
        for one in members:
            records += one.poll(0.05)
    return records


def test_a_seek_in_on_assigned_goes_before_the_committed_offset(consumer, topic, group, produce):
    produce(topic, 10)
    one = TopicPartition(topic, 0)
    member = consumer(group)
    member.subscribe(topic, on_assigned=lambda partitions: [member.seek(each, 7) for each in partitions])
    assert read(member, 1)[0].offset == 7
    other = consumer(group + "-2")
    offsets = []
    other.subscribe(topic, on_assigned=lambda partitions: offsets.extend(other.position(each) for each in partitions))
    until(lambda: offsets, other)
    assert offsets == [0]
    assert member.position(one) == 10


def test_a_commit_in_on_revoked_works(consumer, wide, group, produce):
    produce(wide, 40, partitions=4)
    member = consumer(group, enable_auto_commit=False)
    member.subscribe(wide, on_revoked=lambda _partitions: member.commit())
    read(member, 40)
    member.close()
    offsets = consumer(group).committed(everything(wide))
    assert [at.offset for at in offsets.values()] == [10, 10, 10, 10]


def test_an_error_in_a_callback_is_raised_by_poll_and_the_member_works_on(consumer, topic, group, produce):
    produce(topic, 5)
    member = consumer(group)

    def fail(_partitions):
        raise ZeroDivisionError("the user's own")

    member.subscribe(topic, on_assigned=fail)
    with pytest.raises(ZeroDivisionError):
        until(lambda: False, member)
    assert len(read(member, 5)) == 5


def test_heartbeats_go_on_while_a_handler_is_slow(consumer, wide, group):
    told = Told()
    first, second = consumer(group), consumer(group)
    first.subscribe(wide, **told.options())
    second.subscribe(wide)
    until(shared(wide, first, second), first, second)
    heard = len(told.log)
    end = time.monotonic() + 7  # first is silent for longer than its session of 6 s
    while time.monotonic() < end:
        second.poll(0.2)
    first.poll(0.2)
    assert len(told.log) == heard
    assert shared(wide, first, second)()


def test_a_member_that_polls_too_late_is_told_and_joins_again(consumer, wide, group):
    told = Told()
    slow, other = consumer(group, max_poll_interval_ms=1_000), consumer(group)
    slow.subscribe(wide, **told.options())
    other.subscribe(wide)
    until(shared(wide, slow, other), slow, other)
    until(shared(wide, other), other)
    with pytest.raises(CommitFailedError, match="not a member"):
        slow.commit({TopicPartition(wide, 0): 1})
    with pytest.raises(MaxPollExceededError, match="max_poll_interval_ms is 1000"):
        slow.poll(0)
    assert told.log[-1][0] == "lost"
    until(shared(wide, slow, other), slow, other)


@pytest.mark.parametrize(
    "call",
    [
        lambda member, _one: member.poll(0),
        lambda member, one: member.commit({one: 1}),
        lambda member, one: member.commit_async({one: 1}),
        lambda member, one: member.committed([one]),
        lambda member, one: member.seek(one, 0),
        lambda member, one: member.seek_to_end([one]),
        lambda member, one: member.pause([one]),
        lambda member, one: member.resume([one]),
        lambda member, one: member.position(one),
        lambda member, one: member.end_offsets([one]),
        lambda member, one: member.offsets_for_times({one: 0}),
        lambda member, one: member.partitions_for(one.topic),
        lambda member, _one: member.lag(),
        lambda member, _one: member.assignment(),
        lambda member, _one: member.close(),
        lambda member, _one: next(member),
    ],
)
def test_no_call_but_wakeup_and_metrics_may_come_while_another_thread_polls(consumer, topic, group, call):
    from odradek.errors import UsageError

    polls, over = threading.Event(), threading.Event()

    def hold_on(_partitions):
        polls.set()
        over.wait(30)

    member = consumer(group)
    member.subscribe(topic, on_assigned=hold_on)
    polling = threading.Thread(target=member.poll, args=(30,))
    polling.start()
    try:
        assert polls.wait(30)
        with pytest.raises(UsageError, match="another thread"):
            call(member, TopicPartition(topic, 0))
        assert member.metrics()["assigned_partitions"] == 1
    finally:
        member.wakeup()
        over.set()
        polling.join(30)


def test_poll_may_not_be_called_from_its_own_callback(consumer, topic, group):
    from odradek.errors import UsageError

    member = consumer(group)
    member.subscribe(topic, on_assigned=lambda _partitions: member.poll(0))
    with pytest.raises(UsageError, match="callback"):
        until(lambda: False, member)


def test_a_growing_topic_is_taken_in(consumer, wide, group, bootstrap):
    from confluent_kafka.admin import AdminClient, NewPartitions

    member = consumer(group)
    member.subscribe(wide)
    until(shared(wide, member), member)
    admin = AdminClient({"bootstrap.servers": bootstrap})
    admin.create_partitions([NewPartitions(wide, 6)])[wide].result(10)
    until(shared(wide, member, count=6), member)
