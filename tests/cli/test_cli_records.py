"""`odradek produce` and `odradek consume` against a broker."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from cli_support import Outcome, Running, run_command
from support.broker import BrokerProcess

Run = Callable[..., Outcome]
Start = Callable[..., Running]
ALL = ("--from-beginning", "--exit-at-end")


def test_lines_come_back_with_key_header_and_null_kept_apart(run: Run, topic: str) -> None:
    produced = run(
        *("produce", topic, "--key-separator", ":", "--header", "source=test", "--partition", "0"),
        *("--property", "null.marker=NULL"),
        stdin="a:1\nb:\r\nc:NULL\nNULL:x:y\nd:last",
    )
    assert produced.code == 0, produced.err
    assert produced.err.startswith(f"5 records delivered to {topic} ")
    records = [json.loads(line) for line in run("consume", topic, *ALL, "--json").out.splitlines()]
    assert [(record["offset"], record["key"], record["value"]) for record in records] == [
        (0, "a", "1"),
        (1, "b", ""),
        (2, "c", None),
        (3, None, "x:y"),
        (4, "d", "last"),
    ]
    assert all(record["headers"] == [{"name": "source", "value": "test"}] for record in records)
    assert {record["timestamp_type"] for record in records} == {"CreateTime"}


def test_bytes_that_are_no_utf8_survive_json_as_base64(run: Run, topic: str) -> None:
    run("produce", topic, stdin=b"\xff\xfe\n")
    [record] = [json.loads(line) for line in run("consume", topic, *ALL, "--json").out.splitlines()]
    assert record["value_base64"] == "//4="
    assert "value" not in record


def test_a_line_without_separator_is_told_and_counted_and_the_others_are_sent(run: Run, topic: str) -> None:
    produced = run("produce", topic, "--key-separator", "\\t", stdin="a\t1\nnothing\nb\t2\n")
    assert produced.code == 1
    first, summary = produced.err.splitlines()
    assert first == "odradek: line 2: no key separator '\\t' in it"
    assert summary.startswith("2 records delivered")
    assert summary.endswith(", 1 failed")
    assert sorted(run("consume", topic, *ALL).out.split()) == ["1", "2"]


@pytest.mark.parametrize("compression", ["none", "gzip", "snappy", "lz4", "zstd"])
def test_every_compression_comes_back_whole_and_in_order(
    run: Run, topic: str, tmp_path: Path, compression: str
) -> None:
    lines = "".join(f"record {number}\n" for number in range(5000))
    file = tmp_path / "lines.txt"
    file.write_text(lines)
    produced = run("produce", topic, "--file", str(file), "--compression", compression, "--partition", "1")
    assert produced.code == 0, produced.err
    assert run("consume", topic, *ALL).out == lines


def test_records_too_large_for_the_topic_fail_and_the_exit_code_says_so(run: Run, topic: str) -> None:
    run("topics", "alter", topic, "--config", "max.message.bytes=1000")
    produced = run("produce", topic, stdin="x" * 5000 + "\n")
    assert produced.code == 1
    assert "MESSAGE_TOO_LARGE" in produced.err or "too large" in produced.err
    assert produced.err.splitlines()[-1].endswith(", 1 failed")


def test_keys_go_where_every_kafka_client_sends_them(run: Run, topic: str) -> None:
    run("produce", topic, "--key-separator", ":", stdin="abc:1\n21:2\nfoobar:3\n")
    where = run("consume", topic, *ALL, "--format", r"%k %p\n").out.split("\n")[:-1]
    # Kafka's own vectors of murmur2: abc 479470107, 21 -973932308, foobar -790332482; sign bit off, modulo 2
    assert sorted(where) == ["21 0", "abc 1", "foobar 0"]


def test_properties_print_what_kafkas_console_consumer_prints(run: Run, topic: str) -> None:
    run("produce", topic, "--key-separator", ":", "--partition", "1", "--header", "h=1", stdin="k:v\n")
    shown = run(
        *("consume", topic, *ALL, "--property", "print.key=true", "--property", "key.separator=-"),
        *("--property", "print.partition=true", "--property", "print.offset=true", "--property", "print.headers=true"),
    )
    assert shown.out == "Partition:1-Offset:0-h:1-k-v\n"


def test_format_places_each_field(run: Run, topic: str) -> None:
    run("produce", topic, "--key-separator", ":", "--partition", "0", stdin="k:value\n")
    shown = run("consume", topic, *ALL, "--format", r"%t[%p]@%o %k(%K)=%s(%S) %%\x21\n")
    assert shown.out == f"{topic}[0]@0 k(1)=value(5) %!\n"


def test_partition_and_offset_choose_where_to_read(run: Run, topic: str) -> None:
    run("produce", topic, "--partition", "0", stdin="a\nb\nc\n")
    run("produce", topic, "--partition", "1", stdin="other\n")
    assert run("consume", topic, "--partition", "0", "--offset", "1", "--exit-at-end").out == "b\nc\n"
    assert run("consume", topic, "--partition", "0", "--offset", "-1", "--exit-at-end").out == "c\n"
    assert run("consume", topic, "--partition", "0", "--offset", "earliest", "--max-messages", "1").out == "a\n"
    outside = run("consume", topic, "--partition", "0", "--offset", "77")
    assert outside.code == 1
    assert "holds offsets 0 to 3" in outside.error_line


def test_idle_time_out_ends_a_consumer_in_good_order(run: Run, topic: str) -> None:
    ended = run("consume", topic, "--timeout-ms", "50")
    assert (ended.code, ended.out, ended.err) == (0, "", "")


def test_a_group_goes_on_where_it_stopped(run: Run, topic: str, name: str) -> None:
    run("produce", topic, "--partition", "0", stdin="a\nb\nc\n")
    group = ("--group", name, "--from-beginning")
    assert run("consume", topic, *group, "--max-messages", "2").out == "a\nb\n"
    assert run("consume", topic, *group, "--exit-at-end").out == "c\n"
    assert run("consume", topic, *group, "--exit-at-end").out == ""


def test_interrupted_group_member_commits_what_it_printed_and_leaves(
    run: Run, start: Start, topic: str, name: str
) -> None:
    run("produce", topic, "--partition", "0", stdin="a\nb\n")
    consumer = start("consume", topic, "--group", name, "--from-beginning")
    assert [consumer.read_line(), consumer.read_line()] == ["a", "b"]
    ended = consumer.interrupt()
    assert (ended.code, ended.err) == (130, "")
    [group] = run("groups", "describe", name, "--json").json
    assert group["state"] == "empty"  # left at once, not by session time-out
    assert [(row["partition"], row["committed_offset"]) for row in group["offsets"]] == [(0, 2)]


def test_interrupted_producer_sends_what_it_has_read(run: Run, start: Start, topic: str) -> None:
    consumer = start("consume", topic, "--from-beginning")
    producer = start("produce", topic, "--partition", "0")
    producer.write("typed\n")
    assert consumer.read_line() == "typed"
    ended = producer.interrupt()
    assert ended.code == 130
    assert ended.err.startswith("1 records delivered")
    assert consumer.interrupt().code == 130


def test_reader_that_stops_reading_is_no_error(run: Run, bootstrap: str, topic: str) -> None:
    run("produce", topic, stdin="".join(f"{number}\n" for number in range(50_000)))
    command = [sys.executable, "-P", "-m", "odradek", "consume", topic, "-b", bootstrap, "--from-beginning"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as consumer:
        assert consumer.stdout is not None
        assert consumer.stderr is not None
        consumer.stdout.readline()
        consumer.stdout.close()
        assert consumer.stderr.read() == b""
        assert consumer.wait(45) == 0


@pytest.mark.parametrize("options", [("--exit-at-end",), ("--group", "g")])
def test_consuming_an_unknown_topic_is_an_error(run: Run, name: str, options: tuple[str, ...]) -> None:
    failed = run("consume", name, *options)
    assert failed.code == 1
    assert f"can't find topic {name}" in failed.error_line
    assert name not in run("topics", "list").out.split()


def test_producing_to_an_unknown_topic_is_an_error_where_topics_are_not_created_on_request(
    own_broker: Callable[..., BrokerProcess], name: str
) -> None:
    there = own_broker(auto_create_topics_enable="false").bootstrap
    failed = run_command("produce", name, stdin="x\n", bootstrap=there)
    assert failed.code == 1
    assert f"can't find topic {name}" in failed.error_line


def test_producing_to_an_unknown_topic_creates_it_where_topics_are_created_on_request(
    own_broker: Callable[..., BrokerProcess], name: str
) -> None:
    there = own_broker(auto_create_topics_enable="true").bootstrap
    assert run_command("produce", name, stdin="x\n", bootstrap=there).code == 0
    assert run_command("consume", name, *ALL, bootstrap=there).out == "x\n"


def test_consumer_goes_on_after_its_broker_was_killed_and_started_again(
    own_broker: Callable[..., BrokerProcess], start: Start, name: str
) -> None:
    broker = own_broker()
    run_command("topics", "create", name, bootstrap=broker.bootstrap)
    run_command("produce", name, stdin="before\n", bootstrap=broker.bootstrap)
    consumer = start("consume", name, "--from-beginning", "-b", broker.bootstrap)
    assert consumer.read_line() == "before"
    broker.kill()
    broker.start()
    assert run_command("produce", name, stdin="after\n", bootstrap=broker.bootstrap).code == 0
    assert consumer.read_line() == "after"
    assert consumer.interrupt().code == 130


def test_unknown_partition_names_those_there_are(run: Run, topic: str) -> None:
    for command in (("produce", topic), ("consume", topic)):
        failed = run(*command, "--partition", "9", stdin="x\n")
        assert failed.code == 1
        assert f"topic {topic} has no partition 9; it has 2" in failed.error_line


def test_a_topic_name_that_none_may_have_is_one_line_with_the_code_once(run: Run) -> None:
    failed = run("produce", "bad topic!", stdin="x\n")
    assert failed.code == 1
    assert failed.error_line.count("INVALID_TOPIC_EXCEPTION") == 1


def test_bad_client_property_is_named(run: Run, topic: str) -> None:
    failed = run("produce", topic, "--property", "no.such=1", stdin="x\n")
    assert failed.code == 2
    assert "no.such" in failed.error_line


def test_progress_bar_goes_to_stderr_when_forced(run: Run, topic: str) -> None:
    shown = run("produce", topic, "--progress", stdin="a\n")
    assert shown.code == 0
    assert shown.out == ""
    assert "producing" in shown.err
