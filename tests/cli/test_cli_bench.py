"""`odradek bench`: what it counts is what the cluster has; wrong use is told."""

from collections.abc import Callable

import pytest
from cli_support import Outcome, Running

import odradek
from odradek.cli.meter import Meter, percentiles

Run = Callable[..., Outcome]
Start = Callable[..., Running]


def test_what_bench_produce_sends_bench_consume_reads(run: Run, topic: str) -> None:
    sent = run("bench", "produce", topic, "--records", "5000", "--record-size", "50", "--compression", "lz4", "--json")
    assert sent.code == 0, sent.err
    assert (sent.json["records"], sent.json["failed"]) == (5000, 0)
    assert sent.json["records_per_second"] > 0
    assert sent.json["latency_ms"]["p50"] <= sent.json["latency_ms"]["p99"] <= sent.json["latency_ms"]["max"]
    read = run("bench", "consume", topic, "--records", "5000", "--json")
    assert read.code == 0, read.err
    assert read.json["records"] == 5000
    assert read.json["mb_per_second"] > 0


def test_a_rate_is_kept_to(run: Run, topic: str) -> None:
    sent = run("bench", "produce", topic, "--records", "300", "--rate", "1000", "--acks", "1", "--json")
    assert sent.code == 0, sent.err
    assert sent.json["seconds"] >= 299 / 1000


def test_a_group_reads_the_same_records(run: Run, topic: str, name: str) -> None:
    assert run("bench", "produce", topic, "--records", "100", "--quiet").code == 0
    read = run("bench", "consume", topic, "--records", "100", "--group", name)
    assert read.code == 0, read.err
    assert read.out.startswith("100 records read in ")


@pytest.mark.parametrize("group", [(), ("--group", "g")], ids=["alone", "group"])
def test_the_time_of_reading_has_the_first_fetch_in_it(offline: Run, group: tuple[str, ...]) -> None:
    """It began after the first poll, whose records were counted: 100 records came in no time at all."""
    with odradek.Broker() as broker:
        with odradek.Producer(broker.bootstrap_servers) as producer:
            producer.send_many("t", [b"x"] * 100)
        broker.faults.delay("Fetch", seconds=0.3, times=1)
        read = offline("bench", "consume", "t", *group, "--records", "100", "--json", "-b", broker.bootstrap_servers)
    assert read.code == 0, read.err
    assert read.json["seconds"] >= 0.3


def test_a_round_trip_measures_each_record(run: Run, topic: str) -> None:
    passed = run("bench", "roundtrip", topic, "--records", "50", "--json")
    assert passed.code == 0, passed.err
    assert passed.json["records"] == 50
    assert passed.json["latency_ms"]["max"] > 0


def test_an_unknown_option_of_the_client_is_told(run: Run, topic: str) -> None:
    failed = run("bench", "produce", topic, "--records", "1", "--property", "linger.msec=5")
    assert failed.code == 2
    assert "linger.msec" in failed.error_line


@pytest.mark.parametrize("command", [("produce", "--rate", "1000"), ("roundtrip",)], ids=lambda command: command[0])
def test_ctrl_c_ends_a_run_whose_broker_no_longer_answers_and_shows_its_figures(
    start: Start, command: tuple[str, ...]
) -> None:
    """It took three of them: the first was only noted, the second ended the wait for room, the third that of closing."""
    with odradek.Broker() as broker:
        running = start("bench", *command, "t", "--records", "100000000", "-b", broker.bootstrap_servers)
        assert running.process.stderr is not None
        assert b"records/s" in running.process.stderr.readline()
        broker.faults.pause()
        ended = running.interrupt()
        broker.faults.resume()
    assert ended.code == 130, ended.err
    assert " records " in ended.out


def test_ctrl_c_ends_a_reading_group_member_whose_broker_no_longer_answers(start: Start) -> None:
    """It showed its figures at once, and then waited for `--timeout` to commit and to leave."""
    with odradek.Broker() as broker:
        with odradek.Producer(broker.bootstrap_servers) as producer:
            producer.send("t", b"x")
        reading = ("bench", "consume", "t", "--group", "g", "--records", "100", "--timeout", "600")
        running = start(*reading, "-b", broker.bootstrap_servers)
        assert running.process.stderr is not None
        while not (progress := running.process.stderr.readline()).startswith(b"1 of 100 records read"):
            assert progress  # it has not ended
        broker.faults.pause()
        ended = running.interrupt()
        broker.faults.resume()
    assert ended.code == 130, ended.err
    assert ended.out.startswith("1 records read in ")
    assert "group g: closing ran out of time" in ended.err


def test_records_that_no_broker_took_are_told_with_the_reason_and_the_cure(offline: Run) -> None:
    with odradek.Broker() as broker:
        broker.faults.fail("Produce", "NOT_LEADER_OR_FOLLOWER", times=None)
        impatient = ("--property", "delivery.timeout.ms=300", "--property", "request.timeout.ms=200")
        failed = offline(
            "bench", "produce", "t", "--records", "10", "--quiet", *impatient, "-b", broker.bootstrap_servers
        )
    assert failed.code == 1
    assert "10 records were not delivered: " in failed.error_line
    assert "odradek doctor" in failed.error_line


def test_a_record_that_is_too_large_is_not_blamed_on_the_broker(run: Run, topic: str) -> None:
    failed = run("bench", "produce", topic, "--records", "1", "--record-size", "2000000", "--quiet")
    assert failed.code == 1
    assert "max_request_size" in failed.error_line
    assert "doctor" not in failed.error_line


def test_reading_a_topic_that_is_not_there_is_told_at_once(run: Run, name: str) -> None:
    failed = run("bench", "consume", name)
    assert failed.code == 1
    assert f"can't find topic {name}" in failed.error_line


@pytest.mark.parametrize("command", ["produce", "consume", "roundtrip"])
def test_a_server_that_is_no_broker_is_told_within_the_time_out(offline: Run, silent_server: str, command: str) -> None:
    """Each took a minute, whatever --timeout said."""
    failed = offline("bench", command, "t", "-b", silent_server, "--timeout", "1")
    assert failed.code == 1
    assert "did not answer" in failed.error_line


def test_no_broker_is_one_line(offline: Run) -> None:
    failed = offline("bench", "produce", "t", "--timeout", "1")
    assert failed.code == 1
    assert "can't reach" in failed.error_line


def test_percentiles_are_nearest_rank() -> None:
    assert percentiles([]) == {}
    assert percentiles([7.0]) == dict.fromkeys(("mean", "p50", "p95", "p99", "p99.9", "max"), 7.0)
    assert percentiles([1.0, 2.0])["p50"] == 1.0
    assert percentiles([float(number) for number in range(1, 1001)]) == {
        "mean": 500.5, "p50": 500.0, "p95": 950.0, "p99": 990.0, "p99.9": 999.0, "max": 1000.0
    }  # fmt: skip


@pytest.mark.parametrize("failed", [0, 3])
def test_the_summary_says_what_failed(failed: int) -> None:
    meter = Meter("sent", 10, records=10 - failed, bytes=100, failed=failed)
    meter.end()
    assert ("3 failed" in meter.summary()) == bool(failed)
