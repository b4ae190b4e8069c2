"""The rows of a session on their way to disk: each is written down at once, so that an interrupted session keeps its rows."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path


class Record:
    """Keeps the rows and writes each one down at once.

    With `keep`, the file's earlier rows stay until their case is measured again.
    """

    def __init__(self, file: Path, *, keep: bool = False) -> None:
        self._file = file
        earlier = file.read_text().splitlines() if keep and file.exists() else []
        self._earlier: list[dict[str, Any]] = [json.loads(line) for line in earlier]
        self._now: list[dict[str, Any]] = []
        self._write()

    @property
    def rows(self) -> list[dict[str, Any]]:
        """All rows, the earlier ones first."""
        return self._earlier + self._now

    @property
    def earlier(self) -> int:
        """How many rows are an earlier session's."""
        return len(self._earlier)

    def __call__(self, row: dict[str, Any]) -> None:
        """Add a row."""
        row = {name: round(value, 4) if isinstance(value, float) else value for name, value in row.items()}
        self._now.append(row)
        print(json.dumps(row), flush=True)
        left = [each for each in self._earlier if each["case"] != row["case"]]
        if len(left) < len(self._earlier):
            self._earlier = left
            self._write()
        else:
            with self._file.open("a") as out:
                out.write(json.dumps(row) + "\n")

    def _write(self) -> None:
        self._file.write_text("".join(json.dumps(row) + "\n" for row in self.rows))
