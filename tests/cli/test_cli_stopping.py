"""Stopping `odradek consume` while it waits for its broker: one Ctrl-C, and an end in bounded time.

How one ends that need not wait is in `test_cli_records.py`.
"""

import signal
from collections.abc import Callable
from typing import Any

import pytest
from cli_support import Outcome, Running, run_command
from support.broker import BrokerProcess

from odradek import Consumer

Run = Callable[..., Outcome]
Start = Callable[..., Running]
PATIENT = ("--timeout", "600")
GRACE = 3.0


def _in_a_group(name: str) -> tuple[str, ...]:
    return ("consume", name, "--group", name, "--from-beginning", *PATIENT)


def test_one_ctrl_c_ends_a_group_member_whose_broker_stands_still(
    own_broker: Callable[..., BrokerProcess], start: Start, name: str
) -> None:
    """It waited for `--timeout` twice, for the commit and to leave, and said nothing meanwhile."""
    broker = own_broker()
    run_command("topics", "create", name, bootstrap=broker.bootstrap)
    run_command("produce", name, stdin="a\n", bootstrap=broker.bootstrap)
    consumer = start(*_in_a_group(name), "-b", broker.bootstrap)
    assert consumer.read_line() == "a"
    broker.pause()
    ended = consumer.interrupt()
    assert ended.code == 1
    left, told = ended.err.splitlines()
    assert left == f"group {name}: closing ran out of time; the group will notice that this member is gone"
    assert told.startswith("odradek: the last records are not known to be committed, and may be read again: ")
    assert f"not done within {GRACE:g} s" in told


class Calls:
    """Has a method of the consumer note how long it may wait; the first time it waits until Ctrl-C ends it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
        self.timeouts: list[float] = []
        original = getattr(Consumer, name)

        def call(consumer: Consumer, *arguments: Any, timeout: float) -> Any:
            self.timeouts.append(timeout)
            if len(self.timeouts) == 1:
                signal.raise_signal(signal.SIGINT)
                pytest.fail(f"Ctrl-C did not end {name}")
            return original(consumer, *arguments, timeout=timeout)

        monkeypatch.setattr(Consumer, name, call)


def test_ctrl_c_while_a_commit_is_waited_for_commits_once_more_in_bounded_time(
    run: Run, topic: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first Ctrl-C was only noted until the commit was over."""
    run("produce", topic, "--partition", "0", stdin="a\nb\n")
    commits = Calls(monkeypatch, "commit")
    ended = run("consume", topic, "--group", name, "--from-beginning", *PATIENT, "--max-messages", "2")
    assert ended == Outcome(130, "a\nb\n", "")
    assert commits.timeouts == [600.0, GRACE]
    [group] = run("groups", "describe", name, "--json").json
    assert (group["state"], [row["committed_offset"] for row in group["offsets"]]) == ("empty", [2])


def test_ctrl_c_while_the_end_is_looked_for_ends_the_command(
    run: Run, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = Calls(monkeypatch, "position")
    assert run("consume", topic, "--from-beginning", "--exit-at-end", *PATIENT) == Outcome(130, "", "")
    assert asked.timeouts == [600.0]


def test_a_second_ctrl_c_does_not_wait_for_the_last_commit(
    run: Run, topic: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("produce", topic, "--partition", "0", stdin="a\n")
    commits: list[float] = []

    def commit(_consumer: Consumer, _offsets: object, *, timeout: float) -> None:
        commits.append(timeout)
        signal.raise_signal(signal.SIGINT)
        pytest.fail("Ctrl-C did not end the commit")

    monkeypatch.setattr(Consumer, "commit", commit)
    ended = run("consume", topic, "--group", name, "--from-beginning", *PATIENT, "--max-messages", "1")
    assert ended == Outcome(130, "a\n", "")
    assert commits == [600.0, GRACE]
