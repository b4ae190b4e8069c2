"""From the rows of a session to a table: medians, ratios within a round, spread, and whether bar and aim hold.

Used by both comparisons: rows are of a broker here (column `broker`), of a client in `benches.versus_clients`.
"""

from __future__ import annotations

import dataclasses
import statistics
from typing import TYPE_CHECKING, Any

from benches.versus.targets import FIGURES

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from benches.versus.targets import Figure

Row = dict[str, Any]
ABOUT = "about"
"""The case of the row that says what was measured, when and on what."""
HEAD = ("case", "figure", "Kafka", "odradek", "ratio (lowest-highest, rounds)", "bar", "aim", "verdict")


@dataclasses.dataclass(frozen=True)
class Line:
    """One figure of one case over all rounds."""

    case: str
    figure: Figure
    theirs: float | None
    ours: float | None
    ratios: tuple[float, ...]

    @property
    def ratio(self) -> float | None:
        """The middle one."""
        return statistics.median(self.ratios) if self.ratios else None

    @property
    def verdict(self) -> str:
        """See `Figure.verdict`."""
        return self.figure.verdict(self.ratio, self.ours)

    def cells(self) -> list[str]:
        """Return what the table shows, in the order of `HEAD`."""
        ratio = self.ratio
        spread = f"({short(self.ratios[0])}-{short(self.ratios[-1])}, {len(self.ratios)})" if self.ratios else ""
        return [
            self.case,
            self.figure.title,
            "-" if self.theirs is None else short(self.theirs),
            "-" if self.ours is None else short(self.ours),
            "" if ratio is None else f"{short(ratio)} {spread}",
            self.figure.say_bar(),
            self.figure.say_aim(),
            self.verdict,
        ]


def short(value: float) -> str:
    """Three digits that count."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _by_round(rows: Iterable[Row], column: str, who: str, case: str, name: str) -> dict[int, float]:
    mine = [row for row in rows if row.get(column) == who and row["case"] == case and name in row]
    return {row["round"]: float(row[name]) for row in mine}


def lines(rows: Sequence[Row], figures: Sequence[Figure] = FIGURES, column: str = "broker") -> list[Line]:
    """Put the rounds together; in the order in which the cases were first run."""
    found = []
    for case in dict.fromkeys(row["case"] for row in rows):
        for figure in figures:
            if not figure.matches(case):
                continue
            theirs = _by_round(rows, column, figure.peer, case, figure.name)
            ours = _by_round(rows, column, "odradek", case, figure.name)
            if not theirs and not ours:
                continue
            ratios = sorted(ours[each] / theirs[each] for each in ours.keys() & theirs.keys() if theirs[each])
            middle = [statistics.median(each.values()) if each else None for each in (theirs, ours)]
            found.append(Line(case, figure, middle[0], middle[1], tuple(ratios)))
    return found


def table(found: Iterable[Line], head: Sequence[str] = HEAD) -> list[str]:
    """Lines of a Markdown table."""
    rows = [f"| {' | '.join(line.cells())} |" for line in found]
    return [f"| {' | '.join(head)} |", "|---" * len(head) + "|", *rows]


def score(found: Sequence[Line]) -> str:
    """Count the bars and aims, and name the bars that were missed."""
    barred = [line for line in found if line.figure.say_bar()]
    missed = [f"{line.case} ({line.figure.title})" for line in barred if line.verdict == "**missed**"]
    met = sum(line.verdict in {"met", "aim met"} for line in barred)
    aims = [line for line in found if line.figure.say_aim()]
    reached = sum(line.verdict == "aim met" for line in aims)
    said = f"{met} of {len(barred)} bars are met, {reached} of {len(aims)} aims"
    return f"{said}; missed: {'; '.join(missed)}" if missed else said


def failures(rows: Iterable[Row]) -> list[str]:
    """Lines on what could not be measured."""
    return [
        f"- round {row['round']}, {row['broker']}, {row['case']}: {row['failed']}" for row in rows if "failed" in row
    ]


def measured(rows: Iterable[Row]) -> list[Row]:
    """Leave out the rows that are no measurement."""
    return [row for row in rows if "failed" not in row and row["case"] != ABOUT]


def setting(rows: Iterable[Row]) -> list[str]:
    """Lines on what was measured, when, and on what machine."""
    about: dict[str, str] = next((row["about"] for row in rows if row["case"] == ABOUT), {})
    return [f"- {name}: {value}" for name, value in about.items()]


def header(rows: Sequence[Row], found: Sequence[Line]) -> list[str]:
    """Lines on what was measured, how undisturbed, and how it came out."""
    runs = measured(rows)
    disturbed = sum(bool(row.get("disturbed")) for row in runs)
    return [
        *setting(rows),
        f"- {disturbed} of {len(runs)} runs were disturbed (others used more than an eighth of the machine)",
        f"- {score(found)}",
    ]


def markdown(rows: Sequence[Row]) -> str:
    """Build the whole of RESULTS.md."""
    found = lines(measured(rows))
    parts = [
        "# Apache Kafka and odradek, measured side by side",
        "",
        "Written by `make versus`; the rows as they came are in `results.jsonl` beside this file.",
        "",
        *header(rows, found),
        "",
        "Figures are medians over the rounds. A ratio is odradek's figure over Kafka's of the same round (median, lowest and",
        "highest over the rounds). Client and broker share the machine over loopback; everything is hot in the page cache.",
        "GB is 10^9 bytes, MB of memory 2^20. A bar or an aim with an x is a ratio, one without is odradek's own figure.",
        "\"Over calm\" is a probe's p99 beside a storm over its p99 just before it, same broker: the median of a round's turns.",
        "",
        *table(found),
    ]
    if failed := failures(rows):
        parts += ["", "## Not measured", "", *failed]
    return "\n".join(parts) + "\n"
