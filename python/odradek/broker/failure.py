"""The response to a request that failed as a whole: its error code and otherwise nothing."""

import dataclasses
from datetime import timedelta
from types import UnionType
from typing import Any, Final, get_args, get_origin

from odradek.errors import ErrorCode
from odradek.protocol.codec import Schema, response_class

__all__ = ["failure"]

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
