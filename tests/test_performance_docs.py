"""docs/performance.md held to the rows that were measured, to the Makefile, and to files that exist."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from benches.versus import publish
from benches.versus import report as broker_report
from benches.versus.cases import LIFE, LOAD
from benches.versus.charts import CHARTS
from benches.versus_clients import report as client_report

ROOT = Path(__file__).resolve().parent.parent
TEXT = publish.PAGE.read_text(encoding="utf-8")
LINKS = [link for link in re.findall(r"\]\(([^)#\s]+)", TEXT) if "://" not in link]
COMMANDS = sorted(set(re.findall(r"`make ([a-z-]+)", TEXT)))


def test_tables_are_what_the_rows_say() -> None:
    assert publish.filled(TEXT) == TEXT, "run `make versus-publish`"


@pytest.mark.parametrize(("file", "report"), [(publish.BROKERS, broker_report), (publish.CLIENTS, client_report)])
def test_results_are_what_their_rows_say(file: Path, report: Any) -> None:
    results = file.parent / "RESULTS.md"
    assert results.exists() == file.exists()
    if file.exists():
        assert results.read_text(encoding="utf-8") == report.markdown(publish.rows(file)), "run `make versus-publish`"


@pytest.mark.parametrize("name", ["broker", "clients", "growth"])
def test_a_page_without_a_pair_of_markers_is_refused(name: str) -> None:
    _, end = publish.markers(name)
    with pytest.raises(ValueError, match=name):
        publish.filled(TEXT.replace(end, ""))


@pytest.mark.parametrize("link", LINKS)
def test_link_and_image_of_the_page_exist(link: str) -> None:
    assert (publish.PAGE.parent / link).exists()


def test_every_chart_is_shown_once_there_are_points() -> None:
    shown = {Path(link).stem for link in LINKS if link.startswith("img/")}
    assert shown == ({chart.series for chart in CHARTS} if publish.SERIES.exists() else set())


@pytest.mark.parametrize("command", COMMANDS)
def test_command_of_the_page_is_in_the_makefile(command: str) -> None:
    assert re.search(rf"^{command}:.*## ", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)


@pytest.mark.parametrize("page", ["docs/performance.md", "README.md"])
def test_cases_that_a_page_tells_to_run_exist(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    for command in re.findall(r'VERSUS="([^"]*)"', text):
        for names in re.findall(r"--only ([a-z,-]+)", command):
            assert set(names.split(",")) <= {*LIFE, *LOAD}


def test_files_named_in_code_spans_exist() -> None:
    for span in re.findall(r"`((?:benches|rust|docs)/[\w./-]+)`", TEXT):
        assert (ROOT / span).exists() or span.endswith(("results.jsonl", "RESULTS.md", "series.jsonl")), span
