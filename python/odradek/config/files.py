"""Read broker settings from where people keep them: `server.properties`, TOML, `--set key=value`, keyword arguments.

Nothing is judged here but the syntax; `BrokerSettings` checks names and values.
"""

from __future__ import annotations

from odradek.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path
    from typing import Any

__all__ = ["from_keywords", "parse_assignments", "parse_properties", "read_file"]


def read_file(path: Path) -> dict[str, str]:
    """Return the settings in a file: TOML if its name ends in .toml, else Java properties.

    Raises:
        ConfigError: it can't be read or has a syntax error; names the file and the line.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: {getattr(error, 'strerror', None) or error}") from error
    if path.suffix != ".toml":
        return parse_properties(text)
    import tomllib  # noqa: PLC0415 - most files are properties

    try:
        return dict(_flatten(tomllib.loads(text)))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: {error}") from error


def parse_properties(text: str) -> dict[str, str]:
    r"""Parse the format of `java.util.Properties`: comments, `=`, `:` or blank between key and value, `\` escapes.

    A key set twice keeps its last value, as in Java.
    """
    settings: dict[str, str] = {}
    for line in _logical_lines(text):
        end = _key_end(line)
        rest = line[end:].lstrip(" \t\f")
        if rest[:1] in {"=", ":"}:
            rest = rest[1:].lstrip(" \t\f")
        settings[_unescape(line[:end])] = _unescape(rest)
    return settings


def parse_assignments(pairs: Iterable[str]) -> dict[str, str]:
    """Parse `key=value` arguments.

    Raises:
        ConfigError: no `=` in one of them.
    """
    settings = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key.strip():
            raise ConfigError(f"{pair!r} is not of the form key=value")
        settings[key.strip()] = value
    return settings


def from_keywords(keywords: Mapping[str, Any]) -> dict[str, str]:
    """Turn `num_partitions=3` into `num.partitions`: `3`."""
    return {name.replace("_", "."): _text(value) for name, value in keywords.items()}


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        return ",".join(str(item) for item in value)
    return str(value)


def _flatten(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", _text(value)


def _logical_lines(text: str) -> Iterator[str]:
    pending = ""
    for raw in text.splitlines():
        line = pending + raw.lstrip(" \t\f")
        if not pending and (not line or line[0] in "#!"):
            continue
        slashes = len(line) - len(line.rstrip("\\"))
        if slashes % 2:
            pending = line[:-1]
            continue
        pending = ""
        yield line
    if pending:
        yield pending


def _key_end(line: str) -> int:
    escaped = False
    for position, char in enumerate(line):
        if not escaped and char in "=: \t\f":
            return position
        escaped = char == "\\" and not escaped
    return len(line)


_ESCAPES = {"t": "\t", "n": "\n", "r": "\r", "f": "\f"}


def _unescape(text: str) -> str:
    if "\\" not in text:
        return text
    out: list[str] = []
    position = 0
    while position < len(text):
        char = text[position]
        position += 1
        if char != "\\" or position == len(text):
            out.append(char)
            continue
        char = text[position]
        position += 1
        if char == "u":
            code = text[position : position + 4]
            try:
                out.append(chr(int(code, 16)))
            except ValueError:
                raise ConfigError(f"\\u{code} in the properties file is no character") from None
            position += 4
        else:
            out.append(_ESCAPES.get(char, char))
    return "".join(out)
