"""Which figures of which cases the table shows, and what they have to reach against Kafka's of the same round.

A ratio is odradek's figure over Kafka's. `least` is the bound that has to hold: a rate must be at least that many times
Kafka's, everything else at most. A limit is a bound on odradek's own figure.
"""

from __future__ import annotations

import dataclasses
import re


@dataclasses.dataclass(frozen=True)
class Figure:
    """A row of the table: one figure of the cases that match."""

    cases: str
    name: str
    title: str
    least: float | None = None
    limit: float | None = None
    higher: bool = False

    def matches(self, case: str) -> bool:
        """Whether it belongs to this case."""
        return re.fullmatch(self.cases, case) is not None

    def bound(self) -> str:
        """Say what has to hold."""
        if self.limit is not None:
            return f"< {self.limit:g}"
        if self.least is None:
            return ""
        return f"{'≥' if self.higher else '≤'} {self.least:.2g}x"

    def holds(self, ratio: float | None, figure: float) -> bool | None:
        """Whether the bound holds; `None` where there is none."""
        if self.limit is not None:
            return figure < self.limit
        if self.least is None or ratio is None:
            return None
        return ratio >= self.least if self.higher else ratio <= self.least


FIGURES = (
    Figure("start on .*", "start_s", "exec to first answer, s", least=0.2),
    Figure("start on no data", "anonymous_mb", "idle anonymous memory, MB", limit=60),
    Figure("start on .*", "idle_cpu_percent", "idle CPU, % of a core"),
    Figure("memory after .*", "anonymous_mb", "anonymous memory, MB", limit=150),
    Figure("(create|restart with) .* partitions", "all_writable_s", "until all are writable, s", least=0.2),
    Figure("idle with .*", "idle_cpu_percent", "CPU, % of a core", limit=0.5),
    Figure("kill -9 .*", "all_writable_s", "until all are writable, s", limit=2),
    Figure("1-record .*", "requests_s", "requests/s", least=1.5, higher=True),
    Figure("1-record .*", "p50_us", "p50, us"),
    Figure("1-record .*", "p99_us", "p99, us", least=1.0),
    Figure("1-record .*", "broker_us_a_request", "broker CPU, us a request"),
    Figure("produce .* x .*", "mb_s", "MB/s", least=1.5, higher=True),
    Figure("produce .* x .*", "broker_cpu_s_a_gb", "broker CPU, s/GB", least=0.5),
    Figure("fetch 1 MiB.*", "mb_s", "MB/s", least=1.0, higher=True),
    Figure("fetch (16 KiB|100 part).*", "mb_s", "MB/s", least=1.5, higher=True),
    Figure("fetch (1 MiB|16 KiB|100 part).*", "broker_cpu_s_a_gb", "broker CPU, s/GB"),
    Figure("java producer .*", "steady_records_s", "records/s", least=1.0, higher=True),
    Figure("java consumer .*", "records_s", "records/s", least=1.0, higher=True),
    Figure("java .*", "broker_cpu_s_a_gb", "broker CPU, s/GB", least=0.4),
    Figure("(confluent|aiokafka|kafka-p).*", "records_s", "records/s", least=1.0, higher=True),
    Figure("(confluent|aiokafka|kafka-p).*", "broker_cpu_s_a_gb", "broker CPU, s/GB"),
    Figure("end to end .*", "p50_us", "p50, us", least=1.0),
    Figure("end to end .*", "p99_us", "p99, us", least=0.5),
    Figure("first record .* 1 members", "all_members_s", "s", least=1.0),
    Figure("first record .* 10 members", "all_members_s", "s", limit=0.3),
    Figure("Metadata of .*", "requests_s", "requests/s", least=2.0, higher=True),
    Figure("(Heartbeat|OffsetCommit|JoinGroup).*", "requests_s", "requests/s", higher=True),
    Figure("(produce|fetch) at .*", "p50_us", "p50, us"),
    Figure("(produce|fetch) at .*", "p99_us", "p99, us"),
)
