"""What a benchmark counts: records, bytes, latencies, and the line that shows them while it runs."""

import math
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import click

__all__ = ["Meter", "percentiles"]

_PERCENTS = (50.0, 95.0, 99.0, 99.9)
_SHOW_SECONDS = 1.0


def percentiles(latencies_ms: Sequence[float]) -> dict[str, float]:
    """Return mean, percentiles (nearest rank) and maximum in ms; empty without latencies."""
    if not latencies_ms:
        return {}
    ordered = sorted(latencies_ms)
    figures = {"mean": sum(ordered) / len(ordered)}
    for percent in _PERCENTS:
        rank = math.ceil(round(len(ordered) * percent / 100, 6))  # 99.9 % of 1,000 is 999, in floats a little more
        figures[f"p{percent:g}"] = ordered[rank - 1]
    figures["max"] = ordered[-1]
    return {name: round(value, 3) for name, value in figures.items()}


@dataclass
class Meter:
    """Counts while a benchmark runs. `show` draws progress on stderr at most once a second."""

    verb: str
    """`sent`, `read`: what is counted."""
    total: int
    shown: bool = True
    records: int = 0
    bytes: int = 0
    failed: int = 0
    error: Exception | None = None
    """Why one of those failed, where it is known."""
    latencies_ms: list[float] = field(default_factory=list)
    """Of all records or of a sample of them."""
    _began: float = field(default_factory=time.perf_counter)
    _ended: float | None = None
    _shown_at: float = field(default_factory=time.perf_counter)
    _shown_records: int = 0

    def begin(self) -> None:
        """Start the clock again: what came before was not part of the measurement."""
        self._began = self._shown_at = time.perf_counter()

    def end(self) -> None:
        """Stop the clock."""
        self._ended = time.perf_counter()
        if self.shown and sys.stderr.isatty():
            click.echo("\r\x1b[K", err=True, nl=False)

    @property
    def seconds(self) -> float:
        """Seconds from begin to end, or to now."""
        return max((self._ended or time.perf_counter()) - self._began, 1e-9)

    def show(self) -> None:
        """Draw progress if a second has gone by."""
        now = time.perf_counter()
        if not self.shown or now - self._shown_at < _SHOW_SECONDS:
            return
        rate = (self.records - self._shown_records) / (now - self._shown_at)
        self._shown_at, self._shown_records = now, self.records
        line = f"{self.records:,} of {self.total:,} records {self.verb}, {rate:,.0f} records/s"
        if sys.stderr.isatty():
            click.echo(f"\r\x1b[K{line}", err=True, nl=False)
        else:
            click.echo(line, err=True)

    def result(self) -> dict[str, Any]:
        """Return all figures."""
        return {
            "records": self.records,
            "failed": self.failed,
            "seconds": round(self.seconds, 6),
            "records_per_second": round(self.records / self.seconds, 1),
            "mb_per_second": round(self.bytes / self.seconds / 1e6, 3),
            "latency_ms": percentiles(self.latencies_ms),
        }

    def summary(self) -> str:
        """Say the figures in one line."""
        text = (
            f"{self.records:,} records {self.verb} in {self.seconds:,.2f} s: "
            f"{self.records / self.seconds:,.0f} records/s, {self.bytes / self.seconds / 1e6:,.2f} MB/s"
        )
        if self.latencies_ms:
            text += "; latency ms " + ", ".join(
                f"{name} {value:,.2f}" for name, value in percentiles(self.latencies_ms).items()
            )
        return text + (f"; {self.failed:,} failed" if self.failed else "")
