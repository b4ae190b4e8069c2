"""End to end at 1,000 records a second: from produce() in one process to poll() in another."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

from benches.versus import machine
from benches.versus.session import ROOT, RunFailedError

if TYPE_CHECKING:
    from benches.versus.session import Session

RATE = 1000


def run(session: Session) -> None:
    """acks=1 and acks=all."""
    for acks in ("1", "all"):
        prefix = session.new_topic(1)
        count = (4 if session.quick else 10) * RATE
        meter = machine.Meter(session.broker.pid)
        command = session.client_command("latency", "consume", f"{prefix}0", count)
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as consumer:
            if consumer.stdout is None or consumer.stdout.readline().strip() != "ready":
                raise RunFailedError("the latency consumer did not get ready")
            producer = session.client("latency", "produce", f"{prefix}0", count, RATE, acks)
            said = json.loads(consumer.stdout.read())
        usage = meter.stop(producer.usage.client_cpu_s + said.pop("cpu_s"))
        session.report(f"end to end at {RATE} a second, acks={acks}", {**said, **producer.json()}, usage)
        session.delete(prefix)
