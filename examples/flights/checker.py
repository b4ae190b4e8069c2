"""The check: every flight arrives, each carrier's in the order they were sent, and nothing else arrives.

Records of a partition come in the order of their offsets, some perhaps twice (at least once is the promise). So the
check streams: an offset below the next expected one is a repeat, one above it is a loss, and the record at it must be
its carrier's next flight.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from flights.source import DemoError

__all__ = ["CarrierDelay", "Checker", "ReadRecord"]

ReadRecord = tuple[int, int, bytes, bytes]
"""Partition, offset, key, value."""


@dataclass
class CarrierDelay:
    """A carrier's flights and the sum of their known departure delays in minutes."""

    flights: int = 0
    delayed: int = 0
    delay_sum: int = 0

    @property
    def mean_delay(self) -> float:
        """Mean departure delay in minutes, of the flights that departed."""
        return self.delay_sum / self.delayed if self.delayed else 0.0


class Checker:
    """Takes records as they are read, by whomever, and raises at the first that should not be."""

    def __init__(self, sent: Mapping[bytes, Sequence[bytes]], *, with_delays: bool) -> None:
        """Make a check.

        Args:
            sent: the values sent, by carrier, in order.
            with_delays: read the values and add up delays.
        """
        self._sent = sent
        self._with_delays = with_delays
        self._next_offset: defaultdict[int, int] = defaultdict(int)
        self._next_flight: defaultdict[bytes, int] = defaultdict(int)
        self.delays: defaultdict[bytes, CarrierDelay] = defaultdict(CarrierDelay)
        self.count = 0
        self.repeated = 0

    def take(self, records: Iterable[ReadRecord]) -> int:
        """Check records; return how many were new."""
        before = self.count
        for partition, offset, carrier, value in records:
            expected = self._next_offset[partition]
            if offset < expected:
                self.repeated += 1
                continue
            if offset > expected:
                raise DemoError(f"lost: partition {partition} went from offset {expected - 1} to {offset}")
            self._next_offset[partition] = offset + 1
            self._check_flight(partition, offset, carrier, value)
            self.count += 1
        return self.count - before

    def _check_flight(self, partition: int, offset: int, carrier: bytes, value: bytes) -> None:
        flights = self._sent.get(carrier, ())
        at = self._next_flight[carrier]
        if at >= len(flights) or value != flights[at]:
            raise DemoError(
                f"out of order: offset {offset} of partition {partition} is not flight {at + 1} of {carrier.decode()}"
            )
        self._next_flight[carrier] = at + 1
        if self._with_delays:
            delay = json.loads(value)["dep_delay"]
            entry = self.delays[carrier]
            entry.flights += 1
            if delay is not None:
                entry.delayed += 1
                entry.delay_sum += delay

    def finish(self) -> None:
        """Raise unless every flight has come."""
        missing = {
            carrier.decode(): len(flights) - self._next_flight[carrier]
            for carrier, flights in self._sent.items()
            if self._next_flight[carrier] < len(flights)
        }
        if missing:
            raise DemoError(f"lost: flights not read, by carrier: {missing}")
