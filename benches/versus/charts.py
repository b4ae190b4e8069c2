"""Draw docs/img/*.svg from the points that `series` left.   python -m benches.versus.charts [--points FILE] [--out FOLDER]

One file an axis, one panel a figure, one line a broker: the median over the rounds. The same points make the same bytes.
matplotlib (dependency group `charts`) is imported only to draw, so that the tests can check the rest without it.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import statistics
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

HERE = Path(__file__).resolve().parent
IMAGES = HERE.parents[1] / "docs" / "img"
# Told apart also without colour: a line of its own each. Blue and vermilion of the Okabe-Ito palette.
BROKERS = {"odradek": ("odradek", "#0072b2", "o", "-"), "kafka": ("Apache Kafka", "#d55e00", "s", "--")}


@dataclasses.dataclass(frozen=True)
class Chart:
    """One file: the series, what its sizes are, and (figure, title) of each panel.

    Sizes, times and rates are on logarithmic axes, where a straight line is a power of the size; MB and MB/s start at 0.
    """

    series: str
    sizes: str
    panels: tuple[tuple[str, str], ...]


CHARTS = (
    Chart(
        "connections",
        "connections",
        (
            ("requests_s", "1-record Produce, requests/s"),
            ("p99_us", "p99, us"),
            ("broker_us_a_request", "broker CPU, us a request"),
            ("idle_growth_mb", "anonymous memory of as many idle, MB"),
        ),
    ),
    Chart(
        "partitions",
        "partitions",
        (
            ("create_s", "create until all are writable, s"),
            ("restart_s", "restart until all are writable, s"),
            ("anonymous_mb", "anonymous memory after it, MB"),
        ),
    ),
    Chart(
        "record-size",
        "bytes a record",
        (
            ("produce_records_s", "Produce, records/s"),
            ("produce_ns_a_record", "Produce, broker CPU, ns a record"),
            ("produce_mb_s", "Produce, MB/s"),
            ("fetch_records_s", "Fetch, records/s"),
            ("fetch_ns_a_record", "Fetch, broker CPU, ns a record"),
            ("fetch_mb_s", "Fetch, MB/s"),
        ),
    ),
    Chart(
        "groups",
        "groups of one member",
        (
            ("form_ms_a_group", "join and sync, ms a group"),
            ("commit_requests_s", "OffsetCommit of 12 partitions, requests/s"),
            ("commit_us_a_request", "broker CPU, us a commit"),
            ("restart_s", "restart until a new group has formed, s"),
            ("anonymous_mb", "anonymous memory, MB"),
        ),
    ),
    Chart(
        "log-size",
        "MiB of log",
        (
            ("fetch_p50_us", "Fetch at random offsets, p50, us"),
            ("restart_s", "clean restart until writable, s"),
            ("recovery_s", "kill -9 until writable, s"),
            ("anonymous_mb", "anonymous memory after a restart, MB"),
        ),
    ),
)


def points(rows: Iterable[dict[str, Any]], series: str, broker: str, figure: str) -> list[tuple[float, float]]:
    """Return (size, median over the rounds), by size; points that failed or are not there are left out."""
    values: dict[float, list[float]] = {}
    for row in rows:
        if row["case"] == series and row["broker"] == broker and figure in row:
            values.setdefault(float(row["size"]), []).append(float(row[figure]))
    return [(size, statistics.median(values[size])) for size in sorted(values)]


def tick(value: float) -> str:
    """Label a tick: 0.5, 20, 5k, 10M."""
    for step, letter in ((1e6, "M"), (1e3, "k")):
        if abs(value) >= step:
            return f"{value / step:g}{letter}"
    return f"{value:.3g}"


def draw(rows: Sequence[dict[str, Any]], chart: Chart, file: Path) -> bool:
    """Draw one chart; `False` when no point of it was measured."""
    lines = {
        (figure, broker): points(rows, chart.series, broker, figure) for figure, _ in chart.panels for broker in BROKERS
    }
    if not any(lines.values()):
        return False
    import matplotlib as mpl  # noqa: PLC0415

    mpl.use("svg")
    mpl.rcParams.update({"svg.hashsalt": "odradek", "svg.fonttype": "none", "font.size": 9, "axes.titlesize": 9})
    from matplotlib import pyplot as plt  # noqa: PLC0415
    from matplotlib.ticker import FuncFormatter, LogLocator  # noqa: PLC0415

    columns = 2 if len(chart.panels) == 4 else 3
    height = -(-len(chart.panels) // columns)
    figure, grid = plt.subplots(height, columns, figsize=(3.4 * columns, 2.5 * height), squeeze=False)
    for axes, (name, title) in zip(grid.flat, chart.panels, strict=False):
        for broker, (label, colour, marker, style) in BROKERS.items():
            if found := lines[name, broker]:
                across, up = zip(*found, strict=True)
                axes.plot(across, up, color=colour, marker=marker, linestyle=style, markersize=3.5, label=label)
        axes.set(title=title, xlabel=chart.sizes, xscale="log")
        reached = [value for broker in BROKERS for _, value in lines[name, broker]]
        if "MB" in title:
            axes.set_ylim(0, max([1.0, *reached]) * 1.1)
        elif reached:
            axes.set_yscale("log")
            wide = max(reached) / min(reached) > 100
            axes.yaxis.set_major_locator(LogLocator(subs=(1.0,) if wide else (1.0, 2.0, 5.0)))
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(FuncFormatter(lambda value, _: tick(value)))
        axes.minorticks_off()
        axes.grid(visible=True, alpha=0.25)
    for axes in grid.flat[len(chart.panels) :]:
        axes.set_visible(False)
    grid.flat[0].legend(frameon=False)
    figure.tight_layout()
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    plt.close(figure)
    return True


def main() -> None:
    """Draw every chart that has points."""
    parser = argparse.ArgumentParser(prog="benches.versus.charts", description=__doc__)
    parser.add_argument("--points", type=Path, default=HERE / "series.jsonl")
    parser.add_argument("--out", type=Path, default=IMAGES)
    args = parser.parse_args()
    if not args.points.exists():
        raise SystemExit(f"{args.points} is not there: measure first, with `python -m benches.versus.series`")
    rows = [json.loads(line) for line in args.points.read_text().splitlines()]
    for chart in CHARTS:
        file = args.out / f"{chart.series}.svg"
        print(f"{file}: {f'{file.stat().st_size:,} bytes' if draw(rows, chart, file) else 'no points'}")


if __name__ == "__main__":
    main()
