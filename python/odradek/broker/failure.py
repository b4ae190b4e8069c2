"""Responses that say nothing but an error: of a request that failed as a whole, or that a fault has to refuse."""

import dataclasses
from datetime import timedelta
from types import UnionType
from typing import Any, Final, get_args, get_origin

from odradek.errors import ErrorCode
from odradek.protocol.codec import Schema, response_class

__all__ = ["failure", "refusal"]

_BLANK: Final[dict[str, Any]] = {
    "string": "",
    "bytes": b"",
    "bool": False,
    "uuid": None,
    "timedelta_i32": timedelta(0),
    "timedelta_i64": timedelta(0),
}


def failure(schema: Schema, code: ErrorCode, message: str) -> Any | None:
    """Return the response, or None if this API's response can't say that the whole request failed."""
    cls = response_class(schema.api_key, schema.version)
    fields = dataclasses.fields(cls)
    if not any(field.name == "error_code" for field in fields):
        return None
    values: dict[str, Any] = {}
    for field in fields:
        if field.name == "error_code":
            values[field.name] = code
        elif field.name == "error_message":
            values[field.name] = message
        elif field.default is dataclasses.MISSING:
            values[field.name] = _blank(field)
    return cls(**values)


def _blank(field: dataclasses.Field[Any]) -> Any:
    kind = field.type
    if get_origin(kind) is UnionType and type(None) in get_args(kind):
        return None
    if get_origin(kind) is tuple:
        return ()
    return _BLANK.get(field.metadata.get("kafka_type", ""), -1)


_NAMED_IN: Final = (
    "topics",
    "topic_names",
    "groups",
    "groups_names",
    "group_ids",
    "resources",
    "coordinator_keys",
)
"""Arrays in which requests name what they are about; the answer has a row for each element."""


def refusal(schema: Schema, request: Any, code: ErrorCode) -> Any | None:
    """Return the response that refuses the request with `code`, for each thing it names where there is no other place.

    Returns:
        kio's message, or None if this API's response has no place for an error at all.
    """
    whole = failure(schema, code, code.text)
    if whole is not None:
        return whole
    cls = response_class(schema.api_key, schema.version)
    values: dict[str, Any] = {}
    told = False
    for field in dataclasses.fields(cls):
        element = _element(field)
        if element is not None and _tells(element):
            rows = next((rows for name in _NAMED_IN if (rows := getattr(request, name, None)) is not None), ())
            values[field.name] = tuple(_row(element, row, code) for row in rows)
            told = True
        elif field.default is dataclasses.MISSING:
            values[field.name] = _blank(field)
    return cls(**values) if told else None


def _row(cls: Any, named: Any, code: ErrorCode) -> Any:
    """Return the answer's row for one element of the request: a struct with the same names, or a bare name or index."""
    values: dict[str, Any] = {}
    has_code = any(field.name == "error_code" for field in dataclasses.fields(cls))
    for field in dataclasses.fields(cls):
        element = _element(field)
        if field.name == "error_code":
            values[field.name] = code
        elif field.name == "error_message":
            values[field.name] = code.text
        elif isinstance(named, str) and field.metadata.get("kafka_type") == "string" and named:
            values[field.name], named = named, ""
        elif element is not None:
            inner = not has_code and _tells(element)
            rows = _inside(named, field.name) if inner else ()
            values[field.name] = tuple(_row(element, row, code) for row in rows)
        elif isinstance(named, int) and field.name == "partition_index":
            values[field.name] = named
        elif dataclasses.is_dataclass(named) and hasattr(named, field.name):
            values[field.name] = getattr(named, field.name)
        elif field.default is dataclasses.MISSING:
            values[field.name] = _blank(field)
    return cls(**values)


def _inside(named: Any, name: str) -> Any:
    """Return what an element of the request names itself: partitions, as structs or as bare indexes."""
    return getattr(named, name, None) or getattr(named, "partition_indexes", None) or ()


def _element(field: dataclasses.Field[Any]) -> Any | None:
    """Return the class of an array's structs; None for any other field."""
    kind: Any = field.type
    if get_origin(kind) is UnionType:
        kind = next((part for part in get_args(kind) if get_origin(part) is tuple), None)
    if get_origin(kind) is not tuple:
        return None
    element = get_args(kind)[0]
    return element if dataclasses.is_dataclass(element) else None


def _tells(cls: Any) -> bool:
    """Say whether a struct has a place for an error code, itself or further in."""
    for field in dataclasses.fields(cls):
        element = _element(field)
        if field.name == "error_code" or (element is not None and _tells(element)):
            return True
    return False
