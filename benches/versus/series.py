"""How cost grows: with connections, partitions, record size, groups and log size.   python -m benches.versus.series

One point is one broker at one size; both brokers are measured at a size before the next one. The points go to
`series.jsonl` beside this file, from which `charts` draws docs/img/*.svg without measuring again. Not a comparison with
bars: that is `python -m benches.versus`. The functions here are handed a session and a size, and report one row.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import subprocess
import tempfile
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benches.versus import machine, under_test
from benches.versus.brokers import Broker, Kafka, Odradek
from benches.versus.cases.storms import blowing
from benches.versus.record import Record
from benches.versus.session import RunFailedError, Session

if TYPE_CHECKING:
    from collections.abc import Callable

HERE = Path(__file__).resolve().parent
BATCH_BYTES = 64 << 10
PARTITIONS = 6
A_TOPIC = 100


def connections(session: Session, size: int) -> dict[str, Any]:
    """1-record requests on that many connections; memory while as many others are idle. The broker keeps running."""
    prefix = session.new_topic(PARTITIONS)
    options = {"topic": f"{prefix}0", "partitions": PARTITIONS, "connections": size}
    busy = session.loadgen("produce", **options, seconds=2 if session.quick else 4)
    figures = _a_request(busy.json(), busy.usage.broker_cpu_s)
    pipe = subprocess.PIPE
    before = machine.memory_mb(session.broker.pid)["anonymous_mb"]
    idle = session.loadgen_command("idle", connections=size)
    with subprocess.Popen(idle, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as holder:
        if holder.stderr is None or holder.stderr.readline().strip() != "open":
            raise RunFailedError("the idle connections could not be opened")
        held = machine.memory_mb(session.broker.pid)["anonymous_mb"]
        holder.communicate("")
    session.delete(prefix)
    return {**figures, "idle_growth_mb": max(0.0, held - before)}


def partitions(session: Session, size: int) -> dict[str, Any]:
    """Create that many until all take records, restart with them."""
    broker = session.broker
    each = min(size, A_TOPIC)
    options = {"prefix": "many-", "topics": size // each, "partitions": each}
    broker.start()
    session.loadgen("ready")
    at = time.time()
    session.create([f"many-{index}" for index in range(size // each)], each)
    created = session.loadgen("writable", **options).json()["all_writable_at"] - at
    return {"create_s": created, **_restart(session, options)}


def record_size(session: Session, size: int) -> dict[str, Any]:
    """Produce and fetch records of that many bytes in batches of about 64 KiB, on 6 connections. The broker keeps running."""
    prefix = session.new_topic(PARTITIONS)
    many = {"topic": f"{prefix}0", "partitions": PARTITIONS, "connections": PARTITIONS, "warmup": 1}
    records = max(1, BATCH_BYTES // size)
    seconds = 2 if session.quick else 4
    figures: dict[str, Any] = {}
    shape = {"in_flight": 5, "records": records, "record_bytes": size, "megabytes": 2500}
    for verb, options in (("produce", shape), ("fetch", {"max_bytes": 1 << 20})):
        found = session.loadgen(verb, **many, **options, seconds=seconds)
        said = found.json()
        counted = said["seconds"] / (said["seconds"] + many["warmup"])
        count = said["records_s"] * said["seconds"]
        figures |= {
            f"{verb}_mb_s": said["mb_s"],
            f"{verb}_records_s": said["records_s"],
            f"{verb}_ns_a_record": 1e9 * found.usage.broker_cpu_s * counted / count,
        }
    session.delete(prefix)
    return figures


def groups(session: Session, size: int) -> dict[str, Any]:
    """That many groups of one member: form them, commit 12 partitions from all of them, restart with them."""
    broker = session.broker
    broker.start()
    session.loadgen("ready")
    prefix = session.new_topic(12)
    options: dict[str, Any] = {"kind": "commit", "topic": f"{prefix}0", "partitions": 12}
    session.loadgen("storm", **options, members=200, warmup=0, seconds=3)  # a JIT's share of it
    options |= {"members": size, "groups": size}
    found = session.loadgen("storm", **options, seconds=2 if session.quick else 4)
    figures = _a_request(found.json(), found.usage.broker_cpu_s)
    held = machine.memory_mb(broker.pid)["anonymous_mb"]
    broker.stop()
    at = broker.start(keep=True)
    session.loadgen("ready")
    with blowing(session.loadgen_command("storm", kind="heartbeat", members=1, warmup=0, seconds=0.5)):
        joined = time.time() - at
    return {
        "form_ms_a_group": 1000 * found.json()["form_s"] / size,
        "commit_requests_s": figures["requests_s"],
        "commit_us_a_request": figures["broker_us_a_request"],
        "anonymous_mb": held,
        "restart_s": joined,
    }


def log_size(session: Session, size: int) -> dict[str, Any]:
    """A log of that many MiB in 6 partitions: fetch at random offsets, restart with it, kill -9 with it."""
    broker = session.broker
    broker.start()
    session.loadgen("ready")
    prefix = session.new_topic(PARTITIONS)
    many = {"topic": f"{prefix}0", "partitions": PARTITIONS}
    session.loadgen(
        "produce", **many, connections=PARTITIONS, in_flight=5, records=16, record_bytes=1024, warmup=0, seconds=120,
        megabytes=size,
    )  # fmt: skip
    found = session.loadgen("fetch", **many, max_bytes=16 << 10, scatter="yes", warmup=2, seconds=2).json()
    options = {"prefix": prefix, "partitions": PARTITIONS}
    figures = {f"fetch_{name}": found[name] for name in ("p50_us", "p99_us")}
    figures |= _restart(session, options)
    broker.kill()
    killed = _writable_again(session, options)
    return {**figures, "recovery_s": killed}


def _a_request(said: dict[str, Any], cpu_s: float) -> dict[str, Any]:
    warmup = 1.0
    counted = said["seconds"] / (said["seconds"] + warmup)
    figures = {name: said[name] for name in ("requests_s", "p50_us", "p99_us")}
    return {**figures, "broker_us_a_request": 1e6 * cpu_s * counted / said["requests"]}


def _restart(session: Session, options: dict[str, Any]) -> dict[str, Any]:
    session.broker.stop()
    seconds = _writable_again(session, options)
    return {"restart_s": seconds, "anonymous_mb": machine.memory_mb(session.broker.pid)["anonymous_mb"]}


def _writable_again(session: Session, options: dict[str, Any]) -> float:
    watch = session.loadgen_command("writable", **options)
    with subprocess.Popen(watch, stdout=subprocess.PIPE, text=True) as watcher:
        at = session.broker.start(keep=True)
        said, _ = watcher.communicate(timeout=150)
    return float(json.loads(said)["all_writable_at"]) - at


@dataclasses.dataclass(frozen=True)
class Series:
    """What is measured, at which sizes, at which of them in a quick run, and whether each point starts the broker itself."""

    measure: Callable[[Session, int], dict[str, Any]]
    sizes: tuple[int, ...]
    quick: tuple[int, ...]
    starts: bool = True


SERIES = {
    "connections": Series(connections, (1, 2, 4, 8, 16, 32, 64, 128, 256, 512), (1, 8, 64, 256), starts=False),
    "partitions": Series(partitions, (10, 100, 500, 1000, 2000, 5000), (10, 100, 1000)),
    "record-size": Series(
        record_size, (10, 32, 100, 316, 1000, 3162, 10_000, 31_623, 100_000), (10, 100, 1000, 10_000), starts=False
    ),
    "groups": Series(groups, (1, 10, 100, 300, 1000), (1, 30, 300)),
    "log-size": Series(log_size, (16, 64, 256, 1024, 4096), (16, 128, 1024)),
}


def run(name: str, sessions: list[Session]) -> None:
    """Measure one series, broker by broker at each size."""
    series = SERIES[name]
    if not series.starts:
        for session in sessions:
            session.broker.start()
            session.loadgen("ready")
            session.warm_up()
    for size in series.quick if sessions[0].quick else series.sizes:
        for session in sessions:
            _point(name, size, session)
    for session in sessions:
        session.broker.kill()


def _point(name: str, size: int, session: Session) -> None:
    """Measure one point; one that fails is written down and does not end the session."""
    series = SERIES[name]
    try:
        session.report(name, {"size": size, **series.measure(session, size)})
    except Exception as error:  # noqa: BLE001  # whatever a point meets, the others are worth their figures
        traceback.print_exc()
        session.report(name, {"size": size, "failed": f"{type(error).__name__}: {error}"[:400]})
    if series.starts:
        session.broker.kill()
    elif session.broker.process is not None and session.broker.process.poll() is not None:
        session.broker.start(keep=True)
        session.loadgen("ready")


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="benches.versus.series", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer sizes, shorter runs: under 10 minutes")
    parser.add_argument(
        "--rounds", type=int, default=1, help="how often each point is measured; the charts show medians"
    )
    parser.add_argument("--only", default="", help=f"comma-separated, of: {', '.join(SERIES)}; the others' points stay")
    parser.add_argument("--brokers", default="kafka,odradek")
    parser.add_argument("--odradek", help="the command; default: the odradek beside this Python")
    parser.add_argument("--out", type=Path, default=HERE, help="folder of series.jsonl")
    parser.add_argument("--port", type=int, default=29392)
    return parser.parse_args()


def main() -> None:
    """Measure what was asked for."""
    args = arguments()
    wanted = [name for name in args.only.split(",") if name] or list(SERIES)
    if unknown := set(wanted) - set(SERIES):
        raise SystemExit(f"no such series: {', '.join(sorted(unknown))}")
    under_test.build_loadgen()
    args.out.mkdir(parents=True, exist_ok=True)
    record = Record(args.out / "series.jsonl", keep=bool(args.only))
    with tempfile.TemporaryDirectory(prefix="odradek-series-") as work:
        kafka = Kafka(Path(work), args.port)
        ours = Odradek(Path(work), args.port + 1, under_test.odradek_command(args.odradek))
        known: dict[str, Broker] = {"kafka": kafka, "odradek": ours}
        brokers = [known[name] for name in args.brokers.split(",")]
        record.about(rounds=args.rounds, quick=args.quick, **under_test.describe(kafka))
        try:
            for number in range(1, args.rounds + 1):
                for name in wanted:
                    run(name, [Session(each, kafka, record, quick=args.quick, round_number=number) for each in brokers])
        finally:
            for broker in brokers:
                broker.kill()


if __name__ == "__main__":
    main()
