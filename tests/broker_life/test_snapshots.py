"""`Broker.snapshot` and `restore`: what comes back, what clients notice, and what is refused."""

from __future__ import annotations

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

import odradek
from odradek.broker.snapshot import take
from odradek.errors import OdradekError


def produce(broker, values, topic="t"):
    producer = Producer({"bootstrap.servers": broker.bootstrap_servers, "enable.idempotence": True})
    failures = []
    for value in values:
        producer.produce(topic, value, partition=0, on_delivery=lambda error, _: error and failures.append(error))
    assert producer.flush(20) == 0
    assert failures == []


def read(broker, topic="t"):
    """Return all values of partition 0."""
    consumer = Consumer(
        {"bootstrap.servers": broker.bootstrap_servers, "group.id": "reader", "enable.auto.commit": False}
    )
    try:
        start, end = consumer.get_watermark_offsets(TopicPartition(topic, 0), timeout=20)
        consumer.assign([TopicPartition(topic, 0, start)])
        values = []
        while len(values) < end - start:
            values += [message.value() for message in consumer.consume(end - start - len(values), timeout=20)]
        return values
    finally:
        consumer.close()


def committed(broker, group="g"):
    consumer = Consumer({"bootstrap.servers": broker.bootstrap_servers, "group.id": group})
    try:
        return consumer.committed([TopicPartition("t", 0)], timeout=20)[0].offset
    finally:
        consumer.close()


def commit(broker, offset, group="g"):
    consumer = Consumer({"bootstrap.servers": broker.bootstrap_servers, "group.id": group})
    try:
        consumer.commit(offsets=[TopicPartition("t", 0, offset)], asynchronous=False)
    finally:
        consumer.close()


def test_records_topics_offsets_and_settings_are_as_they_were_any_number_of_times():
    with odradek.Broker(log_segment_bytes=1 << 20) as broker:
        admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers})
        admin.create_topics([NewTopic("t", 2, config={"retention.ms": "77777"})])["t"].result(20)
        kept = [b"%d" % number for number in range(50)]
        produce(broker, kept)
        commit(broker, 7)
        snapshot = broker.snapshot()
        for _ in range(2):
            produce(broker, [b"later"])
            admin.create_topics([NewTopic("other", 1)])["other"].result(20)
            commit(broker, 51)
            assert (len(read(broker)), committed(broker)) == (51, 51)
            broker.restore(snapshot)
            assert read(broker) == kept
            assert committed(broker) == 7
            assert "other" not in admin.list_topics(timeout=20).topics
        admin.delete_topics(["t"])["t"].result(20)
        broker.restore(snapshot)
        assert read(broker) == kept
        assert len(admin.list_topics(timeout=20).topics["t"].partitions) == 2


def test_clients_keep_their_address_and_come_back_by_themselves():
    with odradek.Broker() as broker:
        address = broker.bootstrap_servers
        producer = Producer({"bootstrap.servers": address, "enable.idempotence": True})
        offsets = []

        def send():
            producer.produce("t", b"x", on_delivery=lambda error, message: offsets.append((error, message.offset())))
            assert producer.flush(30) == 0

        send()
        snapshot = broker.snapshot()
        send()
        broker.restore(snapshot)
        assert broker.bootstrap_servers == address
        assert offsets == [(None, 0), (None, 1)]
        assert len(read(broker)) == 1


def test_everything_acknowledged_before_a_snapshot_is_in_it():
    with odradek.Broker() as broker:
        produce(broker, [b"first"])
        producer = Producer({"bootstrap.servers": broker.bootstrap_servers, "linger.ms": 0})
        acknowledged, errors = [], []
        for number in range(2000):
            producer.produce(
                "t",
                b"%d" % number,
                on_delivery=lambda error, m: errors.append(error) if error else acknowledged.append(m.offset()),
            )
            producer.poll(0)
        while not acknowledged:
            assert producer.poll(20) > 0
        snapshot = broker.snapshot()  # batches are under way
        producer.poll(0)
        before = len(acknowledged)
        assert producer.flush(30) == 0
        assert (errors, len(acknowledged)) == ([], 2000)
        broker.restore(snapshot)
        # What was answered only after the snapshot may be in it or not.
        assert 1 + before <= len(read(broker)) <= 2001


def test_a_producer_id_is_never_given_twice():
    with odradek.Broker() as broker:
        snapshot = broker.snapshot()
        first = producer_id(broker)
        broker.restore(snapshot)
        assert producer_id(broker) > first


def producer_id(broker):
    from support.wire import Wire

    with Wire(broker.bootstrap_servers) as wire:
        answer = wire.call("init_producer_id", 1, {"transactional_id": None, "transaction_timeout": 1000})
    assert answer.error_code == 0
    return answer.producer_id


def test_a_snapshot_of_another_broker_or_a_discarded_one_is_refused_and_nothing_happens():
    with odradek.Broker() as broker, odradek.Broker() as other:
        produce(broker, [b"x"])
        snapshot = other.snapshot()
        with pytest.raises(OdradekError, match="another broker"):
            broker.restore(snapshot)
        mine = broker.snapshot()
        mine.discard()
        mine.discard()
        with pytest.raises(OdradekError, match="discarded"):
            broker.restore(mine)
        assert read(broker) == [b"x"]


def test_snapshots_go_with_their_broker():
    broker = odradek.Broker().start()
    snapshot = broker.snapshot()
    kept = snapshot.path_for(broker)
    assert kept.is_dir()
    broker.close()
    assert not kept.exists()
    with pytest.raises(OdradekError):
        broker.restore(snapshot)
    with pytest.raises(OdradekError, match="isn't running"):
        broker.snapshot()
    with pytest.raises(OdradekError, match="isn't running"):
        _ = broker.faults


def test_a_restore_that_fails_says_why_and_leaves_the_broker_stopped(monkeypatch):
    broker = odradek.Broker().start()
    snapshot = broker.snapshot()

    def full(_source, _target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("odradek.broker.snapshot._copy_tree", full)
    with pytest.raises(OSError, match="No space left"):
        broker.restore(snapshot)
    with pytest.raises(OdradekError, match="isn't running"):
        _ = broker.bootstrap_servers
    broker.close()


def test_finished_segments_are_linked_and_the_one_still_written_is_not(tmp_path):
    partition = tmp_path / "t-0"
    partition.mkdir()
    for name in ("00.log", "07.log", "00.index", "07.index"):
        (partition / name).write_bytes(name.encode())
    kept = take(tmp_path)
    try:
        same = [
            (partition / name).samefile(kept / "t-0" / name)
            for name in sorted(path.name for path in partition.iterdir())
        ]
        assert dict(zip(sorted(path.name for path in partition.iterdir()), same, strict=True)) == {
            "00.index": False,
            "00.log": True,
            "07.index": False,
            "07.log": False,
        }
        assert all(
            (kept / "t-0" / name).read_bytes() == name.encode() for name in (path.name for path in partition.iterdir())
        )
    finally:
        import shutil

        shutil.rmtree(kept)
