"""Many partitions: made, started with, and held beside many idle connections."""

from __future__ import annotations

import json
import subprocess
import time
from typing import TYPE_CHECKING

from benches.versus import machine

if TYPE_CHECKING:
    from benches.versus.session import Session

A_TOPIC = 100
CONNECTIONS = 1000


def run(session: Session) -> None:
    """Make 1,000 and 5,000 partitions, restart with them, idle with them."""
    for total in (1000,) if session.quick else (1000, 5000):
        _one(session, total)


def _one(session: Session, total: int) -> None:
    broker = session.broker
    options = {"prefix": "many-", "topics": total // A_TOPIC, "partitions": A_TOPIC}
    broker.start()
    session.loadgen("ready")
    time.sleep(2)
    meter, at = machine.Meter(broker.pid), time.time()
    session.create([f"many-{index}" for index in range(total // A_TOPIC)], A_TOPIC)
    created = time.time()
    found = session.loadgen("writable", **options)
    usage = meter.stop(found.usage.client_cpu_s)
    session.report(
        f"create {total} partitions",
        {
            "request_s": created - at,
            "all_writable_s": found.json()["all_writable_at"] - at,
            **machine.memory_mb(broker.pid),
        },
        usage,
    )
    stop_s = broker.stop()
    watcher = subprocess.Popen(session.loadgen_command("writable", **options), stdout=subprocess.PIPE, text=True)
    at = broker.start(keep=True)
    said, _ = watcher.communicate(timeout=150)
    times = json.loads(said)
    session.report(
        f"restart with {total} partitions",
        {
            "stop_s": stop_s,
            "start_s": times["api_versions_at"] - at,
            "all_writable_s": times["all_writable_at"] - at,
            "start_cpu_s": machine.cpu_seconds(broker.pid),
            **machine.memory_mb(broker.pid),
        },
    )
    _idle(session, total)
    broker.stop()


def _idle(session: Session, total: int) -> None:
    command = session.loadgen_command("idle", connections=CONNECTIONS)
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as holder:
        if holder.stderr is None or holder.stderr.readline().strip() != "open":
            raise RuntimeError("the idle connections could not be opened")
        time.sleep(3)
        meter = machine.Meter(session.broker.pid)
        time.sleep(5 if session.quick else 15)
        usage = meter.stop(0.0)
        said, _ = holder.communicate("")
    if holder.returncode != 0:
        raise RuntimeError(f"the idle connections did not survive: {said}")
    session.report(
        f"idle with {total} partitions, {CONNECTIONS} connections",
        {"idle_cpu_percent": 100 * usage.broker_cpu_s / usage.wall_s, **machine.memory_mb(session.broker.pid)},
        usage,
    )
