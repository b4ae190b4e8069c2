"""What the machine and a process tree have used, from /proc; and what machine it is."""

from __future__ import annotations

import dataclasses
import os
import platform
import time
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
PROC = Path("/proc")
CPU_CLOCK_OF_PROCESS = 2
"""Linux makes a process's clock id of its complement, shifted, and this; what clock_getcpuclockid(3) returns."""


def _stat_fields(pid: int) -> list[str]:
    """Fields of /proc/PID/stat from the state on; empty when the process is gone."""
    try:
        return (PROC / str(pid) / "stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return []


def tree(pid: int) -> list[int]:
    """Return `pid` and all its descendants."""
    children: dict[int, list[int]] = {}
    for entry in PROC.iterdir():
        if entry.name.isdigit() and (fields := _stat_fields(int(entry.name))):
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found, todo = [], [pid]
    while todo:
        found.append(todo.pop())
        todo += children.get(found[-1], [])
    return found


def cpu_seconds(pid: int) -> float:
    """CPU time of the tree so far, user and system, to the microsecond: /proc/PID/stat counts user and system by 10 ms each."""
    return sum(_process_cpu_seconds(each) for each in tree(pid))


def _process_cpu_seconds(pid: int) -> float:
    """Read another process's CPU clock; 0 when it is gone."""
    try:
        return time.clock_gettime(~pid << 3 | CPU_CLOCK_OF_PROCESS)
    except OSError:
        return 0.0


def busy_seconds() -> float:
    """CPU time that the whole machine has spent so far, other guests' included."""
    first = (PROC / "stat").read_text().splitlines()[0]
    user, nice, system, _idle, _wait, irq, soft_irq, steal = (int(field) for field in first.split()[1:9])
    return (user + nice + system + irq + soft_irq + steal) / TICKS


def memory_mb(pid: int) -> dict[str, float]:
    """Resident and anonymous memory of the tree in MB (2**20)."""
    totals = {"VmRSS": 0, "RssAnon": 0}
    for each in tree(pid):
        try:
            lines = (PROC / str(each) / "status").read_text().splitlines()
        except OSError:
            continue
        for line in lines:
            name, _, rest = line.partition(":")
            if name in totals:
                totals[name] += int(rest.split()[0])
    return {"rss_mb": round(totals["VmRSS"] / 1024, 1), "anonymous_mb": round(totals["RssAnon"] / 1024, 1)}


@dataclasses.dataclass(frozen=True)
class Usage:
    """CPU seconds of a stretch of time, told apart by who used them. What is `other` disturbed the run."""

    wall_s: float
    broker_cpu_s: float
    client_cpu_s: float
    other_cpu_s: float

    @property
    def disturbed(self) -> bool:
        """Whether others took more than an eighth of the machine."""
        return self.other_cpu_s > self.wall_s * (os.cpu_count() or 1) / 8


class Meter:
    """Measures from its making to `stop`."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._wall, self._broker, self._busy = time.monotonic(), cpu_seconds(pid), busy_seconds()

    def stop(self, client_cpu_s: float) -> Usage:
        """Say what was used; `client_cpu_s` as the client's own accounting has it."""
        broker = cpu_seconds(self._pid) - self._broker
        busy = busy_seconds() - self._busy
        wall = time.monotonic() - self._wall
        others = max(0.0, busy - broker - client_cpu_s)
        return Usage(round(wall, 3), round(broker, 6), round(client_cpu_s, 3), round(others, 3))


def describe() -> dict[str, str]:
    """Name the machine."""
    info = (PROC / "cpuinfo").read_text()
    models = {line.split(":", 1)[1].strip() for line in info.splitlines() if line.startswith("model name")}
    memory = (PROC / "meminfo").read_text().split()[1]
    return {
        "processor": f"{os.cpu_count()} x {', '.join(sorted(models)) or platform.machine()}",
        "memory": f"{int(memory) / 2**20:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }
