"""The rows of a session on their way to disk: each is written down at once, so that an interrupted session keeps its rows."""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING, Any

from benches.versus.report import ABOUT

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
        self._load = os.getloadavg()[0]
        self._write()

    @property
    def rows(self) -> list[dict[str, Any]]:
        """All rows, the earlier ones first."""
        return self._earlier + self._now

    def about(self, *, rounds: int, quick: bool, **what: str) -> None:
        """Add the row that says what was measured, when and how; takes the place of an earlier session's."""
        self._earlier = [row for row in self._earlier if row["case"] != ABOUT]
        kept = {"kept": f"{len(self._earlier)} rows are of an earlier session"} if self._earlier else {}
        today = time.strftime("%Y-%m-%d", time.gmtime())
        load = f"{self._load:.1f}"
        session = f"{rounds} rounds{', quick' if quick else ''}"
        self._now.append(
            {"case": ABOUT, "about": {"date": today, **what, "session": session, "load average before": load, **kept}}
        )
        self._write()

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
