"""What commands print: aligned columns for people, JSON for programs.

Columns are never cut or wrapped, so that `grep` and `awk` see whole values.
"""

import json
from collections.abc import Iterable, Sequence
from typing import Any

import click

__all__ = ["columns", "json_option", "print_columns", "print_json"]

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def columns(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """Return the lines of a table, the headings first; None shows as `-`, numbers stand at the right."""
    cells = [list(headings), *([("-" if cell is None else str(cell)) for cell in row] for row in rows)]
    kept = list(rows) if isinstance(rows, Sequence) else []
    numeric = [
        bool(kept) and all(row[at] is None or isinstance(row[at], int) for row in kept) for at in range(len(headings))
    ]
    widths = [max(len(line[at]) for line in cells) for at in range(len(headings))]
    return [
        "  ".join(
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(line, widths, numeric, strict=True)
        ).rstrip()
        for line in cells
    ]


def print_columns(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table; its headings are bold on a terminal."""
    first, *rest = columns(headings, rows)
    click.secho(first, bold=True)
    for line in rest:
        click.echo(line)


def print_json(value: Any) -> None:
    """Print one JSON document."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))
