"""Copy the figures into docs/performance.md: whatever stands between a pair of markers is replaced by what the rows say.

python -m benches.versus.publish   also writes both RESULTS.md again from their rows. Nothing is measured.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benches.versus import report as broker_report
from benches.versus.charts import CHARTS
from benches.versus_clients import report as client_report
from benches.versus_clients.cases import FIGURES

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "performance.md"
BROKERS = ROOT / "benches" / "versus" / "results.jsonl"
CLIENTS = ROOT / "benches" / "versus_clients" / "results.jsonl"
SERIES = ROOT / "benches" / "versus" / "series.jsonl"
NOTHING = ["Not measured yet."]


def rows(file: Path) -> list[dict[str, Any]]:
    """Read rows; none when there is no file."""
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def blocks() -> dict[str, list[str]]:
    """Return the lines of each block by its name."""
    brokers, clients, series = rows(BROKERS), rows(CLIENTS), rows(SERIES)
    found = broker_report.lines(broker_report.measured(brokers))
    judged = broker_report.lines(broker_report.measured(clients), FIGURES, "client")
    measured = broker_report.measured(clients)
    return {
        "broker": [*broker_report.header(brokers, found), "", *broker_report.table(found)] if brokers else NOTHING,
        "clients": [
            *broker_report.header(clients, judged), "", *client_report.comparison(measured), "",
            *client_report.everyone(measured),
        ] if clients else NOTHING,
        "growth": [*broker_report.setting(series), "", *_images()] if series else NOTHING,
    }  # fmt: skip


def _images() -> list[str]:
    images = []
    for chart in CHARTS:
        panels = "; ".join(title for _, title in chart.panels)
        images += [f"### By {chart.sizes}", f"![{panels}, against {chart.sizes}](img/{chart.series}.svg)", ""]
    return images[:-1]


def markers(name: str) -> tuple[str, str]:
    """Return the lines that stand before and after a block."""
    return f"<!-- figures of {name}: written by make versus-publish -->", f"<!-- end of the figures of {name} -->"


def filled(text: str) -> str:
    """Return the page with its blocks replaced.

    Raises:
        ValueError: a marker is missing.
    """
    for name, lines in blocks().items():
        begin, end = markers(name)
        before, _, rest = text.partition(begin)
        _, found, after = rest.partition(end)
        if not found:
            raise ValueError(f"{PAGE} has no pair of markers for the figures of {name}")
        text = "\n".join([before + begin, "", *lines, "", end]) + after
    return text


def main() -> None:
    """Write the results again and fill the page."""
    for file, report in ((BROKERS, broker_report), (CLIENTS, client_report)):
        if found := rows(file):
            (file.parent / "RESULTS.md").write_text(report.markdown(found))
    PAGE.write_text(filled(PAGE.read_text()))


if __name__ == "__main__":
    main()
