"""Serializers and deserializers by name: `str`, `int`, `float`, `json`, `none`. Anything callable will do as well.

A serializer is given the object and returns bytes; a deserializer is given bytes and returns the object. None (a null key,
a tombstone) passes by both. Source of the forms: Kafka's StringSerializer, LongSerializer, DoubleSerializer.
"""

import json
import struct
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from odradek.errors import ConfigError

__all__ = ["Deserializer", "Serializer", "deserializer", "serializer"]

Serializer = Callable[[Any], bytes | bytearray | memoryview]
Deserializer = Callable[[bytes], Any]
F = TypeVar("F", bound=Callable[[Any], Any])

_LONG: Final = struct.Struct(">q")
_DOUBLE: Final = struct.Struct(">d")


def _from_str(value: str) -> bytes:
    if not isinstance(value, str):
        raise TypeError(f"expected str, not {type(value).__name__}")
    return value.encode()


def _from_int(value: int) -> bytes:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"expected int, not {type(value).__name__}")
    try:
        return _LONG.pack(value)
    except struct.error:
        raise ValueError(f"{value} does not fit into 8 bytes") from None


def _from_float(value: float) -> bytes:
    if not isinstance(value, float | int) or isinstance(value, bool):
        raise TypeError(f"expected float, not {type(value).__name__}")
    return _DOUBLE.pack(value)


def _from_json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def _to_str(data: bytes) -> str:
    return data.decode()


def _to_int(data: bytes) -> int:
    if len(data) != _LONG.size:
        raise ValueError(f"{len(data)} bytes; an int has {_LONG.size}")
    return int(_LONG.unpack(data)[0])


def _to_float(data: bytes) -> float:
    if len(data) != _DOUBLE.size:
        raise ValueError(f"{len(data)} bytes; a float has {_DOUBLE.size}")
    return float(_DOUBLE.unpack(data)[0])


_SERIALIZERS: Final[dict[str, Serializer | None]] = {
    "none": None,
    "str": _from_str,
    "int": _from_int,
    "float": _from_float,
    "json": _from_json,
}
_DESERIALIZERS: Final[dict[str, Deserializer | None]] = {
    "none": None,
    "str": _to_str,
    "int": _to_int,
    "float": _to_float,
    "json": json.loads,
}


def serializer(given: str | Serializer | None) -> Serializer | None:
    """Return the function of a name, or the function given; None = bytes as they are.

    Raises:
        ConfigError: a name that isn't one of none, str, int, float, json.
    """
    return _named(given, _SERIALIZERS, "serializer")


def deserializer(given: str | Deserializer | None) -> Deserializer | None:
    """Return the function of a name, or the function given; None = bytes as they are.

    Raises:
        ConfigError: a name that isn't one of none, str, int, float, json.
    """
    return _named(given, _DESERIALIZERS, "deserializer")


def _named(given: str | F | None, table: Mapping[str, F | None], what: str) -> F | None:
    if not isinstance(given, str):
        return given
    if given not in table:
        raise ConfigError(f"{what} {given!r}: give {', '.join(table)}, or a callable")
    return table[given]
