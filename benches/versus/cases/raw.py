"""Produce and Fetch at full speed from raw sockets: the broker is the bottleneck."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from benches.versus.session import Finished, Session

PARTITIONS = 6
# A fixed volume: a broker that is twice as fast must not meet twice the write-back.
MEGABYTES = 2500


def measure(session: Session, case: str, command: str, **options: Any) -> None:
    """Run the load generator, once more if others disturbed it, and report rate, latency and broker CPU."""
    found = session.loadgen(command, **options)
    if found.usage.disturbed:
        again = session.loadgen(command, **options)
        found = min(found, again, key=lambda each: each.usage.other_cpu_s / each.usage.wall_s)
    session.report(case, figures(found, options), found.usage)


def figures(found: Finished, options: dict[str, Any]) -> dict[str, Any]:
    """Add what the broker used a request and a GB; the warm-up counts on both sides of the division."""
    said = found.json()
    share = said["seconds"] / (said["seconds"] + float(options.get("warmup", 1)))
    cpu = found.usage.broker_cpu_s * share
    said["broker_us_a_request"] = 1e6 * cpu / said["requests"]
    if said["payload_bytes"] > 5e7:
        said["broker_cpu_s_a_gb"] = cpu / (said["payload_bytes"] / 1e9)
    return said


def produce(session: Session) -> None:
    """6 connections, 5 requests in flight, batches of 64 x 1 KiB and of 600 x 100 B; and one connection."""
    shapes = [("6 connections", 6, 64, 1024), ("6 connections", 6, 600, 100)]
    if not session.quick:
        shapes.append(("1 connection", 1, 16, 1024))
    for who, connections, records, size in shapes:
        prefix = session.new_topic(PARTITIONS)
        measure(
            session, f"produce {records} x {size} B, {who}, 5 in flight", "produce", topic=f"{prefix}0",
            partitions=PARTITIONS, connections=connections, in_flight=5, records=records, record_bytes=size,
            warmup=0.5, seconds=4, megabytes=MEGABYTES,
        )  # fmt: skip
        session.delete(prefix)


def fetch(session: Session) -> None:
    """1 MiB a request on 1 and 6 connections."""
    prefix = session.new_topic(PARTITIONS)
    _fill(session, f"{prefix}0", PARTITIONS, 64, 1000)
    for connections in (1, 6):
        measure(
            session, f"fetch 1 MiB, {connections} connections", "fetch", topic=f"{prefix}0", partitions=PARTITIONS,
            connections=connections, max_bytes=1 << 20, warmup=0.5, seconds=2,
        )  # fmt: skip
    session.loadgen("fetch", topic=f"{prefix}0", partitions=PARTITIONS, connections=6, seconds=0.5, verify_crc="yes")
    session.delete(prefix)


def small_fetch(session: Session) -> None:
    """Ranges of 16 KiB, and 100 partitions of 8 KiB a request."""
    prefix = session.new_topic(PARTITIONS)
    _fill(session, f"{prefix}0", PARTITIONS, 2, 200)
    for connections in (1, 6):
        measure(
            session, f"fetch 16 KiB, {connections} connections", "fetch", topic=f"{prefix}0", partitions=PARTITIONS,
            connections=connections, max_bytes=16 << 10, warmup=0.5, seconds=2,
        )  # fmt: skip
    session.delete(prefix)
    prefix = session.new_topic(100)
    _fill(session, f"{prefix}0", 100, 2, 100)
    measure(
        session, "fetch 100 partitions of 8 KiB, 1 connection", "fetch", topic=f"{prefix}0", partitions=100,
        partitions_per_request=100, max_bytes=8 << 10, warmup=0.5, seconds=2,
    )  # fmt: skip
    session.delete(prefix)


def _fill(session: Session, topic: str, partitions: int, records: int, megabytes: int) -> None:
    session.loadgen(
        "produce", topic=topic, partitions=partitions, connections=min(partitions, 10), in_flight=5, records=records,
        record_bytes=1024, warmup=0, seconds=60, megabytes=megabytes,
    )  # fmt: skip
