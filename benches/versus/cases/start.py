"""From exec to the first answer, and what an idle broker costs."""

from __future__ import annotations

import subprocess
import time
from typing import TYPE_CHECKING

from benches.versus import machine
from benches.versus.session import LOADGEN

if TYPE_CHECKING:
    from benches.versus.session import Session


def run(session: Session) -> None:
    """Start on no data, then on kept data."""
    for keep in (False, True):
        broker = session.broker
        command = [str(LOADGEN), "ready", "--address", broker.address]
        watcher = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        at = broker.start(keep=keep)
        said, _ = watcher.communicate(timeout=90)
        answered = float(said.split(":")[1].strip(" }\n"))
        cpu = machine.cpu_seconds(broker.pid)
        time.sleep(5)  # what a broker does right after its start is not idling
        meter = machine.Meter(broker.pid)
        time.sleep(3 if session.quick else 8)
        usage = meter.stop(0.0)
        session.report(
            "start on kept data" if keep else "start on no data",
            {
                "start_s": answered - at,
                "start_cpu_s": cpu,
                "idle_cpu_percent": 100 * usage.broker_cpu_s / usage.wall_s,
                **machine.memory_mb(broker.pid),
            },
            usage,
        )
        broker.stop()
