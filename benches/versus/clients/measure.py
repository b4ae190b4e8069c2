"""Count records against a clock and print the one line."""

from __future__ import annotations

import json
import random
import resource
import time
from typing import Any


def cpu_seconds() -> float:
    """CPU time of this process, user and system."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def payloads(size: int) -> list[bytes]:
    """500 different values of printable bytes."""
    rng = random.Random(3)
    return [bytes(rng.choices(range(32, 127), k=size)) for _ in range(500)]


class Stretch:
    """From its making (or `restart`) to the last `count`."""

    def __init__(self) -> None:
        self.records = 0
        self.restart()

    def restart(self) -> None:
        """Begin to count."""
        self.records = 0
        self.since = self.last = time.perf_counter()
        self._cpu = cpu_seconds()

    def count(self, records: int) -> None:
        """Count records that are done."""
        self.records += records
        self.last = time.perf_counter()

    def print(self, size: int, **more: Any) -> None:
        """Print the line."""
        seconds = self.last - self.since
        line = {
            "records": self.records,
            "seconds": seconds,
            "records_s": self.records / seconds if seconds else 0,
            "mb_s": self.records * size / seconds / 1e6 if seconds else 0,
            "client_us_a_record": 1e6 * (cpu_seconds() - self._cpu) / max(1, self.records),
            **more,
        }
        print(json.dumps(line), flush=True)
