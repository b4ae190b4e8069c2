"""How a consumed record is written: as Kafka's console consumer does, by a kcat-like template, or as JSON.

No I/O and no client here: a writer is a function from a record to bytes.
"""

import base64
import json
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import click

from odradek.cli.parameters import as_flag, unescape

if TYPE_CHECKING:
    from odradek.types import Record

__all__ = ["PRINT_PROPERTIES", "RecordWriter", "json_writer", "line_writer", "template_writer"]

RecordWriter = Callable[["Record"], bytes]

PRINT_PROPERTIES = {
    "print.timestamp": "false",
    "print.partition": "false",
    "print.offset": "false",
    "print.headers": "false",
    "print.key": "false",
    "print.value": "true",
    "key.separator": "\\t",
    "line.separator": "\\n",
    "headers.separator": ",",
    "null.literal": "null",
}
"""Kafka's formatter properties and their defaults."""


def line_writer(properties: Mapping[str, str]) -> RecordWriter:
    """Return the writer that Kafka's console consumer would use with these properties.

    Args:
        properties: some of `PRINT_PROPERTIES`.
    """
    settings = {**PRINT_PROPERTIES, **properties}
    shown = {name: as_flag(name, value) for name, value in settings.items() if name.startswith("print.")}
    separator, line_end = unescape(settings["key.separator"]), unescape(settings["line.separator"])
    header_separator, null = unescape(settings["headers.separator"]), unescape(settings["null.literal"])

    def or_null(field: bytes | None) -> bytes:
        return null if field is None else field

    def timestamp(record: "Record") -> bytes:
        if record.timestamp_ms < 0:
            return b"NO_TIMESTAMP"
        return f"{record.timestamp_type}:{record.timestamp_ms}".encode()

    def headers(record: "Record") -> bytes:
        pairs = [name.encode() + b":" + or_null(value) for name, value in record.headers]
        return header_separator.join(pairs) if pairs else b"NO_HEADERS"

    makers: dict[str, RecordWriter] = {
        "print.timestamp": timestamp,
        "print.partition": lambda record: f"Partition:{record.partition}".encode(),
        "print.offset": lambda record: f"Offset:{record.offset}".encode(),
        "print.headers": headers,
        "print.key": lambda record: or_null(record.key),
        "print.value": lambda record: or_null(record.value),
    }
    wanted = [maker for name, maker in makers.items() if shown[name]]
    return lambda record: separator.join([make(record) for make in wanted]) + line_end


def _length(field: bytes | None) -> bytes:
    return b"-1" if field is None else str(len(field)).encode()


_TOKENS: dict[str, RecordWriter] = {
    "%": lambda _record: b"%",
    "t": lambda record: record.topic.encode(),
    "p": lambda record: str(record.partition).encode(),
    "o": lambda record: str(record.offset).encode(),
    "k": lambda record: record.key or b"",
    "K": lambda record: _length(record.key),
    "s": lambda record: record.value or b"",
    "S": lambda record: _length(record.value),
    "T": lambda record: str(record.timestamp_ms).encode(),
    "h": lambda record: b",".join(name.encode() + b"=" + (value or b"") for name, value in record.headers),
}


def template_writer(template: str) -> RecordWriter:
    r"""Return a writer for a template.

    `%t` topic, `%p` partition, `%o` offset, `%k` key, `%s` value, `%K` and `%S` their lengths (-1 for null),
    `%T` timestamp in ms, `%h` headers, `%%` a percent sign; `\t \n \r \0 \\ \xHH` as in C. No line end is added.

    Raises:
        click.UsageError: an unknown token.
    """
    parts: list[bytes | RecordWriter] = []
    end = 0
    for match in re.finditer("%(.?)", template, re.DOTALL):
        if match.group(1) not in _TOKENS:
            known = " ".join(f"%{token}" for token in _TOKENS)
            raise click.UsageError(f"unknown token {match.group(0)!r} in --format; there are {known}")
        parts += [unescape(template[end : match.start()]), _TOKENS[match.group(1)]]
        end = match.end()
    parts.append(unescape(template[end:]))
    return lambda record: b"".join(part if isinstance(part, bytes) else part(record) for part in parts)


def _field(name: str, content: bytes | None) -> dict[str, str | None]:
    """Name a field's text; bytes that are no UTF-8 go as base64 under `<name>_base64`, so that nothing is lost."""
    if content is None:
        return {name: None}
    try:
        return {name: content.decode()}
    except UnicodeDecodeError:
        return {f"{name}_base64": base64.b64encode(content).decode("ascii")}


def json_writer(record: "Record") -> bytes:
    """Write a record as one line of JSON."""
    document = {
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "timestamp": record.timestamp_ms if record.timestamp_ms >= 0 else None,
        "timestamp_type": record.timestamp_type,
        "headers": [{"name": name, **_field("value", value)} for name, value in record.headers],
        **_field("key", record.key),
        **_field("value", record.value),
    }
    return json.dumps(document, ensure_ascii=False).encode() + b"\n"
