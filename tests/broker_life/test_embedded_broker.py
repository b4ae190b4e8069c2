"""`odradek.Broker`: the same server inside this process, with clients that others wrote."""

import threading
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient, NewTopic

import odradek
from odradek.errors import ConfigError, DataDirLockedError, OdradekError


def produce(broker, topic, values):
    producer = Producer({"bootstrap.servers": broker.bootstrap_servers})
    failures = []
    for value in values:
        producer.produce(topic, value, on_delivery=lambda error, _: error and failures.append(error))
    assert producer.flush(30) == 0
    assert failures == []


def consume(broker, topic, count, group="g"):
    consumer = Consumer(
        {"bootstrap.servers": broker.bootstrap_servers, "group.id": group, "auto.offset.reset": "earliest"}
    )
    consumer.subscribe([topic])
    try:
        records = []
        while len(records) < count:
            got = consumer.consume(count - len(records), timeout=30)
            assert got, f"{len(records)} of {count} within 30 s"
            records += got
        consumer.commit(asynchronous=False)
        assert all(record.error() is None for record in records)
        return [record.value() for record in records]
    finally:
        consumer.close()


def test_records_go_in_and_come_out():
    values = [b"%d" % n for n in range(100)]
    with odradek.Broker() as broker:
        produce(broker, "t", values)
        assert consume(broker, "t", 100) == values


def test_a_temporary_directory_goes_with_the_broker():
    broker = odradek.Broker().start()
    directory = broker.data_dir
    assert directory.is_dir()
    broker.close()
    broker.close()
    assert not directory.exists()
    with pytest.raises(OdradekError, match="isn't running"):
        _ = broker.bootstrap_servers


def test_a_temporary_directory_is_made_where_the_environment_says_or_where_there_is_room(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with odradek.Broker() as broker:
        assert broker.data_dir.parent == tmp_path
        assert broker.data_dir.stat().st_mode & 0o777 == 0o700
    monkeypatch.setenv("TMPDIR", str(tmp_path / "none"))
    with odradek.Broker() as broker:
        assert broker.data_dir.is_dir()


def test_a_directory_of_the_caller_s_keeps_records_and_offsets(tmp_path):
    with odradek.Broker(tmp_path) as broker:
        produce(broker, "t", [b"1", b"2", b"3"])
        assert consume(broker, "t", 2) == [b"1", b"2"]
    with odradek.Broker(tmp_path) as broker:
        assert consume(broker, "t", 1) == [b"3"]
    assert Path(tmp_path, "t-0").is_dir()


def test_several_brokers_live_side_by_side():
    with odradek.Broker() as one, odradek.Broker() as two:
        assert one.bootstrap_servers != two.bootstrap_servers
        produce(one, "t", [b"one"])
        produce(two, "t", [b"two"])
        assert consume(one, "t", 1) == [b"one"]
        assert consume(two, "t", 1) == [b"two"]


def test_settings_are_keyword_arguments():
    with odradek.Broker(num_partitions=3, auto_create_topics_enable=False) as broker:
        admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers})
        admin.create_topics([NewTopic("t")])["t"].result(30)
        assert len(admin.list_topics("t", timeout=30).topics["t"].partitions) == 3
        assert admin.list_topics("other", timeout=30).topics["other"].error is not None


def test_a_broker_can_be_started_again_after_close():
    broker = odradek.Broker()
    with broker:
        produce(broker, "t", [b"first life"])
    with broker:
        assert AdminClient({"bootstrap.servers": broker.bootstrap_servers}).list_topics(timeout=30).topics == {}


def test_bad_settings_are_refused_before_anything_is_made():
    with pytest.raises(ConfigError, match=r"unknown option 'num.partition'; did you mean num.partitions"):
        odradek.Broker(num_partition=1)
    with pytest.raises(ConfigError, match="data_dir"):
        odradek.Broker(log_dirs="/x")


def test_a_directory_in_use_is_refused_and_its_broker_unharmed(tmp_path):
    with odradek.Broker(tmp_path) as broker:
        with pytest.raises(DataDirLockedError, match=str(tmp_path)):
            odradek.Broker(tmp_path).start()
        produce(broker, "t", [b"1"])


def test_closing_leaves_no_thread_behind():
    before = set(threading.enumerate())
    with odradek.Broker() as broker:
        produce(broker, "t", [b"1"])
    left = {thread for thread in set(threading.enumerate()) - before if thread.name.startswith("odradek")}
    assert left == set()
