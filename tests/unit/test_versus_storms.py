"""Storms and probes without a broker: what is divided by what, and what a storm that is none does to a case."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from benches.versus.brokers import Odradek
from benches.versus.cases import storms
from benches.versus.session import RunFailedError


def program(*lines: str) -> list[str]:
    return [sys.executable, "-c", "\n".join(("import sys", *lines))]


BEGIN = 'print("storming", file=sys.stderr, flush=True)'
SAY = "print('{\"requests_s\": 7}')"


def test_a_probe_in_a_storm_is_held_against_its_own_calm() -> None:
    calm = {"produce": {"p50_us": 50, "p99_us": 100}, "fetch": {"p50_us": 50, "p99_us": 200}}
    stormy = {"produce": {"p50_us": 60, "p99_us": 150}, "fetch": {"p50_us": 70, "p99_us": 100}}
    found = storms.against(calm, stormy)
    assert found["produce_p99_over_calm"] == 1.5
    assert found["fetch_p99_over_calm"] == 0.5
    assert found["fetch_p50_us"] == 70


def test_one_spoiled_turn_does_not_spoil_a_round() -> None:
    assert storms.medians(
        [{"p99_us": 300, "p50_us": 3}, {"p99_us": 50_000, "p50_us": 1}, {"p99_us": 310, "p50_us": 2}]
    ) == {
        "p99_us": 310,
        "p50_us": 2,
    }


def test_a_probe_without_an_answer_says_the_length_of_its_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    words = {
        "produce": program('sys.exit("odradek-loadgen: nothing was answered after the warm-up")'),
        "fetch": program("print('{\"p99_us\": 3}')"),
    }
    monkeypatch.setattr(storms, "_probe", lambda _session, kind, _data, _seconds: words[kind])
    found = storms.probes(None, "t", 2)  # type: ignore[arg-type]  # the session only goes to what is replaced
    assert found == {"produce": {"p50_us": 2_000_000, "p99_us": 2_000_000}, "fetch": {"p99_us": 3}}


def test_a_probe_that_meets_an_error_ends_the_case_with_its_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storms, "_probe", lambda *_: program('sys.exit("error 87")'))
    with pytest.raises(RunFailedError, match="error 87"):
        storms.probes(None, "t", 2)  # type: ignore[arg-type]  # as above


def test_the_rate_of_a_storm_is_known_after_the_block() -> None:
    with storms.blowing(program(BEGIN, "sys.stdin.readline()", SAY)) as seen:
        assert seen == {}
    assert seen == {"storm_requests_s": 7}


def test_a_storm_that_does_not_begin_is_an_error_with_its_words() -> None:
    storm = program('print("no such group", file=sys.stderr)', "sys.exit(1)")
    with pytest.raises(RunFailedError, match="no such group"), storms.blowing(storm):
        pytest.fail("there is no storm")


def test_a_storm_that_ends_in_an_error_spoils_the_probes() -> None:
    storm = program(BEGIN, "sys.stdin.readline()", 'print("error 25", file=sys.stderr)', "sys.exit(1)")
    with pytest.raises(RunFailedError, match="error 25"), storms.blowing(storm):
        pass


def test_every_storm_has_a_row_for_its_rate_and_for_what_the_probes_suffer() -> None:
    from benches.versus.targets import FIGURES

    for storm in storms.STORMS:
        cases = [f"{storm.name}, {storms.MEMBERS} clients", f"probes beside {storm.name} flat out"]
        for case, name in zip(cases, ("requests_s", "fetch_p99_over_calm"), strict=True):
            assert [figure for figure in FIGURES if figure.matches(case) and figure.name == name]


def test_a_storm_beside_probes_gives_way_to_every_other_thread() -> None:
    ask = [*storms.LAST, sys.executable, "-c", "import os; print(os.sched_getscheduler(0))"]
    said = subprocess.run(ask, check=True, capture_output=True, text=True).stdout
    assert int(said) == os.SCHED_IDLE


def test_a_broker_is_in_the_session_of_its_clients_but_not_in_their_process_group(tmp_path: Path) -> None:
    broker = Odradek(
        tmp_path, 1, [sys.executable, "-c", "import os; print(os.getsid(0), os.getpgid(0) == os.getpid())"]
    )
    broker.start()
    assert broker.process is not None
    broker.process.wait(30)
    assert (broker.folder / "out.log").read_text().split() == [str(os.getsid(0)), "True"]
