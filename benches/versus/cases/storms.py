"""The control plane at its busiest, and what Produce and Fetch notice of it.

Around each storm, in this order: Produce and Fetch at a fixed modest rate in calm; the storm alone, flat out; the storm flat
out beside the two probes; the storm at a rate that both brokers keep up with, beside the probes. What a probe suffers is
its p99 over that of the calm just before, of the same broker in the same round. A flat-out storm takes what processor
there is, so the broker that answers more of it gets more of it; at one rate both carry the same load.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import subprocess
from typing import TYPE_CHECKING, Any

from benches.versus.session import ROOT, RunFailedError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benches.versus.session import Session

TOPICS = 1000
MEMBERS = 200
PROBE_RATE = 1000
PROBE_CONNECTIONS = 8  # so that a request that is late does not hold back the next ones
PROBES = ("produce", "fetch")
WARMUP_S = 1.0
LEAD_S = 1.0
TIMEOUT_S = 120


@dataclasses.dataclass(frozen=True)
class Storm:
    """One API: the load generator's name of it, ours, and requests a second that either broker can answer."""

    kind: str
    name: str
    rate: int


STORMS = (
    Storm("heartbeat", "Heartbeat", 8000),
    Storm("commit", "OffsetCommit of 12 partitions", 2000),
    Storm("rejoin", "JoinGroup rounds", 2000),
    Storm("metadata", f"Metadata of {TOPICS} topics", 200),
)


def run(session: Session) -> None:
    """Four storms of 200 clients."""
    many = session.new_topic(1, TOPICS)
    data = session.new_topic(12)
    session.loadgen("produce", topic=f"{data}0", partitions=1, records=10, warmup=0, seconds=10, megabytes=20)
    seconds = 3 if session.quick else 6
    for storm in STORMS:
        calm = probes(session, data, seconds)
        session.report(f"calm before {storm.name}", {f"{kind}_p99_us": calm[kind]["p99_us"] for kind in PROBES})
        alone = session.run(command(session, storm, data, seconds))
        said = alone.json()
        cpu_share = said["seconds"] / (said["seconds"] + WARMUP_S)
        said["broker_us_a_request"] = 1e6 * alone.usage.broker_cpu_s * cpu_share / said["requests"]
        session.report(f"{storm.name}, {MEMBERS} clients", said, alone.usage)
        for how, rate in (("flat out", None), (f"at {storm.rate:,} a second", storm.rate)):
            with blowing(command(session, storm, data, seconds + 2 * LEAD_S + WARMUP_S, rate)) as seen:
                stormy = probes(session, data, seconds)
            session.report(f"probes beside {storm.name} {how}", {**against(calm, stormy), **seen})
    session.delete(data)
    session.delete(many, TOPICS)


def command(session: Session, storm: Storm, data: str, seconds: float, rate: int | None = None) -> list[str]:
    """Return the load generator's command line of a storm."""
    options: dict[str, Any] = {"kind": storm.kind, "members": MEMBERS, "seconds": seconds, "topics": TOPICS}
    if rate is not None:
        options["rate"] = rate
    return session.loadgen_command("storm", **options, warmup=WARMUP_S, topic=f"{data}0", partitions=12)


@contextlib.contextmanager
def blowing(storm: list[str]) -> Iterator[dict[str, float]]:
    """Storm while the block runs; what it then holds is the rate that the storm had.

    Raises:
        RunFailedError: the storm met an error, or was over before the block was.
    """
    seen: dict[str, float] = {}
    pipe = subprocess.PIPE
    with subprocess.Popen(storm, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            if process.stderr is None or (said := process.stderr.readline().strip()) != "storming":
                raise RunFailedError(f"the storm did not begin: {said}")
            yield seen
            if process.poll() is not None:
                raise RunFailedError("the storm was over before the probes were")
            said, errors = process.communicate(timeout=TIMEOUT_S)
        finally:
            process.kill()
    if process.returncode != 0:
        raise RunFailedError(f"the storm failed: {errors[-300:]}")
    seen["storm_requests_s"] = float(json.loads(said)["requests_s"])


def probes(session: Session, data: str, seconds: float) -> dict[str, dict[str, Any]]:
    """Produce and Fetch at `PROBE_RATE` each, at the same time, after the lead; what each said."""
    pipe = subprocess.PIPE
    running = {
        kind: subprocess.Popen(_probe(session, kind, data, seconds), cwd=ROOT, stdout=pipe, stderr=pipe, text=True)
        for kind in PROBES
    }
    said: dict[str, dict[str, Any]] = {}
    try:
        for kind, process in running.items():
            out, errors = process.communicate(timeout=TIMEOUT_S)
            if process.returncode != 0:
                raise RunFailedError(f"the {kind} probe failed: {errors[-300:]}")
            said[kind] = json.loads(out)
    finally:
        for process in running.values():
            process.kill()
    return said


def _probe(session: Session, kind: str, data: str, seconds: float) -> list[str]:
    options: dict[str, Any] = {
        "warmup": LEAD_S, "seconds": seconds, "rate": PROBE_RATE, "connections": PROBE_CONNECTIONS,
    }  # fmt: skip
    if kind == "fetch":
        options["max_bytes"] = 16 << 10
    return session.loadgen_command(kind, topic=f"{data}0", **options)


def against(calm: dict[str, dict[str, Any]], stormy: dict[str, dict[str, Any]]) -> dict[str, float]:
    """Figures of the probes in the storm, and their p99 over that in calm."""
    figures: dict[str, float] = {}
    for kind in PROBES:
        figures[f"{kind}_p50_us"] = stormy[kind]["p50_us"]
        figures[f"{kind}_p99_us"] = stormy[kind]["p99_us"]
        figures[f"{kind}_p99_over_calm"] = stormy[kind]["p99_us"] / calm[kind]["p99_us"]
    return figures
