"""The table of docs/protocol.md, read as data: what the broker promises to serve."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from kio.schema.index import api_key_map

PAGE = Path(__file__).resolve().parents[2] / "docs" / "protocol.md"
ROW = re.compile(
    r"^\| (?P<key>\d+) \| (?P<name>\w+) \| (?P<low>\d+)(?:-(?P<high>\d+))? \| (?P<rust>Rust|Python) \|(?P<notes>.*)\|$"
)


@dataclass(frozen=True)
class Promise:
    """One row: an API key and the versions that are served."""

    key: int
    name: str
    low: int
    high: int
    side: str
    notes: str

    @property
    def api(self) -> str:
        """The oracle's name of this API."""
        return str(api_key_map[self.key])


def rows() -> list[Promise]:
    """Return the rows in the order of the page."""
    found = []
    for line in PAGE.read_text().splitlines():
        match = ROW.match(line)
        if match:
            low = int(match["low"])
            high = int(match["high"] or low)
            found.append(Promise(int(match["key"]), match["name"], low, high, match["rust"], match["notes"].strip()))
    return found
