"""Apache Kafka's own tools as clients, unchanged. Marked `peer`: they need its jars and a Java runtime."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from confluent_kafka import Consumer
from confluent_kafka.admin import AdminClient, NewTopic
from drivers import DRIVERS
from support import topics
from support.batches import Entry
from support.kafka_tools import run

pytestmark = [pytest.mark.peer, pytest.mark.timeout(300)]


def test_topic_command_creates_lists_describes_alters_and_deletes(bootstrap: str, unique: Callable[[str], str]) -> None:
    name, server = unique("tool"), ("--bootstrap-server", bootstrap)
    assert "Created topic" in run(
        "TopicCommand", *server, "--create", "--topic", name, "--partitions", "2", "--config", "retention.ms=5000"
    )
    assert name in run("TopicCommand", *server, "--list").split()
    described = run("TopicCommand", *server, "--describe", "--topic", name)
    assert "PartitionCount: 2" in described
    assert "retention.ms=5000" in described
    run("TopicCommand", *server, "--alter", "--topic", name, "--partitions", "4")
    assert "PartitionCount: 4" in run("TopicCommand", *server, "--describe", "--topic", name)
    run("TopicCommand", *server, "--delete", "--topic", name)
    assert name not in run("TopicCommand", *server, "--list").split()


def test_console_producer_and_consumer_pass_lines(bootstrap: str, topic: str) -> None:
    lines = [f"k{n}:value {n}" for n in range(100)]
    run(
        "ConsoleProducer", "--bootstrap-server", bootstrap, "--topic", topic,
        "--reader-property", "parse.key=true", "--reader-property", "key.separator=:", text="\n".join(lines) + "\n",
    )  # fmt: skip
    found = run(
        "org.apache.kafka.tools.consumer.ConsoleConsumer", "--bootstrap-server", bootstrap, "--topic", topic, "--from-beginning",
        "--max-messages", "100", "--formatter-property", "print.key=true", "--formatter-property", "key.separator=:",
    )  # fmt: skip
    assert found.splitlines() == lines


def test_consumer_group_command_lists_describes_resets_and_deletes(
    bootstrap: str, topic: str, unique: Callable[[str], str]
) -> None:
    group, server = unique("group"), ("--bootstrap-server", bootstrap)
    DRIVERS["confluent"].produce(bootstrap, topic, [Entry(b"%d" % n) for n in range(10)], partition=0)
    run(
        "org.apache.kafka.tools.consumer.ConsoleConsumer",
        *server,
        "--topic",
        topic,
        "--from-beginning",
        "--max-messages",
        "10",
        "--group",
        group,
    )
    command = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand"
    assert group in run(command, *server, "--list").split()
    described = run(command, *server, "--describe", "--group", group)
    (row,) = [line.split() for line in described.splitlines() if line.startswith(group)]
    assert row[1:6] == [topic, "0", "10", "10", "0"]
    run(command, *server, "--group", group, "--reset-offsets", "--to-offset", "4", "--topic", topic, "--execute")
    described = run(command, *server, "--describe", "--group", group)
    (row,) = [line.split() for line in described.splitlines() if line.startswith(group)]
    assert row[3:6] == ["4", "10", "6"]
    run(command, *server, "--delete", "--group", group)
    assert group not in run(command, *server, "--list").split()


def test_config_command_shows_and_changes(bootstrap: str, topic: str) -> None:
    entity = ("--bootstrap-server", bootstrap, "--entity-type", "topics", "--entity-name", topic)
    command = "kafka.admin.ConfigCommand"
    run(command, *entity, "--alter", "--add-config", "retention.ms=4321,cleanup.policy=[compact,delete]")
    described = run(command, *entity, "--describe")
    assert "retention.ms=4321" in described
    assert "compact" in described
    run(command, *entity, "--alter", "--delete-config", "retention.ms")
    assert "retention.ms" not in run(command, *entity, "--describe")
    assert "max.message.bytes=1048588" in run(command, *entity, "--describe", "--all")


def test_performance_tools_pass_their_records(bootstrap: str, topic: str) -> None:
    sent = run(
        "ProducerPerformance", "--topic", topic, "--num-records", "20000", "--record-size", "100", "--throughput", "-1",
        "--bootstrap-server", bootstrap,
    )  # fmt: skip
    assert "20000 records sent" in sent
    read = run("ConsumerPerformance", "--bootstrap-server", bootstrap, "--topic", topic, "--num-records", "20000")
    assert int(read.splitlines()[-1].split(", ")[4]) == 20_000


def test_get_offset_shell_agrees(bootstrap: str, topic: str) -> None:
    DRIVERS["confluent"].produce(bootstrap, topic, [Entry(b"v")] * 5, partition=0)
    asked = ("GetOffsetShell", "--bootstrap-server", bootstrap, "--topic", topic, "--time")
    assert run(*asked, "latest").strip() == f"{topic}:0:5"
    assert run(*asked, "earliest").strip() == f"{topic}:0:0"
    assert run(*asked, "max-timestamp").strip().startswith(f"{topic}:0:")


def test_delete_records_command_cuts_the_log(bootstrap: str, topic: str, tmp_path: Path) -> None:
    DRIVERS["confluent"].produce(bootstrap, topic, [Entry(b"v")] * 5, partition=0)
    plan = tmp_path / "plan.json"
    plan.write_text(json.dumps({"version": 1, "partitions": [{"topic": topic, "partition": 0, "offset": 3}]}))
    answer = run("DeleteRecordsCommand", "--bootstrap-server", bootstrap, "--offset-json-file", str(plan))
    assert "low_watermark: 3" in answer
    assert len(DRIVERS["aiokafka"].consume(bootstrap, topic, 2)) == 2


def test_log_dirs_command_reports_sizes(bootstrap: str, topic: str) -> None:
    DRIVERS["confluent"].produce(bootstrap, topic, [Entry(b"v" * 1000)], partition=0)
    answer = run("LogDirsCommand", "--bootstrap-server", bootstrap, "--describe", "--topic-list", topic)
    found = json.loads(next(line for line in answer.splitlines() if line.startswith("{")))
    (row,) = found["brokers"][0]["logDirs"][0]["partitions"]
    assert (row["partition"], row["size"] > 1000, row["isFuture"]) == (f"{topic}-0", True, False)


def test_verifiable_producer_and_consumer_agree(bootstrap: str, topic: str, unique: Callable[[str], str]) -> None:
    produced = run(
        "VerifiableProducer", "--bootstrap-server", bootstrap, "--topic", topic, "--max-messages", "500", "--acks", "-1"
    )
    rows = [json.loads(line) for line in produced.splitlines()]
    assert sum(row["name"] == "producer_send_success" for row in rows) == 500
    consumed = run(
        "VerifiableConsumer", "--bootstrap-server", bootstrap, "--topic", topic, "--group-id", unique("group"),
        "--max-messages", "500", "--reset-policy", "earliest",
    )  # fmt: skip
    rows = [json.loads(line) for line in consumed.splitlines()]
    assert sum(row["count"] for row in rows if row["name"] == "records_consumed") >= 500
    assert all(row["success"] for row in rows if row["name"] == "offsets_committed")


def test_consumers_of_the_consumer_protocol_share_and_are_described(
    bootstrap: str, topic: str, unique: Callable[[str], str]
) -> None:
    group, server = unique("group"), ("--bootstrap-server", bootstrap)
    DRIVERS["confluent"].produce(bootstrap, topic, [Entry(b"%d" % n) for n in range(10)], partition=0)
    consumer = "org.apache.kafka.tools.consumer.ConsoleConsumer"
    modern = ("--group", group, "--command-property", "group.protocol=consumer", "--from-beginning")
    read = run(consumer, *server, "--topic", topic, *modern, "--max-messages", "10")
    assert sorted(read.split()) == sorted(str(n) for n in range(10))
    command = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand"
    listed = [line.split() for line in run(command, *server, "--list", "--state", "--type").splitlines()]
    assert [group, "Consumer", "Empty"] in listed
    described = run(command, *server, "--describe", "--group", group)
    (row,) = [line.split() for line in described.splitlines() if line.startswith(group)]
    assert row[1:6] == [topic, "0", "10", "10", "0"]
    with Consumer({"bootstrap.servers": bootstrap, "group.id": group, "group.protocol": "consumer"}) as member:
        member.subscribe([topic])
        topics.until(lambda: member.poll(0.2) or member.assignment())
        state = run(command, *server, "--describe", "--group", group, "--state")
        (row,) = [line.split() for line in state.splitlines() if line.startswith(group)]
        assert row[3:] == ["uniform", "Stable", "1"]
        members = run(command, *server, "--describe", "--group", group, "--members", "--verbose")
        (row,) = [line.split() for line in members.splitlines() if line.startswith(group)]
        assert row[-1] == row[-3], "what it has is what it is to have"
        assert row[-1].startswith(f"{topic}:")
    run(command, *server, "--delete", "--group", group)
    assert group not in run(command, *server, "--list").split()


def test_a_consumer_of_the_consumer_protocol_subscribes_by_expression(
    bootstrap: str, unique: Callable[[str], str]
) -> None:
    stem = unique("pattern")
    names = [f"{stem}-{n}" for n in range(2)]
    with_topics = AdminClient({"bootstrap.servers": bootstrap})
    for made in with_topics.create_topics([NewTopic(name, 1, 1) for name in [*names, f"other-{stem}"]]).values():
        made.result(30)
    for name in names:
        DRIVERS["confluent"].produce(bootstrap, name, [Entry(name.encode())], partition=0)
    read = run(
        "org.apache.kafka.tools.consumer.ConsoleConsumer", "--bootstrap-server", bootstrap, "--include", f"{stem}-.*",
        "--group", stem, "--command-property", "group.protocol=consumer", "--from-beginning", "--max-messages", "2",
    )  # fmt: skip
    assert sorted(read.split()) == names
