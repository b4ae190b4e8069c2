"""Count records against a clock and print the one line."""

from __future__ import annotations

import json
import random
import resource
import time
from typing import Any

FIRST_S = 15
"""How long a consumer may wait for its first records."""


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


class Pace:
    """Counts what a consumer takes, from its first records on; says when to stop: time is up, or nothing more comes."""

    def __init__(self, seconds: float) -> None:
        self.stretch = Stretch()
        self._started = False
        self._seconds = seconds
        self._give_up = time.perf_counter() + FIRST_S

    def took(self, records: int) -> bool:
        """Count; whether to go on."""
        now = time.perf_counter()
        if not self._started:
            if records:
                self._started = True
                self.stretch.restart()
            return now < self._give_up
        if records:
            self.stretch.count(records)
        return bool(records) and now - self.stretch.since < self._seconds

    def end(self, size: int) -> None:
        """Print the line.

        Raises:
            SystemExit: nothing was consumed.
        """
        if not self.stretch.records:
            raise SystemExit("nothing was consumed")
        self.stretch.print(size)
