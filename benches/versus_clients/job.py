"""What a driver is told, and how it counts: the loops' clocks, values and last line, the same for every library."""

from __future__ import annotations

import dataclasses
import json
import random
import time
from pathlib import Path
from typing import TYPE_CHECKING

from benches.versus.clients.measure import FIRST_S, Stretch, cpu_seconds

if TYPE_CHECKING:
    from collections.abc import Iterator

LINGER_MS = 5
BATCH_BYTES = 1_000_000
POLL_RECORDS = 1000
FLUSH_S = 30
LINES = 500
CODEC_LINES = 8_000
"""Of 1 KiB these are more than any batch: a line that came twice in one would be shortened to nothing, and the library with the
largest batches would win by a repetition that no topic has."""


@dataclasses.dataclass(frozen=True)
class Job:
    """One run: `address` of the broker, a topic, the values' size in bytes, for how long, which codec, which bound in bytes."""

    address: str
    topic: str
    size: int
    seconds: float
    codec: str
    bound: int

    def values(self) -> list[bytes]:
        """Different lines of JSON of the asked size, which codecs can shorten about as they shorten real ones."""
        rng = random.Random(5)
        words = [f"{rng.getrandbits(40):x}" for _ in range(300)]
        lines = []
        for number in range(LINES if self.codec == "none" else CODEC_LINES):
            text = f'{{"order":{number},"at":{1_700_000_000_000 + rng.randrange(10**9)}'
            while len(text) < self.size:
                text += f',"{rng.choice(words[:20])}":"{rng.choice(words)}"'
            lines.append((text[: self.size - 1] + "}").encode())
        return lines

    def rounds(self, stretch: Stretch) -> Iterator[None]:
        """Go on until time is up; the producer's loop."""
        while time.perf_counter() < stretch.since + self.seconds:
            yield


class Sizes:
    """Checks that what is read is what was written: a loop that reads nothing must not win."""

    def __init__(self, key: int, value: int) -> None:
        self._wanted = (key, value)

    def check(self, key: object, value: object) -> None:
        """Look at one record's key and value.

        Raises:
            SystemExit: they are not bytes of the sizes that were written.
        """
        found = tuple(len(each) if isinstance(each, bytes) else None for each in (key, value))
        if found != self._wanted:
            raise SystemExit(f"key and value of {found} bytes where {self._wanted} were written")


class Latencies:
    """One operation after another, for a time; the first fifth is not counted."""

    def __init__(self, seconds: float) -> None:
        self._end = time.perf_counter() + seconds
        self._cpu = cpu_seconds()
        self.taken: list[float] = []

    def rounds(self) -> Iterator[None]:
        """Time the body of the loop."""
        while (at := time.perf_counter()) < self._end:
            yield
            self.taken.append(time.perf_counter() - at)

    def print(self) -> None:
        """Print the line."""
        cpu_us = 1e6 * (cpu_seconds() - self._cpu) / len(self.taken)
        counted = sorted(self.taken[len(self.taken) // 5 :])
        at = {f"p{name}_us": 1e6 * counted[int(share * (len(counted) - 1))] for name, share in QUANTILES.items()}
        print(json.dumps({"records": len(self.taken), "client_us_a_record": cpu_us, **at}), flush=True)


QUANTILES = {"50": 0.5, "99": 0.99}


class Growth:
    """Anonymous memory of this process: how far it rises above where it was."""

    def __init__(self) -> None:
        self._before = self._now()
        self._highest = self._before

    def look(self) -> None:
        """Look at it now."""
        self._highest = max(self._highest, self._now())

    def print(self, records: int, **more: float) -> None:
        """Print the line, in MB of 2**20."""
        growth = (self._highest - self._before) / 1024
        print(json.dumps({"growth_mb": growth, "records": records, **more}), flush=True)

    @staticmethod
    def _now() -> int:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon"))


class Hold:
    """A slow reader: takes a few records at a time, so that whatever a client buffers is full."""

    RECORDS = 10
    PAUSE_S = 0.05
    SECONDS = 8.0

    def __init__(self) -> None:
        self._growth = Growth()
        self._end: float | None = None
        self._give_up = time.perf_counter() + FIRST_S
        self._records = 0

    def took(self, records: int) -> bool:
        """Count, look at the memory, rest; whether to go on."""
        self._growth.look()
        self._records += records
        now = time.perf_counter()
        if self._end is None:
            if not records:
                return now < self._give_up
            self._end = now + self.SECONDS
        time.sleep(self.PAUSE_S)
        return now < self._end

    def print(self) -> None:
        """Print the line.

        Raises:
            SystemExit: nothing was consumed.
        """
        if not self._records:
            raise SystemExit("nothing was consumed")
        self._growth.print(self._records)
