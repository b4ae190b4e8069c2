"""Reading partitions without a group: order, positions, seeks, pauses, iteration, Arrow, records that can't be decoded."""

import itertools
import json

import pytest
from consuming import read, until

from odradek.errors import (
    ConfigError,
    NoOffsetForPartitionError,
    SerializationError,
    TimeoutError,  # noqa: A004
    UsageError,
)
from odradek.types import OffsetAndMetadata, TopicPartition

pytestmark = pytest.mark.brokers("odradek", "kafka")


@pytest.fixture
def reader(consumer, topic):
    """A consumer of the topic's only partition."""
    one = consumer()
    one.assign([TopicPartition(topic, 0)])
    return one


def test_records_come_in_order_with_all_their_parts(reader, topic, produce):
    values = produce(topic, 2_000)[0]
    records = read(reader, 2_000)
    assert [one.value for one in records] == values
    assert [one.offset for one in records] == list(range(2_000))
    first = records[0]
    assert (first.topic, first.partition, first.key, tuple(first.headers)) == (topic, 0, b"k0", ())
    assert first.timestamp_ms > 1_600_000_000_000


def test_a_poll_returns_no_more_records_than_asked(reader, topic, produce):
    produce(topic, 100)
    sizes = []
    while sum(sizes) < 100:
        sizes.append(len(reader.poll(5.0, max_records=7)))
    assert max(sizes) <= 7


def test_a_poll_without_anything_to_come_returns_nothing_in_time(reader):
    assert reader.poll(0) == []
    assert reader.poll(0.2) == []


def test_a_position_that_was_only_looked_up_is_not_committed_over_an_explicit_commit(consumer, topic, produce, unique):
    produce(topic, 30)
    one, group = TopicPartition(topic, 0), unique("group")
    committer = consumer(group_id=group, auto_offset_reset="latest")
    committer.assign([one])
    assert committer.position(one) == 30
    committer.commit({one: OffsetAndMetadata(7, "note")})
    committer.close()
    assert consumer(group_id=group).committed([one])[one] == OffsetAndMetadata(7, "note")


def test_a_seek_counts_no_more_once_its_partition_was_given_up(consumer, topic, produce, unique):
    """The position looked up for it when it came back was committed over what others had committed meanwhile."""
    produce(topic, 30)
    one, group = TopicPartition(topic, 0), unique("group")
    committer = consumer(group_id=group, auto_offset_reset="latest")
    committer.assign([one])
    committer.seek(one, 5)
    committer.assign([])
    other = consumer(group_id=group)
    until(lambda: other.committed([one])[one] is not None)  # the automatic commit of giving it up
    committer.assign([one])
    assert committer.position(one) == 5
    other.commit({one: OffsetAndMetadata(7, "note")})
    committer.close()
    assert other.committed([one])[one] == OffsetAndMetadata(7, "note")


def test_a_wait_without_end_may_be_infinity(reader, topic, produce):
    produce(topic, 1)
    assert [record.offset for record in reader.poll(float("inf"))] == [0]


def test_iteration_hands_out_one_record_after_the_other(reader, topic, produce):
    values = produce(topic, 50)[0]
    assert [record.value for record in itertools.islice(reader, 50)] == values


def test_the_position_is_that_of_the_next_record(reader, topic, produce):
    produce(topic, 30)
    one = TopicPartition(topic, 0)
    assert reader.position(one) == 0
    read(reader, 30)
    assert reader.position(one) == 30


def test_iterating_counts_only_what_was_handed_out(reader, topic, produce):
    produce(topic, 30)
    for record in reader:
        if record.offset == 11:
            break
    assert reader.position(TopicPartition(topic, 0)) == 12
    assert reader.poll(5.0)[0].offset == 12


def test_seeks_move_the_position(reader, topic, produce):
    produce(topic, 30)
    one = TopicPartition(topic, 0)
    read(reader, 30)
    reader.seek(one, 7)
    assert read(reader, 1)[0].offset == 7
    reader.seek_to_beginning()
    assert read(reader, 1)[0].offset == 0
    reader.seek_to_end([one])
    assert reader.position(one) == 30
    reader.seek(one, OffsetAndMetadata(29))
    assert [record.offset for record in read(reader, 1)] == [29]


def test_a_seek_while_iterating_drops_what_was_polled_ahead(reader, topic, produce):
    produce(topic, 30)
    seen = []
    for record in reader:
        seen.append(record.offset)
        if seen == [0, 1]:
            reader.seek(TopicPartition(topic, 0), 20)
        if record.offset == 21:
            break
    assert seen == [0, 1, 20, 21]


def test_paused_partitions_give_nothing_and_lose_nothing(consumer, make_topic, produce):
    topic = make_topic(partitions=2)
    both = [TopicPartition(topic, 0), TopicPartition(topic, 1)]
    values = produce(topic, 40, partitions=2)
    reader = consumer()
    reader.assign(both)
    reader.pause(both[0])
    assert reader.paused() == {both[0]}
    assert [record.value for record in read(reader, 20)] == values[1]
    assert reader.poll(0.2) == []
    reader.resume()
    assert reader.paused() == set()
    assert [record.value for record in read(reader, 20)] == values[0]


@pytest.mark.parametrize("call", ["pause", "resume"])
def test_only_what_is_assigned_can_be_paused_or_resumed(reader, topic, call):
    with pytest.raises(UsageError, match=f"{call}: {topic}-7 is not assigned"):
        getattr(reader, call)(TopicPartition(topic, 7))


def test_a_pause_while_iterating_puts_back_what_was_polled_ahead(reader, topic, produce):
    produce(topic, 30)
    assert next(reader).offset == 0
    reader.pause()
    assert reader.poll(0.2) == []
    reader.resume()
    assert next(reader).offset == 1


def test_offsets_of_partitions_by_end_and_by_time(reader, topic, produce):
    produce(topic, 30)
    one, missing = TopicPartition(topic, 0), TopicPartition(topic, 9)
    assert reader.beginning_offsets() == {one: 0}
    assert reader.end_offsets(one) == {one: 30}
    assert reader.offsets_for_times({one: 0})[one].offset == 0
    assert reader.offsets_for_times({one: 2**50}) == {one: None}
    with pytest.raises(TimeoutError, match=f"{topic}-9"):
        reader.end_offsets([missing], timeout=0.3)


def test_topics_and_partitions_are_listed(reader, make_topic):
    topic = make_topic(partitions=3)
    assert topic in reader.topics()
    assert reader.partitions_for(topic) == [0, 1, 2]
    assert reader.partitions_for("no-such-topic") == []


def test_lag_is_how_far_the_end_is_away(reader, topic, produce):
    produce(topic, 30)
    one = TopicPartition(topic, 0)
    reader.poll(10.0, max_records=10)
    until(lambda: reader.lag().get(one) is not None, what="a lag")
    assert reader.lag() == {one: 30 - reader.position(one)}
    assert reader.metrics()["records_lag_max"] == reader.lag()[one]


def test_arrow_batches_hold_the_same_records(reader, topic, produce):
    pyarrow = pytest.importorskip("pyarrow")
    values = produce(topic, 300)[0]
    rows = 0
    tables = []
    while rows < 300:
        batch = reader.poll_arrow(10.0, max_records=200)
        rows += batch.num_rows
        tables.append(pyarrow.record_batch(batch))
    assert [value for table in tables for value in table["value"].to_pylist()] == values
    assert [offset for table in tables for offset in table["offset"].to_pylist()] == list(range(300))
    assert reader.position(TopicPartition(topic, 0)) == 300


def test_deserializers_by_name_and_callable(consumer, topic, produce):
    produce(topic, 3)
    reader = consumer(key_deserializer="str", value_deserializer=lambda data: data.decode().upper())
    reader.assign([TopicPartition(topic, 0)])
    assert [(one.key, one.value) for one in read(reader, 3)] == [("k0", "V-0"), ("k1", "V-1"), ("k2", "V-2")]


def test_a_poisonous_record_is_named_and_can_be_skipped_and_nothing_else_is_lost(consumer, make_topic, produce):
    topic = make_topic(partitions=2)
    produce(topic, 20, partitions=2)

    def picky(data):
        if data == b"v-10":
            raise ValueError("not this one")
        return data.decode()

    reader = consumer(value_deserializer=picky)
    reader.assign([TopicPartition(topic, 0), TopicPartition(topic, 1)])
    seen, errors = [], []
    while len(seen) < 19:
        try:
            seen += [record.value for record in reader.poll(5.0)]
        except SerializationError as error:
            errors.append(error)
            if len(errors) == 3:  # asked again it says the same, until it is skipped
                reader.seek(TopicPartition(error.topic, error.partition), error.offset + 1)
    assert {(one.topic, one.partition, one.offset) for one in errors} == {(topic, 0, 5)}
    assert "not this one" in str(errors[0])
    assert f"{topic}-0 offset 5" in str(errors[0])
    assert sorted(seen) == sorted(f"v-{number}" for number in range(20) if number != 10)


def test_a_decoded_record_has_all_that_a_native_one_has(consumer, topic, produce):
    produce(topic, 1)
    plain, decoding = consumer(), consumer(value_deserializer=bytes.decode)
    for reader in (plain, decoding):
        reader.assign([TopicPartition(topic, 0)])
    (native,), (decoded,) = read(plain, 1), read(decoding, 1)
    names = [name for name in dir(native) if not name.startswith("_") and name != "value"]
    assert "key_size" in names
    assert [getattr(decoded, name) for name in names] == [getattr(native, name) for name in names]


def test_ctrl_c_in_a_deserializer_loses_no_record(consumer, topic, produce, unique):
    produce(topic, 6)
    interrupted = []

    def interruptible(data):
        if data == b"v-3" and not interrupted:
            interrupted.append(data)
            raise KeyboardInterrupt
        return data.decode()

    reader = consumer(unique("group"), value_deserializer=interruptible)
    one = TopicPartition(topic, 0)
    reader.assign([one])
    with pytest.raises(KeyboardInterrupt):
        read(reader, 6)
    assert reader.position(one) == 0
    reader.commit()
    assert reader.committed(one)[one].offset == 0
    assert [record.value for record in read(reader, 6)] == [f"v-{number}" for number in range(6)]


def test_json_that_is_none_stays_apart_from_json_that_is_broken(consumer, topic, produce):
    produce(topic, 1)
    reader = consumer(value_deserializer="json")
    reader.assign([TopicPartition(topic, 0)])
    with pytest.raises(SerializationError) as caught:
        read(reader, 1)
    assert isinstance(caught.value.__cause__, json.JSONDecodeError)


def test_without_reset_policy_a_partition_without_commit_is_an_error_until_a_seek(consumer, topic, produce, unique):
    produce(topic, 3)
    one = TopicPartition(topic, 0)
    for group_id in (None, unique("group")):
        reader = consumer(group_id, auto_offset_reset="none")
        reader.assign([one])
        for _ in range(2):
            with pytest.raises(NoOffsetForPartitionError, match=f"{topic}-0.*auto_offset_reset"):
                read(reader, 1)
        reader.seek(one, 1)
        assert read(reader, 2)[0].offset == 1


def test_latest_begins_after_what_is_there(consumer, topic, produce):
    produce(topic, 3)
    reader = consumer(auto_offset_reset="latest")
    one = TopicPartition(topic, 0)
    reader.assign([one])
    assert reader.position(one) == 3
    produce(topic, 2, first=3)
    assert [record.value for record in read(reader, 2)] == [b"v-3", b"v-4"]


def test_what_does_not_fit_is_refused_and_says_why(consumer, reader, topic):
    one = TopicPartition(topic, 0)
    with pytest.raises(UsageError, match="subscribe"):
        consumer().poll(0)
    for call in ("subscribe", "commit", "commit_async", "committed"):
        with pytest.raises(ConfigError, match="group_id"):
            getattr(reader, call)({one: 3})
    with pytest.raises(ConfigError, match="seek_to_end"):
        reader.seek(one, -1)
    with pytest.raises(UsageError, match=f"{topic}-5"):
        reader.seek(TopicPartition(topic, 5), 0)
    with pytest.raises(UsageError, match=f"{topic}-5"):
        reader.position(TopicPartition(topic, 5))
    with pytest.raises(ConfigError, match="TopicPartition"):
        reader.assign([topic])
    grouped = consumer("g")
    for offset in (2**63, "5", True):
        with pytest.raises(ConfigError, match=r"seek.*no offset"):
            reader.seek(one, offset)
        with pytest.raises(ConfigError, match=r"commit.*no offset"):
            grouped.commit({one: offset})
    for wrong in (TopicPartition(topic, -1), TopicPartition(topic, 2**31)):
        with pytest.raises(ConfigError, match="partition from 0"):
            reader.assign([wrong])
    assert reader.assignment() == {one}
    for wrong in (-1, 2**70, "now"):
        with pytest.raises(ConfigError, match=r"offsets_for_times.*no time"):
            reader.offsets_for_times({one: wrong})
    for wrong in (-1, 0, "all"):
        with pytest.raises(ConfigError, match="max_records"):
            reader.poll(0, max_records=wrong)
        with pytest.raises(ConfigError, match="max_records"):
            reader.poll_arrow(0, max_records=wrong)
    with pytest.raises(ConfigError, match="neither a record nor"):
        grouped.commit(5)
    with pytest.raises(ConfigError, match="no offset"):
        grouped.commit({one: -3})
    with pytest.raises(ConfigError, match="unsubscribe"):
        grouped.subscribe([])
    with pytest.raises(ConfigError, match="can't be read"):
        grouped.subscribe("^(")
    grouped.subscribe(topic)
    with pytest.raises(UsageError, match="unsubscribe"):
        grouped.assign([one])
