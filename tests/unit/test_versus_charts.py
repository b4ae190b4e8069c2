"""The points of the charts, before anything draws them, and what the charts are made of."""

from __future__ import annotations

from benches.versus.charts import CHARTS, points, tick
from benches.versus.series import SERIES


def row(broker: str, size: int, **figures: float) -> dict[str, object]:
    return {"case": "groups", "broker": broker, "size": size, "round": 1, **figures}


def test_points_are_medians_by_size_in_order() -> None:
    rows = [row("odradek", 10, s=3), row("odradek", 1, s=1), row("odradek", 10, s=5), row("odradek", 10, s=100)]
    assert points(rows, "groups", "odradek", "s") == [(1, 1), (10, 5)]


def test_points_leave_out_other_brokers_other_series_and_what_failed() -> None:
    failed = {"case": "groups", "broker": "odradek", "size": 2, "round": 1, "failed": "no"}
    about = {"case": "about", "about": {}}
    other = {**row("odradek", 3, s=1), "case": "log-size"}
    rows = [about, row("kafka", 1, s=9), row("odradek", 1, s=1), failed, other]
    assert points(rows, "groups", "odradek", "s") == [(1, 1)]


def test_each_series_has_a_chart_and_each_chart_a_series() -> None:
    assert [chart.series for chart in CHARTS] == list(SERIES)


def test_quick_sizes_are_fewer_and_every_series_grows() -> None:
    for series in SERIES.values():
        assert len(series.quick) < len(series.sizes)
        for sizes in (series.quick, series.sizes):
            assert list(sizes) == sorted(set(sizes))


def test_ticks_are_short_and_exact() -> None:
    assert [tick(value) for value in (0, 0.05, 20, 1000, 5000, 2_000_000)] == ["0", "0.05", "20", "1k", "5k", "2M"]
