"""Write docs/client-options.md from the tables of options: `python -m odradek.config.client_page > docs/client-options.md`.

A test holds the page to the tables.
"""

from collections.abc import Iterator
from typing import Final

from odradek.config.client import CLIENT_OPTIONS
from odradek.config.page import TABLE_HEAD, table_row

__all__ = ["render"]

_HEAD = """# Options of the clients

`Producer`, `Consumer` and `Admin`, here and in `odradek.aio`, take these as keyword arguments with underscores for dots
(`linger_ms=20`); `from_config({"bootstrap.servers": "...", "linger.ms": "20"})` takes Kafka's own dotted names, with
values as text or as Python's. Names, meaning, defaults and ranges are those of Apache Kafka 4.3 unless the text says
otherwise. `None` means "not set".

An unknown name is refused with what was probably meant, a value outside its range with the name, the value and what is
allowed; so are options of other clients that odradek lacks, with what to use instead. Where two options bound each
other (a pause and its maximum; `request.timeout.ms` and `default.api.timeout.ms`; `batch.size` and `buffer.memory`;
`fetch.max.bytes` and `buffer.max.bytes`, ...) and only one is set, the default of the other follows it; both set and
contradictory is an error.

Times are in milliseconds here. Arguments of methods that are called `timeout` are in seconds.

This page is written by `python -m odradek.config.client_page` from the tables in `odradek/config/client_*.py`.
"""

_SECTIONS: Final = (
    ("Producer", ("producer",)),
    ("Consumer", ("consumer",)),
    ("Consumer and Admin", ("consumer", "admin")),
    ("Producer, Consumer and Admin", ("producer", "consumer", "admin")),
)


def render() -> str:
    """Return the page."""
    parts = [_HEAD]
    for title, kinds in _SECTIONS:
        parts += [f"## {title}\n", *_table(kinds)]
    return "\n".join(parts)


def _table(kinds: tuple[str, ...]) -> Iterator[str]:
    rows = {name: row for table in CLIENT_OPTIONS.values() for name, row in table.items()}
    yield from TABLE_HEAD
    for name in sorted(rows):
        if tuple(kind for kind, table in CLIENT_OPTIONS.items() if name in table) == kinds:
            yield table_row(rows[name])
    yield ""


if __name__ == "__main__":
    print(render(), end="")  # noqa: T201 - the page is the program's output
