"""The arithmetic of the benchmarks' tables: ratios within a round, medians, bars and aims. Nothing is measured here."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from benches.versus import report
from benches.versus.record import Record
from benches.versus.targets import FIGURES, Figure

if TYPE_CHECKING:
    from pathlib import Path

RATE = Figure("case", "rate", "rate/s", bar=1.5, aim=2.5, higher=True)
TIME = Figure("case", "time", "time, s", bar=0.2, aim_limit=0.05)


def rows(name: str, kafka: list[float], odradek: list[float]) -> list[dict[str, Any]]:
    both = {"kafka": kafka, "odradek": odradek}
    return [
        {"round": number, "broker": broker, "case": "case", name: value}
        for broker, values in both.items()
        for number, value in enumerate(values, 1)
    ]


def test_a_ratio_is_of_the_same_round_and_the_middle_one_counts() -> None:
    [line] = report.lines(rows("rate", [10, 100, 1000], [20, 300, 1500]), [RATE])
    assert line.ratios == (1.5, 2, 3)
    assert (line.ratio, line.theirs, line.ours) == (2, 100, 300)


def test_a_round_that_only_one_broker_finished_makes_no_ratio() -> None:
    [line] = report.lines(rows("rate", [10], [20, 30]), [RATE])
    assert line.ratios == (2,)


@pytest.mark.parametrize(("ours", "verdict"), [(14, "**missed**"), (15, "met"), (24, "met"), (25, "aim met")])
def test_a_rate_has_to_reach_its_multiple(ours: float, verdict: str) -> None:
    [line] = report.lines(rows("rate", [10], [ours]), [RATE])
    assert line.verdict == verdict


@pytest.mark.parametrize(
    ("kafka", "ours", "verdict"),
    [(1, 0.21, "**missed**"), (1, 0.2, "met"), (1, 0.04, "aim met"), (0.1, 0.04, "**missed**")],
)
def test_a_time_has_to_stay_under_its_share_and_its_limit(kafka: float, ours: float, verdict: str) -> None:
    [line] = report.lines(rows("time", [kafka], [ours]), [TIME])
    assert line.verdict == verdict


def test_a_bar_that_could_not_be_judged_is_not_met() -> None:
    [line] = report.lines(rows("rate", [], [20]), [RATE])
    assert line.verdict == "not measured"
    assert report.score([line]).startswith("0 of 1 bars")


def test_an_aim_without_a_bar_is_reported_and_never_missed() -> None:
    aim = Figure("case", "rate", "rate/s", aim=1.0, higher=True)
    assert [aim.verdict(ratio, 1) for ratio in (0.9, 1.0)] == ["short of the aim", "aim met"]
    assert Figure("case", "rate", "rate/s").verdict(0.1, 1) == ""


def test_the_score_counts_bars_and_names_the_missed_ones() -> None:
    found = report.lines(rows("rate", [10], [14]) + rows("time", [1], [0.01]), [RATE, TIME])
    assert report.score(found) == "1 of 2 bars are met, 1 of 2 aims; missed: case (rate/s)"


def test_the_markdown_shows_every_line_and_what_failed() -> None:
    measured = rows("mb_s", [10], [20])
    for row in measured:
        row["case"] = "produce 64 x 1024 B, 6 connections, 5 in flight"
    failed = {"round": 1, "broker": "kafka", "case": "crash", "failed": "no"}
    text = report.markdown([*measured, failed, {"case": "about", "about": {"date": "today"}}])
    assert "- date: today" in text
    assert "0 of 2 runs were disturbed" in text
    assert "| 10 | 20 | 2 (2-2, 1) | ≥ 1.5x | ≥ 2x | aim met |" in text
    assert "- round 1, kafka, crash: no" in text


def test_every_figure_of_issue_rows_has_a_way_to_be_judged() -> None:
    for figure in FIGURES:
        assert not (figure.bar is not None and figure.bar_limit is not None), figure
        assert not (figure.aim is not None and figure.aim_limit is not None), figure


def test_kept_rows_stay_until_their_case_is_measured_again(tmp_path: Path) -> None:
    file = tmp_path / "results.jsonl"
    file.write_text("".join(json.dumps({"case": case, "round": 1}) + "\n" for case in ("a", "b", "a")))
    record = Record(file, keep=True)
    record({"case": "a", "round": 2})
    record({"case": "c", "round": 2})
    assert [json.loads(line)["case"] for line in file.read_text().splitlines()] == ["b", "a", "c"]
    record.about(rounds=2, quick=True, broker="x")
    last = json.loads(file.read_text().splitlines()[-1])["about"]
    assert (last["session"], last["broker"], last["kept"]) == (
        "2 rounds, quick",
        "x",
        "1 rows are of an earlier session",
    )
    Record(file)
    assert file.read_text() == ""
