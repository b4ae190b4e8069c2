"""The control plane at its busiest, and what Produce and Fetch notice of it.

Each storm first blows alone, flat out. Then it blows beside two probes, Produce and Fetch at a fixed modest rate: some seconds
of calm, of the storm flat out, and of the storm at a rate that both brokers keep up with, again and again. What a probe
suffers is its p99 over that of the calm just before, of the same broker; a round says the median of its turns, because a
neighbour that takes the processor for 20 ms spoils the p99 of one turn.

Beside the probes the load generator of the storm runs only when a core has nothing else to do (SCHED_IDLE), and a probe
or a broker's thread that wakes takes the core from it at once: they share the machine, and what a probe waits for shall
be the broker, not the storm's clients, which elsewhere would be on other machines. A nice value would not do: a thread
that wakes then waits for the end of a time slice all the same. Nor does SCHED_IDLE alone: a thread that has had more than
its share is passed over for the storm for 1-2 ms, so the storm also offers the core after each request that it sends. A flat-out storm takes what processor there is, so the
broker that answers more of it gets more of it; at one rate both carry the same load.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import resource
import statistics
import subprocess
from typing import TYPE_CHECKING, Any

from benches.versus import machine
from benches.versus.session import ROOT, RunFailedError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from benches.versus.session import Session

TOPICS = 1000
MEMBERS = 200
PROBE_RATE = 1000
PROBE_CONNECTIONS = 8  # so that a request that is late does not hold back the next ones
PROBES = ("produce", "fetch")
WARMUP_S = 1.0
LEAD_S = 0.3
TIMEOUT_S = 120
NO_ANSWER = "answered after the warm-up"
LAST = ("chrt", "--idle", "0")


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
    Storm("metadata", f"Metadata of {TOPICS} topics", 100),
)


def run(session: Session) -> None:
    """Four storms of 200 clients."""
    many = session.new_topic(1, TOPICS)
    data = session.new_topic(12)
    session.loadgen("produce", topic=f"{data}0", partitions=1, records=10, warmup=0, seconds=10, megabytes=20)
    for storm in STORMS:
        alone = session.run(command(session, storm, data, warmup=WARMUP_S, seconds=2 if session.quick else 6))
        said = alone.json()
        cpu_share = said["seconds"] / (said["seconds"] + WARMUP_S)
        said["broker_us_a_request"] = 1e6 * alone.usage.broker_cpu_s * cpu_share / said["requests"]
        session.report(f"{storm.name}, {MEMBERS} clients", said, alone.usage)
        beside(session, storm, data, turns=3 if session.quick else 5, seconds=1 if session.quick else 2)
    session.delete(data)
    session.delete(many, TOPICS)


def beside(session: Session, storm: Storm, data: str, turns: int, seconds: float) -> None:
    """Probes in calm, beside the storm flat out, and beside the storm at its rate; so many turns of so many seconds each."""
    loads = {
        "flat out": command(session, storm, data, warmup=0),
        f"at {storm.rate:,} a second": command(session, storm, data, warmup=0, rate=storm.rate),
    }
    calms: list[dict[str, float]] = []
    found: dict[str, list[dict[str, float]]] = {how: [] for how in loads}
    meter, clients_s = machine.Meter(session.broker.pid), clients_cpu_s()
    for _ in range(turns):
        calm = probes(session, data, seconds)
        calms.append({f"{kind}_p99_us": calm[kind]["p99_us"] for kind in PROBES})
        for how, load in loads.items():
            with blowing([*LAST, *load]) as seen:
                stormy = probes(session, data, seconds)
            found[how].append({**against(calm, stormy), **seen})
    usage = meter.stop(clients_cpu_s() - clients_s)
    session.report(f"calm before {storm.name}", medians(calms), usage)
    for how, turns_found in found.items():
        session.report(f"probes beside {storm.name} {how}", medians(turns_found), usage)


def medians(turns: Sequence[dict[str, float]]) -> dict[str, float]:
    """Take the middle of each figure."""
    return {name: statistics.median(turn[name] for turn in turns) for name in turns[0]}


def clients_cpu_s() -> float:
    """CPU seconds of the clients that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def command(session: Session, storm: Storm, data: str, **limits: float) -> list[str]:
    """Return the load generator's command line of a storm; without `seconds` it ends when its standard input does."""
    options: dict[str, Any] = {"kind": storm.kind, "members": MEMBERS, "topics": TOPICS, **limits}
    return session.loadgen_command("storm", **options, topic=f"{data}0", partitions=12)


@contextlib.contextmanager
def blowing(storm: list[str]) -> Iterator[dict[str, float]]:
    """Storm while the block runs; what it then holds is the rate that the storm had.

    Raises:
        RunFailedError: the storm met an error.
    """
    seen: dict[str, float] = {}
    pipe = subprocess.PIPE
    with subprocess.Popen(storm, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            if process.stderr is None or (said := process.stderr.readline().strip()) != "storming":
                raise RunFailedError(f"the storm did not begin: {said}")
            yield seen
            said, errors = process.communicate(timeout=TIMEOUT_S)
        finally:
            process.kill()
    if process.returncode != 0:
        raise RunFailedError(f"the storm failed: {errors[-300:]}")
    seen["storm_requests_s"] = float(json.loads(said)["requests_s"])


def probes(session: Session, data: str, seconds: float) -> dict[str, dict[str, Any]]:
    """Produce and Fetch at `PROBE_RATE` each, at the same time, after the lead; what each said.

    A probe that nothing is answered to says the length of its turn, which its p99 is at least.

    Raises:
        RunFailedError: a probe met an error.
    """
    pipe = subprocess.PIPE
    running = {
        kind: subprocess.Popen(_probe(session, kind, data, seconds), cwd=ROOT, stdout=pipe, stderr=pipe, text=True)
        for kind in PROBES
    }
    said: dict[str, dict[str, Any]] = {}
    try:
        for kind, process in running.items():
            out, errors = process.communicate(timeout=TIMEOUT_S)
            if process.returncode == 0:
                said[kind] = json.loads(out)
            elif NO_ANSWER in errors:
                said[kind] = dict.fromkeys(("p50_us", "p99_us"), 1e6 * seconds)
            else:
                raise RunFailedError(f"the {kind} probe failed: {errors[-300:]}")
    finally:
        for process in running.values():
            process.kill()
            process.communicate()
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
