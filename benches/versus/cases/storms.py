"""The control plane at its busiest, and what Produce and Fetch notice of it."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Any

from benches.versus.session import ROOT, RunFailedError

if TYPE_CHECKING:
    from benches.versus.session import Session

TOPICS = 1000
MEMBERS = 200
PROBE_RATE = 500
LEAD_S = 2
KINDS = {
    "heartbeat": "Heartbeat",
    "commit": "OffsetCommit of 12 partitions",
    "rejoin": "JoinGroup rounds",
    "metadata": f"Metadata of {TOPICS} topics",
}


def run(session: Session) -> None:
    """Probe Produce and Fetch in calm, then each storm alone, then each storm with each probe."""
    many = session.new_topic(1, TOPICS)
    data = session.new_topic(12)
    session.loadgen("produce", topic=f"{data}0", partitions=1, records=10, warmup=0, seconds=10, megabytes=20)
    seconds = 3 if session.quick else 6
    for probe in ("produce", "fetch"):
        found = session.run(_probe(session, probe, data, seconds))
        session.report(f"{probe} at {PROBE_RATE} a second in calm", found.json(), found.usage)
    for kind, name in KINDS.items():
        storm = _storm(session, kind, data, seconds)
        found = session.run(storm)
        session.report(f"{name}, {MEMBERS} clients", found.json(), found.usage)
        for probe in ("produce", "fetch"):
            with subprocess.Popen(
                _storm(session, kind, data, seconds + 2 * LEAD_S), cwd=ROOT, stdout=subprocess.PIPE, text=True
            ) as blowing:
                found = session.run(_probe(session, probe, data, seconds))
                said, _ = blowing.communicate(timeout=120)
            if blowing.returncode != 0:
                raise RunFailedError(f"the {kind} storm failed: {said[-300:]}")
            session.report(f"{probe} at {PROBE_RATE} a second during {name}", found.json(), found.usage)
    session.delete(data)
    session.delete(many, TOPICS)


def _storm(session: Session, kind: str, data: str, seconds: float) -> list[str]:
    options: dict[str, Any] = {"kind": kind, "members": MEMBERS, "seconds": seconds, "topics": TOPICS}
    return session.loadgen_command("storm", **options, topic=f"{data}0", partitions=12)


def _probe(session: Session, kind: str, data: str, seconds: float) -> list[str]:
    options: dict[str, Any] = {"warmup": LEAD_S, "seconds": seconds, "rate": PROBE_RATE}
    if kind == "fetch":
        options["max_bytes"] = 16 << 10
    return session.loadgen_command(kind, topic=f"{data}0", **options)
