"""Types of command-line values that several commands share."""

import re

import click

__all__ = ["KEY_VALUE", "KeyValue", "as_flag", "unescape"]


class KeyValue(click.ParamType[tuple[str, str]]):
    """`name=value`, given as a (name, value) pair; the value may be empty and may hold more `=`."""

    name = "name=value"

    def convert(
        self, value: str | tuple[str, str], param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str]:
        """Read one value."""
        if isinstance(value, tuple):
            return value
        name, equals, text = value.partition("=")
        if not equals or not name.strip():
            self.fail(f"{value!r} is not of the form name=value", param, ctx)
        return name.strip(), text


KEY_VALUE = KeyValue()


def as_flag(name: str, value: str) -> bool:
    """Read a property that is true or false.

    Raises:
        click.UsageError: it is neither.
    """
    if value.lower() not in ("true", "false"):
        raise click.UsageError(f"property {name} must be true or false, not {value!r}")
    return value.lower() == "true"


_ESCAPES = {"t": b"\t", "n": b"\n", "r": b"\r", "0": b"\0", "\\": b"\\"}


def unescape(text: str) -> bytes:
    r"""Return the bytes that a separator or template means: `\t`, `\n`, `\r`, `\0`, `\\` and `\xHH` are single bytes."""

    def byte(match: re.Match[str]) -> bytes:
        code = match.group(1)
        return bytes.fromhex(code[1:]) if code[0] == "x" else _ESCAPES[code]

    parts = []
    end = 0
    for match in re.finditer(r"\\(x[0-9a-fA-F]{2}|[tnr0\\])", text):
        parts += [text[end : match.start()].encode(), byte(match)]
        end = match.end()
    return b"".join([*parts, text[end:].encode()])
