"""Write the types of the clients' options: `python -m odradek.config.client_keywords > python/odradek/client/keywords.py`.

A test holds that file to the tables. The page for people is written by `client_page.py`.
"""

from collections.abc import Iterator
from typing import Final

from odradek.config.client import CLIENT_OPTIONS
from odradek.config.client_definition import ClientOption
from odradek.config.definition import Kind

__all__ = ["render"]

_HEAD: Final = '''"""The options of `Producer`, `Consumer` and `Admin` as types, for editors and type checkers; nothing imports this to run.

Written by `python -m odradek.config.client_keywords` from the tables in `odradek/config/client_*.py`; None = not set.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypedDict

__all__ = ["AdminKeywords", "ConsumerKeywords", "ProducerKeywords"]
'''
_CLASSES: Final = (
    ("_CommonKeywords", "TypedDict, total=False", ("producer", "consumer", "admin")),
    ("AdminKeywords", "_CommonKeywords, total=False", ("consumer", "admin")),
    ("ProducerKeywords", "_CommonKeywords, total=False", ("producer",)),
    ("ConsumerKeywords", "AdminKeywords, total=False", ("consumer",)),
)
"""Classes, what they stand on, and the clients whose tables all have their options."""
_TYPES: Final = {
    Kind.BOOLEAN: "bool",
    Kind.SHORT: "int",
    Kind.INT: "int",
    Kind.LONG: "int",
    Kind.DOUBLE: "float",
    Kind.LIST: "str | Sequence[str]",
    Kind.CLASS: "str | Callable[..., Any]",
}


def render() -> str:
    """Return the file."""
    parts = [_HEAD]
    for name, bases, kinds in _CLASSES:
        parts += [f"\nclass {name}({bases}):", f'    """Options of {", ".join(kinds)}."""\n', *_rows(kinds)]
    return "\n".join(parts)


def _rows(kinds: tuple[str, ...]) -> Iterator[str]:
    rows = {name: row for table in CLIENT_OPTIONS.values() for name, row in table.items()}
    for name in sorted(rows.keys() - {"bootstrap.servers"}):
        if tuple(kind for kind, table in CLIENT_OPTIONS.items() if name in table) == kinds:
            yield f"    {name.replace('.', '_')}: {_type(rows[name])} | None"
    yield ""


def _type(row: ClientOption) -> str:
    plain = _TYPES.get(row.kind, "str")
    return "str | int" if plain == "str" and any(value.lstrip("-").isdecimal() for value in row.aliases) else plain


if __name__ == "__main__":
    print(render(), end="")  # noqa: T201 - the file is the program's output
