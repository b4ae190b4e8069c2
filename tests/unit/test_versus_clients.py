"""The clients' comparison before anything is measured: its cases, its counting, its tables."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest
from benches.versus_clients import drive, report
from benches.versus_clients.cases import CASES, FIGURES, LIMIT
from benches.versus_clients.job import BATCH_BYTES, Job, Sizes

DRIVERS = Path(drive.__file__).parent / "drivers"


def workloads(module: str) -> set[str]:
    """Names in a driver's WORKLOADS, read without importing the library that it drives."""
    for node in ast.parse((DRIVERS / f"{module}.py").read_text()).body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Dict):
            names = [getattr(target, "id", "") for target in node.targets]
            if names == ["WORKLOADS"]:
                return {key.value for key in node.value.keys if isinstance(key, ast.Constant)}
    raise AssertionError(module)


@pytest.mark.parametrize("case", CASES.values(), ids=lambda case: case.name)
def test_each_library_of_a_case_has_its_workload(case) -> None:
    for library, workload in case.workloads.items():
        if library != LIMIT:
            assert workload in workloads(drive.MODULES[library])


@pytest.mark.parametrize("case", CASES.values(), ids=lambda case: case.name)
def test_each_case_is_judged_against_a_library_that_runs_in_it(case) -> None:
    mine = [figure for figure in FIGURES if figure.matches(case.name)]
    assert any(figure.say_bar() for figure in mine)
    for figure in mine:
        assert figure.peer in case.workloads


def test_what_is_written_is_of_the_size_that_is_reported() -> None:
    for size, codec in ((100, "none"), (1024, "zstd")):
        values = Job("localhost:1", "t", size, 1.0, codec, 1).values()
        assert {len(value) for value in values} == {size}
        assert len(set(values)) == len(values) >= 500
    assert sum(map(len, values)) > 4 * BATCH_BYTES, "no line comes twice in a batch"


@pytest.mark.parametrize(
    ("key", "value"), [(b"12345678", None), (None, b"1" * 100), (b"12345678", b""), ("12345678", b"1" * 100)]
)
def test_a_loop_that_does_not_read_what_was_written_is_no_run(key, value) -> None:
    sizes = Sizes(8, 100)
    sizes.check(b"12345678", b"1" * 100)
    with pytest.raises(SystemExit, match="were written"):
        sizes.check(key, value)


def test_ratios_are_against_the_peer_of_the_row_and_every_library_is_shown() -> None:
    case = CASES["send"].name
    rates = {"odradek": 300.0, "confluent-kafka": 100.0, "kafka-python": 10.0}
    rows = [{"round": 1, "client": client, "case": case, "records_s": rate} for client, rate in rates.items()]
    text = report.markdown(rows)
    assert f"| {case} | records/s | 100 | 300 | 3 (3-3, 1) | ≥ 2x |  | met | confluent-kafka |" in text
    assert f"| {case} | kafka-python | 10 |  |  |  |  |" in text


def test_a_client_that_failed_is_told_and_leaves_its_bar_unmeasured() -> None:
    case = CASES["poll"].name
    rows = [
        {"round": 1, "client": "odradek", "case": case, "failed": "RunFailedError: no"},
        {"round": 1, "client": "confluent-kafka", "case": case, "records_s": 5.0},
    ]
    text = report.markdown(rows)
    assert "not measured" in text
    assert f"- round 1, odradek, {case}: RunFailedError: no" in text


def test_a_job_survives_its_way_to_the_driver() -> None:
    from benches.versus_clients.__main__ import drive as command

    job = Job("localhost:1", "t", 100, 1.5, "lz4", 7)
    words = command("aiokafka", "send", job)
    assert Job(**json.loads(words[-1])) == job
