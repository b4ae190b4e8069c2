"""Decode requests and encode responses of one API version: a thin layer over kio's generated classes.

kio has one module for each API and version (`kio.schema.join_group.v9.response`), a frozen dataclass for each struct.
Handlers serve many versions with one body of code, so they build messages through a `Schema`, which drops the fields
that the version at hand does not have. Modules are loaded when their version is first seen (`kio_modules.py`): all
together they would cost 0.8 s and 39 MiB.

kio's habits, which show through here: durations (`throttle_time`, `timeout`) are `datetime.timedelta`; a zero UUID is
None; arrays are tuples; an error code may be any IntEnum member.

kio lets a null array pass where the schema forbids it; `decode` does not, so no handler has to think of it.
Limit: kio refuses tagged fields it does not know, so does `decode`. Responses, as a client reads them: `answers.py`.
"""

import dataclasses
from collections.abc import Iterator
from datetime import timedelta
from functools import cache
from io import BytesIO
from types import UnionType
from typing import TYPE_CHECKING, Any, Final, get_args, get_origin

from odradek.errors import RemoteProtocolError
from odradek.protocol.api_keys import ApiKey
from odradek.protocol.claims import check_claims
from odradek.protocol.kio_modules import kio_module, kio_serial

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["MAX_BODY_BYTES", "Schema", "decode", "encode", "null_arrays", "prepare", "response_class", "schema"]

MAX_BODY_BYTES: Final = 4 * 1024 * 1024
"""Longest request that is decoded here. A struct of 3 bytes on the wire becomes one of about 70 in memory: the worst
body costs some 100 MiB and one second. Produce is not decoded here and has its own limit."""

_NO_THROTTLE: Final = timedelta(0)


def decode(api_key: int, version: int, body: bytes) -> Any:
    """Return the request in `body` (what follows the request header) as kio's dataclass of that version.

    Counts and lengths that lie cost no memory: `claims.py` looks at them before kio makes room for what they claim.

    Raises:
        RemoteProtocolError: the body is cut short, malformed or longer than MAX_BODY_BYTES; the connection it came on
            can't be trusted any more.
    """
    if len(body) > MAX_BODY_BYTES:
        raise RemoteProtocolError(f"{_label(api_key, version)}: {len(body)} bytes, the limit is {MAX_BODY_BYTES}")
    reader = _request_reader(api_key, version)
    try:
        check_claims(_request_class(api_key, version), body)
        request = reader(body, 0)[0]
    except Exception as error:  # kio raises its own errors, KeyError, ValueError and OverflowError on bad bytes
        raise RemoteProtocolError(f"{_label(api_key, version)}: {error}") from error
    null = next(null_arrays(request), None)
    if null is not None:
        raise RemoteProtocolError(f"{_label(api_key, version)}: {null} is null, which it may not be")
    return request


def encode(message: Any) -> bytes:
    """Return the bytes of a request or response without its header."""
    buffer = BytesIO()
    cls: Any = type(message)
    _writer(cls)(buffer, message)
    return buffer.getvalue()


def prepare(api_key: int, version: int) -> Iterator[None]:
    """Load what the first request of an API's version would wait for, a step of at most some ms at a time."""
    kio_serial()
    yield
    _request_reader(api_key, version)
    yield
    _writer(response_class(api_key, version))


@cache
def schema(api_key: int, version: int) -> "Schema":
    """Return the (shared, immutable) schema of one version of one API."""
    return Schema(api_key, version)


class Schema:
    """Builders of one API version's messages, by class name: `m.JoinGroupResponse(error_code=..., leader=...)`.

    A builder takes every field that any version has and ignores those that this version lacks. `throttle_time` may be
    left out and is then zero. A struct that this version lacks altogether builds None.
    """

    def __init__(self, api_key: int, version: int) -> None:
        self.api_key = ApiKey(api_key)
        self.version = version

    def __getattr__(self, name: str) -> "Callable[..., Any]":
        builder = self._builder(name)
        setattr(self, name, builder)  # the next use finds it without coming here
        return builder

    def _builder(self, name: str) -> "Callable[..., Any]":
        if name.startswith("_"):
            raise AttributeError(name)
        for part in ("response", "request"):
            cls = getattr(kio_module(self.api_key, self.version, part), name, None)
            if cls is not None:
                break
        else:
            return _absent
        fields = frozenset(cls.__dataclass_fields__)
        throttled = "throttle_time" in fields

        def build(**values: Any) -> Any:
            known = {field: value for field, value in values.items() if field in fields}
            if throttled:
                known.setdefault("throttle_time", _NO_THROTTLE)
            return cls(**known)

        return build


def null_arrays(struct: Any) -> Iterator[str]:
    """Yield the names of arrays that are null against the schema; kio lets them pass."""
    cls: Any = type(struct)
    for name, nullable, nested in _arrays_of(cls):
        value = getattr(struct, name)
        if value is None:
            if not nullable:
                yield f"{type(struct).__name__}.{name}"
        elif nested:
            for element in value if isinstance(value, tuple) else (value,):
                yield from null_arrays(element)


@cache
def _arrays_of(cls: Any) -> tuple[tuple[str, bool, bool], ...]:
    """Return (name, may be null, its elements have arrays of their own) of a struct's arrays and structs with arrays."""
    rows = []
    for field in dataclasses.fields(cls):
        kind: Any = field.type
        nullable = isinstance(kind, UnionType)
        if nullable:
            kind = next(part for part in get_args(kind) if part is not type(None))
        is_array = get_origin(kind) is tuple
        element: Any = get_args(kind)[0] if is_array else kind
        nested = hasattr(element, "__dataclass_fields__") and bool(_arrays_of(element))
        if is_array or nested:
            rows.append((field.name, nullable, nested))
    return tuple(rows)


def _absent(**_values: Any) -> None:
    return None


def _label(api_key: int, version: int) -> str:
    return f"{ApiKey(api_key).name} version {version}"


def response_class(api_key: int, version: int) -> Any:
    """Return kio's dataclass of an API's response."""
    return getattr(kio_module(api_key, version, "response"), _message_name(api_key, "Response"))


def _message_name(api_key: int, suffix: str) -> str:
    return "".join(part.capitalize() for part in ApiKey(api_key).name.split("_")) + suffix


@cache
def _request_class(api_key: int, version: int) -> Any:
    return getattr(kio_module(api_key, version, "request"), _message_name(api_key, "Request"))


@cache
def _request_reader(api_key: int, version: int) -> "Callable[[bytes, int], tuple[Any, int]]":
    reader: Callable[[bytes, int], tuple[Any, int]] = kio_serial().entity_reader(_request_class(api_key, version))
    return reader


@cache
def _writer(cls: Any) -> "Callable[[BytesIO, Any], None]":
    writer: Callable[[BytesIO, Any], None] = kio_serial().entity_writer(cls)
    return writer
