"""The check of `make demo` fails when it should; the demo itself is run by `make demo`."""

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "examples"))

from flights.checker import Checker
from flights.source import FLIGHT_COUNT, DemoError, read_flights


def _flight(number: int, delay: int | None = 1) -> bytes:
    return json.dumps({"number": number, "dep_delay": delay}).encode()


SENT = {b"UA": [_flight(1, 10), _flight(2, None), _flight(3, 20)], b"B6": [_flight(4)]}
WHOLE = [(0, 0, b"UA", SENT[b"UA"][0]), (0, 1, b"B6", SENT[b"B6"][0]), (0, 2, b"UA", SENT[b"UA"][1])]
LAST = (0, 3, b"UA", SENT[b"UA"][2])


def test_repeats_are_counted_once_and_delays_are_of_flights_that_departed() -> None:
    checker = Checker(SENT, with_delays=True)
    assert checker.take(WHOLE) == 3
    assert checker.take([*WHOLE[1:], LAST]) == 1
    checker.finish()
    assert (checker.count, checker.repeated) == (4, 2)
    assert checker.delays[b"UA"].flights == 3
    assert checker.delays[b"UA"].mean_delay == 15


@pytest.mark.parametrize(
    ("records", "complaint"),
    [
        ([WHOLE[0], WHOLE[2]], "lost: partition 0 went from offset 0 to 2"),
        ([(0, 0, b"UA", SENT[b"UA"][1])], "out of order: offset 0 of partition 0 is not flight 1 of UA"),
        ([(0, 0, b"UA", b"{}")], "out of order"),
        ([*WHOLE, LAST, (0, 4, b"UA", SENT[b"UA"][0])], "out of order"),
        ([(0, 0, b"XX", b"{}")], "out of order"),
    ],
)
def test_loss_disorder_and_strangers_are_found(records: list[tuple[int, int, bytes, bytes]], complaint: str) -> None:
    with pytest.raises(DemoError, match=complaint):
        Checker(SENT, with_delays=False).take(records)


def test_missing_tail_is_found() -> None:
    checker = Checker(SENT, with_delays=False)
    checker.take(WHOLE)
    with pytest.raises(DemoError, match=r"lost.*'UA': 1"):
        checker.finish()


def test_source_yields_every_flight_as_json_with_null_for_what_is_unknown() -> None:
    flights = list(read_flights(lambda _count: None))
    assert len(flights) == FLIGHT_COUNT
    first, last = json.loads(flights[0][1]), json.loads(flights[-1][1])
    assert flights[0][0] == b"UA"
    assert (first["dep_time"], first["carrier"], first["time_hour"]) == (517, "UA", "2013-01-01T10:00:00Z")
    assert last["dep_time"] is None
    assert last["air_time"] is None
