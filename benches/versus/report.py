"""From the rows of a session to a table: medians, ratios within a round, spread, and whether the bound holds."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, Any

from benches.versus.targets import FIGURES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Row = dict[str, Any]


def _short(value: float) -> str:
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def _by_round(rows: Iterable[Row], broker: str, case: str, name: str) -> dict[int, float]:
    mine = [row for row in rows if row["broker"] == broker and row["case"] == case and name in row]
    return {row["round"]: float(row[name]) for row in mine}


def table(rows: list[Row]) -> list[str]:
    """Lines of a Markdown table."""
    head = "| case | figure | Kafka | odradek | ratio (lowest-highest, rounds) | bound | holds |"
    lines = [head, "|---|---|---|---|---|---|---|"]
    for case in dict.fromkeys(row["case"] for row in rows):
        for figure in FIGURES:
            if not figure.matches(case):
                continue
            kafka = _by_round(rows, "kafka", case, figure.name)
            ours = _by_round(rows, "odradek", case, figure.name)
            if not kafka and not ours:
                continue
            ratios = sorted(ours[each] / kafka[each] for each in ours.keys() & kafka.keys() if kafka[each])
            middle = statistics.median(ratios) if ratios else None
            spread = f"{_short(middle)} ({_short(ratios[0])}-{_short(ratios[-1])}, {len(ratios)})" if middle else ""
            holds = figure.holds(middle, statistics.median(ours.values())) if ours else None
            cells = [
                case,
                figure.title,
                _short(statistics.median(kafka.values())) if kafka else "-",
                _short(statistics.median(ours.values())) if ours else "-",
                spread,
                figure.bound(),
                "" if holds is None else "yes" if holds else "**no**",
            ]
            lines.append(f"| {' | '.join(cells)} |")
    return lines


def failures(rows: Iterable[Row]) -> list[str]:
    """Lines on what could not be measured."""
    return [
        f"- round {row['round']}, {row['broker']}, {row['case']}: {row['failed']}" for row in rows if "failed" in row
    ]


def markdown(rows: list[Row], about: Mapping[str, str]) -> str:
    """Build the whole of RESULTS.md."""
    measured = [row for row in rows if "failed" not in row]
    disturbed = sum(bool(row.get("disturbed")) for row in measured)
    parts = [
        "# Apache Kafka and odradek, measured side by side",
        "",
        "Written by `make versus`; the rows as they came are in `results.jsonl` beside this file.",
        "",
        *(f"- {name}: {value}" for name, value in about.items()),
        f"- {disturbed} of {len(measured)} runs were disturbed (others used more than an eighth of the machine)",
        "",
        "Figures are medians over the rounds. A ratio is odradek's figure over Kafka's of the same round (median, lowest and",
        "highest over the rounds). Client and broker share the machine over loopback; everything is hot in the page cache.",
        "GB is 10^9 bytes, MB of memory 2^20.",
        "",
        *table(measured),
    ]
    if failed := failures(rows):
        parts += ["", "## Not measured", "", *failed]
    return "\n".join(parts) + "\n"
