"""`odradek groups` against a broker."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from cli_support import Outcome, Running

Run = Callable[..., Outcome]
Start = Callable[..., Running]


@pytest.fixture
def group(run: Run, topic: str, name: str) -> str:
    """Return a group that has read 10 records of partition 0 and 4 of partition 1 of `topic`, and has no member now."""
    for partition, count in (("0", 10), ("1", 4)):
        lines = "".join(f"{number}\n" for number in range(count))
        assert run("produce", topic, "--partition", partition, stdin=lines).code == 0
    read = run("consume", topic, "--group", name, "--from-beginning", "--max-messages", "14")
    assert len(read.out.splitlines()) == 14
    return name


def _committed(run: Run, group: str) -> dict[int, int]:
    [described] = run("groups", "describe", group, "--json").json
    return {row["partition"]: row["committed_offset"] for row in described["offsets"]}


def _planned(outcome: Outcome) -> dict[int, int]:
    assert outcome.code == 0, outcome.err
    return {row["partition"]: row["new_offset"] for row in outcome.json["offsets"]}


def test_listed_by_name_and_state(run: Run, group: str) -> None:
    rows = {row["group"]: row["state"] for row in run("groups", "list", "--json").json}
    assert rows[group] == "empty"
    assert group in run("groups", "list", "--state", "empty").out
    assert group not in run("groups", "list", "--state", "stable").out


def test_describe_shows_offsets_and_lag(run: Run, topic: str, group: str) -> None:
    run("produce", topic, "--partition", "1", stdin="new\n")
    [described] = run("groups", "describe", group, "--json").json
    rows = [(row["partition"], row["committed_offset"], row["end_offset"], row["lag"]) for row in described["offsets"]]
    assert rows == [(0, 10, 10, 0), (1, 4, 5, 1)]
    assert described["lag"] == 1
    assert described["members"] == []


def test_the_lag_of_a_group_that_has_committed_nothing_is_not_known(
    run: Run, start: Start, topic: str, name: str
) -> None:
    run("produce", topic, "--partition", "0", stdin="a\n")
    member = start(
        "consume", topic, "--group", name, "--from-beginning", "--property", "auto.commit.interval.ms=600000"
    )
    assert member.read_line() == "a"
    [described] = run("groups", "describe", name, "--json").json
    assert [row["lag"] for row in described["offsets"]] == [None, None]
    assert described["lag"] is None
    assert run("groups", "describe", name).out.splitlines()[0].endswith("Lag: -")
    member.interrupt()


def test_describe_shows_members_and_what_they_have(run: Run, start: Start, topic: str, name: str) -> None:
    run("produce", topic, "--partition", "0", stdin="a\n")
    member = start("consume", topic, "--group", name, "--from-beginning")
    assert member.read_line() == "a"
    [described] = run("groups", "describe", name, "--json").json
    assert described["state"] == "stable"
    [shown] = described["members"]
    assert shown["partitions"] == [[topic, 0], [topic, 1]]
    assert {row["member_id"] for row in described["offsets"]} == {shown["member_id"]}
    member.interrupt()


def test_unknown_group_is_an_error(run: Run, name: str) -> None:
    failed = run("groups", "describe", name)
    assert failed.code == 1
    assert f"there is no group {name}" in failed.error_line


@pytest.mark.parametrize(
    ("way", "planned"),
    [
        (("--to-earliest",), {0: 0, 1: 0}),
        (("--to-latest",), {0: 10, 1: 4}),
        (("--to-current",), {0: 10, 1: 4}),
        (("--to-offset", "3"), {0: 3, 1: 3}),
        (("--to-offset", "7"), {0: 7, 1: 4}),
        (("--shift-by", "-4"), {0: 6, 1: 0}),
        (("--shift-by", "5"), {0: 10, 1: 4}),
        (("--by-duration", "PT1H"), {0: 0, 1: 0}),
        (("--by-duration", "PT0S"), {0: 10, 1: 4}),
        (("--to-datetime", "2000-01-01T00:00:00"), {0: 0, 1: 0}),
        (("--to-datetime", "2999-01-01T00:00:00+01:00"), {0: 10, 1: 4}),
    ],
)
def test_every_way_plans_its_offsets_and_changes_nothing(
    run: Run, topic: str, group: str, way: tuple[str, ...], planned: dict[int, int]
) -> None:
    assert _planned(run("groups", "reset-offsets", group, "--topic", topic, *way, "--json")) == planned
    assert _committed(run, group) == {0: 10, 1: 4}


def test_execute_commits_the_plan_and_the_group_reads_from_there(run: Run, topic: str, group: str) -> None:
    assert run("groups", "reset-offsets", group, "--topic", f"{topic}:0", "--shift-by", "-2", "--execute").code == 0
    assert _committed(run, group) == {0: 8, 1: 4}
    assert run("consume", topic, "--group", group, "--exit-at-end").out == "8\n9\n"


def test_to_datetime_finds_the_first_record_at_or_after_it(run: Run, topic: str, group: str) -> None:
    after = time.time()
    run("produce", topic, "--partition", "0", stdin="later\n")
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(after)) + f".{int(after % 1 * 1000):03}"
    plan = _planned(run("groups", "reset-offsets", group, "--topic", topic, "--to-datetime", stamp, "--json"))
    assert plan == {0: 10, 1: 4}


def test_exported_offsets_can_be_read_back(run: Run, topic: str, group: str, tmp_path: Path) -> None:
    file = str(tmp_path / "offsets.csv")
    assert run("groups", "reset-offsets", group, "--all-topics", "--to-current", "--export", file).code == 0
    assert Path(file).read_text() == f"{topic},0,10\n{topic},1,4\n"
    run("groups", "reset-offsets", group, "--all-topics", "--to-earliest", "--execute")
    assert _committed(run, group) == {0: 0, 1: 0}
    assert run("groups", "reset-offsets", group, "--from-file", file, "--execute").code == 0
    assert _committed(run, group) == {0: 10, 1: 4}


def test_group_with_members_is_not_reset(run: Run, start: Start, topic: str, group: str) -> None:
    member = start("consume", topic, "--group", group)
    run("groups", "reset-offsets", group, "--topic", topic, "--to-current")
    run("produce", topic, "--partition", "0", stdin="now\n")
    assert member.read_line() == "now"
    refused = run("groups", "reset-offsets", group, "--all-topics", "--to-earliest", "--execute")
    assert refused.code == 1
    assert "stop its members first" in refused.error_line
    assert run("groups", "delete", group).code == 1
    busy = run("groups", "delete-offsets", group, "--topic", topic)
    assert busy.code == 1
    assert "GROUP_SUBSCRIBED_TO_TOPIC" in busy.error_line
    member.interrupt()


def test_deleted_offsets_are_forgotten_one_by_one(run: Run, topic: str, group: str) -> None:
    deleted = run("groups", "delete-offsets", group, "--topic", f"{topic}:1")
    assert (deleted.code, deleted.out) == (0, f"deleted the offset of {topic}-1\n")
    assert _committed(run, group) == {0: 10}


def test_deleting_offsets_of_an_unknown_group_fails(run: Run, topic: str, name: str) -> None:
    failed = run("groups", "delete-offsets", f"{name}-none", "--topic", topic)
    assert failed.code == 1
    assert "GROUP_ID_NOT_FOUND" in failed.error_line


def test_deleted_group_is_gone(run: Run, group: str) -> None:
    assert run("groups", "delete", group).out == f"deleted group {group}\n"
    assert run("groups", "describe", group).code == 1
    again = run("groups", "delete", group)
    assert again.code == 1
    assert "GROUP_ID_NOT_FOUND" in again.error_line


def test_a_group_without_commits_needs_topics_named(run: Run, topic: str, name: str) -> None:
    failed = run("groups", "reset-offsets", name, "--all-topics", "--to-latest")
    assert failed.code == 1
    assert "name --topic" in failed.error_line
    assert run("groups", "reset-offsets", name, "--topic", topic, "--to-latest", "--execute").code == 0
    assert _committed(run, name) == {0: 0, 1: 0}
