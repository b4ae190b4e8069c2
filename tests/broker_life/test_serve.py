"""`odradek serve` as a process: its one line, its exit codes, its signals, and what outlives it."""

import json
import os
import resource
import signal
import socket
import subprocess
import sys

import pytest

from odradek.protocol.api_keys import ApiKey
from odradek.protocol.codec import encode, response_class, schema


class Serve:
    """One `odradek serve` with its pipes."""

    def __init__(self, *arguments, port=0):
        command = [sys.executable, "-m", "odradek", "serve", *map(str, arguments)]
        self.process = subprocess.Popen(
            [*command, "--listen", f"127.0.0.1:{port}"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def ready(self):
        line = self.process.stdout.readline()
        assert line.startswith("odradek ready on 127.0.0.1:"), (line, self.process.stderr.read())
        self.port = int(line.rsplit(":", 1)[1])
        return self

    def end(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=20)
        return self.process.returncode, out, err

    def ask(self, key, version, build):
        from kio.serial import entity_reader

        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as connection:
            message = build(schema(key, version))
            tags = b"\0" if type(message).__flexible__ else b""
            frame = b"".join(number.to_bytes(size, "big") for number, size in ((key, 2), (version, 2), (1, 4)))
            frame += b"\xff\xff" + tags + encode(message)
            connection.sendall(len(frame).to_bytes(4, "big") + frame)
            file = connection.makefile("rb")
            answer = file.read(int.from_bytes(file.read(4), "big"))
        return entity_reader(response_class(key, version))(answer, 4 + len(tags))[0]


@pytest.fixture
def serve():
    """Start brokers; those still running at the end are killed."""
    started = []

    def start(*arguments, **how):
        broker = Serve(*arguments, **how)
        started.append(broker)
        return broker

    yield start
    for broker in started:
        if broker.process.poll() is None:
            broker.process.kill()
        broker.process.communicate()


def create(broker, name):
    def build(m):
        topic = m.CreatableTopic(name=name, num_partitions=2, replication_factor=-1, assignments=(), configs=())
        return m.CreateTopicsRequest(topics=(topic,))

    (row,) = broker.ask(ApiKey.CREATE_TOPICS, 7, build).topics
    assert row.error_code == 0
    return row.topic_id


def metadata(broker, topics):
    def build(m):
        return m.MetadataRequest(
            topics=topics,
            allow_auto_topic_creation=False,
            include_cluster_authorized_operations=False,
            include_topic_authorized_operations=False,
        )

    return broker.ask(ApiKey.METADATA, 10, build)


def topic_ids(broker):
    return {topic.name: topic.topic_id for topic in metadata(broker, None).topics}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_says_one_line_and_a_signal_ends_it_well(serve, tmp_path, number):
    broker = serve("--data-dir", tmp_path / "data").ready()
    assert topic_ids(broker) == {}
    code, out, err = broker.end(number)
    assert (code, out) == (0, "")
    assert "stopped" in err


_SITE = """
import os, signal, sys

class Stop:
    def find_spec(self, name, path=None, target=None):
        if name == "odradek.broker.control":
            sys.meta_path.remove(self)
            os.kill(os.getpid(), signal.{name})

sys.meta_path.insert(0, Stop())
"""
"""Python runs it, as `sitecustomize`, before anything else: the signal comes when Rust serves and Python is still loading."""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_between_the_first_record_and_the_line_ends_it_well_too(serve, tmp_path, number, monkeypatch):
    site = tmp_path / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(_SITE.format(name=number.name))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")]))
    out, err = serve("--data-dir", tmp_path / "data").process.communicate(timeout=20)
    assert out == ""
    assert err.splitlines()[-1].endswith("stopped")
    assert (tmp_path / "data" / ".kafka_cleanshutdown").exists()


def test_a_client_that_waits_is_no_reason_not_to_stop(serve, tmp_path):
    broker = serve("--data-dir", tmp_path / "data").ready()
    with socket.create_connection(("127.0.0.1", broker.port)) as idle:
        idle.sendall((100).to_bytes(4, "big") + b"half a frame")
        assert broker.end()[0] == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_topics_keep_their_ids_over_a_stop_and_over_a_kill(serve, tmp_path, number):
    broker = serve("--data-dir", tmp_path / "data").ready()
    made = {name: create(broker, name) for name in ("a", "b")}
    broker.end(number)
    again = serve("--data-dir", tmp_path / "data").ready()
    assert topic_ids(again) == made


def commit(broker, offset):
    def build(m):
        partition = m.OffsetCommitRequestPartition(
            partition_index=0, committed_offset=offset, committed_metadata="note"
        )
        topic = m.OffsetCommitRequestTopic(name="t", partitions=(partition,))
        return m.OffsetCommitRequest(group_id="g", member_id="", topics=(topic,))

    return broker.ask(ApiKey.OFFSET_COMMIT, 8, build).topics[0].partitions[0].error_code


def committed(broker):
    def build(m):
        topic = m.OffsetFetchRequestTopic(name="t", partition_indexes=(0,))
        return m.OffsetFetchRequest(group_id="g", topics=(topic,), require_stable=False)

    answer = broker.ask(ApiKey.OFFSET_FETCH, 7, build)
    (row,) = answer.topics[0].partitions
    return answer.error_code, row.error_code, row.committed_offset, row.metadata


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_cold_broker_never_says_that_it_is_still_loading(serve, tmp_path, number):
    """Trap 16: clients that meet COORDINATOR_LOAD_IN_PROGRESS or NOT_COORDINATOR wait and retry, some for seconds."""

    def first_request(broker):
        answer = broker.ask(ApiKey.FIND_COORDINATOR, 3, lambda m: m.FindCoordinatorRequest(key="g", key_type=0))
        return answer.error_code, answer.port

    broker = serve("--data-dir", tmp_path / "data").ready()
    assert first_request(broker) == (0, broker.port)
    create(broker, "t")
    assert [commit(broker, offset) for offset in range(20)] == [0] * 20
    broker.end(number)
    again = serve("--data-dir", tmp_path / "data").ready()
    assert committed(again) == (0, 0, 19, "note")
    assert commit(again, 20) == 0
    assert first_request(again) == (0, again.port)


def test_logs_can_be_lines_of_json(serve, tmp_path):
    broker = serve("--data-dir", tmp_path / "data", "--log-format", "json").ready()
    lines = [json.loads(line) for line in broker.end()[2].splitlines()]
    assert {"time", "level", "logger", "message"} <= set(lines[0])


def test_file_sets_and_options_are_joined_the_later_winning(serve, tmp_path):
    file = tmp_path / "server.properties"
    file.write_text(f"log.dirs={tmp_path / 'elsewhere'}\nnum.partitions=2\nlisteners=PLAINTEXT://:1\nnode.id=5\n")
    broker = serve("--config", file, "--data-dir", tmp_path / "data", "--set", "num.partitions=3").ready()

    def build(m):
        topic = m.CreatableTopic(name="t", num_partitions=-1, replication_factor=-1, assignments=(), configs=())
        return m.CreateTopicsRequest(topics=(topic,))

    assert broker.ask(ApiKey.CREATE_TOPICS, 7, build).topics[0].num_partitions == 3
    assert "node.id=5" in (tmp_path / "data" / "meta.properties").read_text()
    assert not (tmp_path / "elsewhere").exists()


def test_clients_are_told_what_is_advertised(serve, tmp_path):
    broker = serve("--data-dir", tmp_path / "data", "--advertise", "broker.example:7777").ready()
    assert [(row.host, row.port) for row in metadata(broker, ()).brokers] == [("broker.example", 7777)]


def test_a_failing_disk_ends_the_broker_with_a_reason_and_loses_nothing_acknowledged(serve, tmp_path):
    """The disk is a file size limit of 1 MiB: writes beyond it fail with EFBIG."""
    from confluent_kafka import Consumer, Producer, TopicPartition

    broker = serve("--data-dir", tmp_path / "data").ready()
    resource.prlimit(broker.process.pid, resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
    outcomes = []
    producer = Producer(
        {"bootstrap.servers": f"127.0.0.1:{broker.port}", "message.timeout.ms": 3000, "log_level": 0, "linger.ms": 0}
    )
    for number in range(1500):
        producer.produce("t", b"%d" % number + b"x" * 1000, on_delivery=lambda error, _: outcomes.append(error is None))
        if number % 50 == 0:
            producer.flush(5)
    producer.flush(10)
    _, err = broker.process.communicate(timeout=20)
    assert broker.process.returncode == 1
    assert str(tmp_path / "data" / "t-0") in err
    acknowledged = outcomes.count(True)
    assert 0 < acknowledged < 1500

    again = serve("--data-dir", tmp_path / "data").ready()
    consumer = Consumer({"bootstrap.servers": f"127.0.0.1:{again.port}", "group.id": "g"})
    low, high = consumer.get_watermark_offsets(TopicPartition("t", 0), timeout=20)
    consumer.close()
    assert low == 0
    assert high >= acknowledged


# What can't be


def refusal(broker):
    out, err = broker.process.communicate(timeout=20)
    assert out == ""
    assert err.count("\n") == 1, err
    assert err.startswith("odradek: ")
    return broker.process.returncode, err


def test_a_port_in_use_is_one_line_and_exit_code_1(serve, tmp_path):
    first = serve("--data-dir", tmp_path / "a").ready()
    code, line = refusal(serve("--data-dir", tmp_path / "b", port=first.port))
    assert code == 1
    assert f"127.0.0.1:{first.port}" in line
    assert "in use" in line
    assert "--listen" in line


def test_a_data_dir_in_use_is_one_line_and_exit_code_1(serve, tmp_path):
    first = serve("--data-dir", tmp_path / "a").ready()
    code, line = refusal(serve("--data-dir", tmp_path / "a"))
    assert code == 1
    assert str(tmp_path / "a") in line
    assert "locked" in line
    assert topic_ids(first) == {}


@pytest.mark.parametrize(
    ("arguments", "exit_code", "words"),
    [
        (["--data-dir", "{dir}/file"], 1, ["{dir}/file", "not a directory"]),
        (["--data-dir", "{dir}/file/below"], 1, ["{dir}/file/below"]),
        (["--data-dir", "{dir}/d", "--set", "num.partitions=0"], 2, ["num.partitions", "'0'", "1 or more"]),
        (["--data-dir", "{dir}/d", "--set", "num.partition=1"], 2, ["'num.partition'", "num.partitions"]),
        (["--data-dir", "{dir}/d", "--set", "nothing"], 2, ["'nothing'", "key=value"]),
        (["--data-dir", "{dir}/d", "--config", "{dir}/none"], 2, ["{dir}/none"]),
        (["--data-dir", "{dir}/d", "--advertise", "x"], 2, ["--advertise", "'x'", "HOST:PORT"]),
        (["--data-dir", "{dir}/d", "--set", "ssl.keystore.location=/k"], 2, ["ssl.keystore.location"]),
    ],
)
def test_bad_settings_are_one_line_that_names_them(serve, tmp_path, arguments, exit_code, words):
    (tmp_path / "file").touch()
    code, line = refusal(serve(*(argument.format(dir=tmp_path) for argument in arguments)))
    assert code == exit_code
    for word in words:
        assert word.format(dir=tmp_path) in line


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_data_dir_is_one_line_and_exit_code_1(serve, tmp_path):
    (tmp_path / "data").mkdir(mode=0)
    code, line = refusal(serve("--data-dir", tmp_path / "data"))
    assert code == 1
    assert str(tmp_path / "data") in line


def test_a_data_dir_of_another_node_is_refused(serve, tmp_path):
    serve("--data-dir", tmp_path / "data").ready().end()
    code, line = refusal(serve("--data-dir", tmp_path / "data", "--set", "node.id=9"))
    assert code == 1
    assert "9" in line
