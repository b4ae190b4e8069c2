"""Which figures of which cases the table shows, and what they have to reach.

A ratio is odradek's figure over its peer's of the same round: a rate (`higher`) must be at least that many times the
peer's, everything else at most. A limit is a bound on odradek's own figure. The bar has to hold; the aim is what we are after.
"""

from __future__ import annotations

import dataclasses
import re


@dataclasses.dataclass(frozen=True)
class Figure:
    """A row of the table: one figure of the cases that match; `bar` and `aim` are ratios, the limits own figures. The
    peer is the broker (or the client) that odradek is held against."""

    cases: str
    name: str
    title: str
    bar: float | None = None
    aim: float | None = None
    bar_limit: float | None = None
    aim_limit: float | None = None
    higher: bool = False
    peer: str = "kafka"

    def matches(self, case: str) -> bool:
        """Whether it belongs to this case."""
        return re.fullmatch(self.cases, case) is not None

    def say_bar(self) -> str:
        """Say what has to hold; empty where nothing has to."""
        return self._say(self.bar, self.bar_limit)

    def say_aim(self) -> str:
        """Say what is aimed at; empty where nothing is."""
        return self._say(self.aim, self.aim_limit)

    def verdict(self, ratio: float | None, figure: float | None) -> str:
        """Judge the ratio and the figure: `aim met`, `met`, `**missed**`, `short of the aim`, `not measured`, or nothing."""
        bar = self._reached(self.bar, self.bar_limit, ratio, figure)
        aim = self._reached(self.aim, self.aim_limit, ratio, figure)
        if (bar is None and self.say_bar()) or (aim is None and self.say_aim() and not self.say_bar()):
            return "not measured"
        if bar is False:
            return "**missed**"
        if aim is not None:
            return "aim met" if aim else "met" if bar else "short of the aim"
        return "met" if bar else ""

    def _say(self, ratio: float | None, limit: float | None) -> str:
        if limit is not None:
            return f"{'≥' if self.higher else '<'} {limit:,.10g}"
        return "" if ratio is None else f"{'≥' if self.higher else '≤'} {ratio:.2g}x"

    def _reached(
        self, wanted: float | None, limit: float | None, ratio: float | None, figure: float | None
    ) -> bool | None:
        if limit is not None:
            return None if figure is None else figure >= limit if self.higher else figure < limit
        if wanted is None or ratio is None:
            return None
        return ratio >= wanted if self.higher else ratio <= wanted


_STORMS = "(Heartbeat|OffsetCommit|JoinGroup|Metadata).*, .* clients"

FIGURES = (
    Figure("start on .*", "start_s", "exec to first answer, s", bar=0.2, aim=0.1),
    Figure("odradek.Broker.*", "first_ms", "first of a process: until a request is answered, ms", bar_limit=50),
    Figure("odradek.Broker.*", "first_control_ms", "first of a process: until a topic is created, ms"),
    Figure("odradek.Broker.*", "warm_ms", "later ones: until a request is answered, ms", bar_limit=50),
    Figure("odradek.Broker.*", "warm_control_ms", "later ones: until a topic is created, ms"),
    Figure("odradek.Broker.*", "import_ms", "`import odradek`, ms"),
    Figure("start on no data", "anonymous_mb", "idle anonymous memory, MB", bar_limit=60, aim_limit=40),
    Figure("start on .*", "idle_cpu_percent", "idle CPU, % of a core"),
    Figure("memory after .*", "anonymous_mb", "anonymous memory, MB", bar_limit=150, aim_limit=100),
    Figure("(create|restart with) .* partitions", "all_writable_s", "until all are writable, s", bar=1 / 5, aim=1 / 15),
    Figure("restart with .* partitions", "anonymous_mb", "anonymous memory, MB"),
    Figure("idle with .*", "idle_cpu_percent", "CPU, % of a core", bar_limit=0.5, aim_limit=0.1),
    Figure("kill -9 .*", "all_writable_s", "until all are writable, s", bar_limit=2, aim_limit=0.5),
    Figure("1-record .*", "requests_s", "requests/s", bar=1.5, aim=2.5, higher=True),
    Figure("1-record .*", "p50_us", "p50, us"),
    Figure("1-record .*", "p99_us", "p99, us", bar=1.0),
    Figure("1-record .*", "broker_us_a_request", "broker CPU, us a request"),
    Figure("produce (64|600) x .*", "mb_s", "MB/s", bar=1.5, aim=2.0, higher=True),
    Figure("produce (64|600) x .*", "broker_cpu_s_a_gb", "broker CPU, s/GB", bar=0.5, aim=0.35),
    Figure("produce 16 x .*", "mb_s", "MB/s", higher=True),
    Figure("produce 16 x .*", "broker_cpu_s_a_gb", "broker CPU, s/GB"),
    Figure("produce .* x .*", "broker_us_a_request", "broker CPU, us a request"),
    Figure("fetch 1 MiB.*", "mb_s", "MB/s", bar=1.0, aim=1.3, higher=True),
    Figure("fetch (16 KiB|100 part).*", "mb_s", "MB/s", bar=1.5, aim=2.0, higher=True),
    Figure("fetch (1 MiB|16 KiB|100 part).*", "broker_cpu_s_a_gb", "broker CPU, s/GB"),
    Figure("fetch (1 MiB|16 KiB|100 part).*", "broker_us_a_request", "broker CPU, us a request"),
    Figure("java producer .*", "steady_records_s", "records/s", bar=1.0, aim=1.2, higher=True),
    Figure("java consumer .*", "records_s", "records/s", bar=1.0, aim=1.2, higher=True),
    Figure("java .*", "broker_cpu_s_a_gb", "broker CPU, s/GB", bar=0.4, aim=0.25),
    Figure("(confluent|aiokafka|kafka-p).*", "records_s", "records/s", bar=1.0, aim=1.1, higher=True),
    Figure("(confluent|aiokafka|kafka-p).*", "broker_cpu_s_a_gb", "broker CPU, s/GB"),
    Figure("end to end .*", "p50_us", "p50, us", bar=1.0),
    Figure("end to end .*", "p99_us", "p99, us", bar=0.5, aim=0.2),
    Figure("first record .* 1 members", "all_members_s", "s", bar=1.0, aim_limit=0.05),
    Figure("first record .* 10 members", "all_members_s", "s", bar_limit=0.3, aim_limit=0.2),
    Figure("Metadata of .* clients", "requests_s", "requests/s", bar=2.0, higher=True),
    Figure("(Heartbeat|OffsetCommit|JoinGroup).* clients", "requests_s", "requests/s", aim=1.0, higher=True),
    Figure(_STORMS, "broker_us_a_request", "broker CPU, us a request"),
    Figure("calm before .*", "produce_p99_us", "Produce p99, us"),
    Figure("calm before .*", "fetch_p99_us", "Fetch p99, us"),
    Figure("probes beside .*", "storm_requests_s", "the storm's requests/s", higher=True),
    Figure("probes beside .*", "produce_p99_us", "Produce p99, us"),
    Figure("probes beside .*", "produce_p99_over_calm", "Produce p99 over calm", bar_limit=1.5),
    Figure("probes beside .*", "fetch_p99_us", "Fetch p99, us"),
    Figure("probes beside .*", "fetch_p99_over_calm", "Fetch p99 over calm", bar_limit=1.5),
)
