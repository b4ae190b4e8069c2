"""RESULTS.md of the clients: ours against the peer of each row, then every library's figures."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, Any

from benches.versus.report import failures, header, lines, measured, short, table
from benches.versus_clients.cases import FIGURES

if TYPE_CHECKING:
    from collections.abc import Sequence

HEAD = ("case", "figure", "peer's", "odradek's", "ratio (lowest-highest, rounds)", "bar", "aim", "verdict", "peer")
SHOWN = {
    "records_s": "records/s",
    "client_us_a_record": "client CPU, us a record",
    "p50_us": "p50, us",
    "p99_us": "p99, us",
    "growth_mb": "growth, MB",
}


def comparison(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Lines of the table that is judged."""
    found = lines(rows, FIGURES, "client")
    shown = table(found, HEAD)
    return [*shown[:2], *(f"{text} {line.figure.peer} |" for text, line in zip(shown[2:], found, strict=True))]


def everyone(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Lines of the table of all libraries: medians over the rounds."""
    shown = [f"| case | library | {' | '.join(SHOWN.values())} |", "|---" * (2 + len(SHOWN)) + "|"]
    for case, client in dict.fromkeys((row["case"], row["client"]) for row in rows):
        mine = [row for row in rows if (row["case"], row["client"]) == (case, client)]
        values = [[row[name] for row in mine if name in row] for name in SHOWN]
        cells = [short(statistics.median(each)) if each else "" for each in values]
        shown.append(f"| {case} | {client} | {' | '.join(cells)} |")
    return shown


def markdown(rows: Sequence[dict[str, Any]]) -> str:
    """Build the whole of RESULTS.md."""
    runs = measured(rows)
    parts = [
        "# odradek's client beside the others",
        "",
        "Written by `make versus-clients`; the rows as they came are in `results.jsonl` beside this file.",
        "",
        *header(rows, lines(runs, FIGURES, "client")),
        "",
        "Figures are medians over the rounds. A ratio is our figure over the peer's of the same round (median, lowest and highest",
        "over the rounds). One client at a time, each in a process of its own, against one broker on the same machine. CPU is",
        "user and system time of the client's process, all its threads. Every producer: acks=all, 5 ms of linger (round trip: 0),",
        "the rest its own defaults; what was sent is counted at the broker. Every consumer: no group, from the earliest offset, and",
        "what it reads is checked for its size. `limit` is a raw socket that only walks batch headers, capped at 10 M records/s.",
        "",
        *comparison(runs),
        "",
        "## Every library",
        "",
        *everyone(runs),
    ]
    if failed := failures([{**row, "broker": row["client"]} for row in rows if "failed" in row]):
        parts += ["", "## Not measured", "", *failed]
    return "\n".join(parts) + "\n"
