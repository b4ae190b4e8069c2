"""Kafka's own performance tools."""

from __future__ import annotations

import random
import re
from typing import TYPE_CHECKING, Any

from benches.versus.session import Finished, RunFailedError

if TYPE_CHECKING:
    from pathlib import Path

    from benches.versus.session import Session

RECORDS = {100: 3_000_000, 1024: 700_000}
SENT = re.compile(r"^(\d+)( steady state)? records sent, ([\d.]+) records/sec .*?, ([\d.]+) ms avg.* (\d+) ms 99th")


def run(session: Session) -> None:
    """Producer, then consumer, for 100 B and 1 KiB, 1 and 6 partitions, none / lz4 / zstd."""
    for size in (100, 1024):
        for partitions in (6,) if session.quick else (1, 6):
            for codec in ("none", "lz4") if session.quick else ("none", "lz4", "zstd"):
                prefix = session.new_topic(partitions)
                case = f"{size} B, {partitions} partitions, {codec}"
                count = RECORDS[size] // (3 if session.quick else 1)
                found = _twice_if_disturbed(_produce, session, f"{prefix}0", size, codec, count)
                session.report(f"java producer {case}", _sent(found, count, size), found.usage)
                found = _twice_if_disturbed(_consume, session, f"{prefix}0", count)
                session.report(f"java consumer {case}", _received(found, size), found.usage)
                session.delete(prefix)


def _twice_if_disturbed(what: Any, *arguments: Any) -> Finished:
    found: Finished = what(*arguments)
    if not found.usage.disturbed:
        return found
    again: Finished = what(*arguments)
    return min(found, again, key=lambda each: each.usage.other_cpu_s / each.usage.wall_s)


def _produce(session: Session, topic: str, size: int, codec: str, count: int) -> Finished:
    return session.java(
        "org.apache.kafka.tools.ProducerPerformance", "--topic", topic, "--num-records", str(count),
        "--payload-file", str(_payloads(session.broker.folder.parent, size)), "--throughput", "-1",
        "--warmup-records", str(count // 3), "--command-property", f"bootstrap.servers={session.broker.address}",
        "acks=all", f"compression.type={codec}",
    )  # fmt: skip


def _sent(found: Finished, count: int, size: int) -> dict[str, Any]:
    figures: dict[str, Any] = {"broker_cpu_s_a_gb": found.usage.broker_cpu_s / (count * size / 1e9)}
    for line in found.lines:
        if match := SENT.search(line):
            prefix = "steady_" if match[2] else ""
            figures |= {f"{prefix}records_s": float(match[3]), f"{prefix}p99_us": 1000 * float(match[5])}
    failed = [line for line in found.lines if "Exception" in line]
    if failed or "steady_records_s" not in figures:
        raise RunFailedError(" | ".join(failed[:1] or found.lines[-3:])[:300])
    return figures


def _consume(session: Session, topic: str, count: int) -> Finished:
    return session.java(
        "org.apache.kafka.tools.ConsumerPerformance", "--bootstrap-server", session.broker.address, "--topic", topic,
        "--num-records", str(count), "--reporting-interval", "100000", "--timeout", "10000",
    )  # fmt: skip


def _received(found: Finished, size: int) -> dict[str, Any]:
    for line in found.lines:
        fields = [field.strip() for field in line.split(",")]
        if len(fields) == 10 and fields[0].startswith("20"):
            records = int(fields[4])
            cpu = found.usage.broker_cpu_s / (records * size / 1e9)
            return {"records_s": float(fields[9]), "records": records, "broker_cpu_s_a_gb": cpu}
    raise RunFailedError(" | ".join(found.lines[-3:])[:300])


def _payloads(folder: Path, size: int) -> Path:
    """500 fixed lines of JSON of that size: making random bytes must not be the client's main cost."""
    file = folder / f"payloads-{size}.txt"
    if not file.exists():
        rng = random.Random(5)
        words = [f"{rng.getrandbits(40):x}" for _ in range(300)]
        lines = []
        for number in range(500):
            text = f'{{"order":{number},"at":{1_700_000_000_000 + rng.randrange(10**9)}'
            while len(text) < size:
                text += f',"{rng.choice(words[:20])}":"{rng.choice(words)}"'
            lines.append(text[: size - 1] + "}")
        file.write_text("\n".join(lines) + "\n")
    return file
