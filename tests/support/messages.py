"""Kafka messages from plain dictionaries, at any version, encoded and decoded by kio.

One dictionary describes a request for every version: a field that a version does not have is left out, a field that no version has
is an error, and a field without default must be given. Times are milliseconds, as on the wire. `support/wire.py` sends the result.
"""

from __future__ import annotations

import dataclasses
import datetime
import io
import typing
import uuid
from functools import cache
from typing import Any

from kio.index import load_request_schema, load_response_schema
from kio.schema.index import api_key_map, schema_name_map
from kio.serial import entity_reader, entity_writer

API_KEYS: dict[str, int] = {name: key for key, name in api_key_map.items()}


def kio_versions(api: str) -> tuple[int, int]:
    """Return the lowest and highest version of an API that the oracle knows."""
    versions = sorted(schema_name_map[api])
    return versions[0], versions[-1]


def request(api: str, version: int, fields: dict[str, Any]) -> Any:
    """Return kio's request entity for one version."""
    unknown = _used(fields) - _names(api)
    if unknown:
        raise AssertionError(f"no version of {api} has {sorted(unknown)}")
    return _build(load_request_schema(API_KEYS[api], version), fields)


def encode(entity: Any) -> bytes:
    """Return the bytes of a kio entity."""
    buffer = io.BytesIO()
    entity_writer(type(entity))(buffer, entity)
    return buffer.getvalue()


def encode_request(
    api: str, version: int, fields: dict[str, Any], *, correlation_id: int = 1, client_id: str | None = "wire"
) -> bytes:
    """Return a whole request, header and body, without its length prefix."""
    body = request(api, version, fields)
    return header_of(type(body), correlation_id=correlation_id, client_id=client_id) + encode(body)


def header_of(schema: Any, *, correlation_id: int, client_id: str | None) -> bytes:
    """Return the request header that goes before a request of this schema."""
    header_schema = schema.__header_schema__
    values: dict[str, Any] = {
        "request_api_key": schema.__api_key__,
        "request_api_version": schema.__version__,
        "correlation_id": correlation_id,
        "client_id": client_id,
    }
    known = {field.name for field in dataclasses.fields(header_schema)}
    return encode(header_schema(**{name: value for name, value in values.items() if name in known}))


def header_of_response(api: str, version: int, correlation_id: int) -> bytes:
    """Return the response header of an API version."""
    schema = load_response_schema(API_KEYS[api], version).__header_schema__
    return encode(schema(correlation_id=correlation_id))


def decode_response(api: str, version: int, frame: bytes) -> tuple[int, Any]:
    """Return (correlation id, response); every byte of the frame must be accounted for."""
    schema = load_response_schema(API_KEYS[api], version)
    header, used = entity_reader(schema.__header_schema__)(frame, 0)
    response, size = entity_reader(schema)(frame, used)
    if used + size != len(frame):
        raise AssertionError(f"{api} v{version}: {len(frame) - used - size} bytes follow the response")
    return header.correlation_id, response


@cache
def _names(api: str) -> set[str]:
    """Return every field name that any version of a request has, at any depth."""
    names: set[str] = set()
    for version in schema_name_map[api]:
        _collect(load_request_schema(API_KEYS[api], version), names)
    return names


def _collect(schema: Any, names: set[str]) -> None:
    for field in dataclasses.fields(schema):
        names.add(field.name)
        inner = _entity_in(field.type)
        if inner is not None:
            _collect(inner, names)


def _used(value: Any) -> set[str]:
    """Return the keys of a tree of dictionaries and lists."""
    if isinstance(value, dict):
        return set(value).union(*(_used(inner) for inner in value.values()))
    if isinstance(value, (list, tuple)):
        return set().union(*(_used(item) for item in value))
    return set()


def _entity_in(annotation: Any) -> Any:
    """Return the dataclass inside `X`, `X | None`, `tuple[X, ...]` or `tuple[X, ...] | None`, if there is one."""
    if dataclasses.is_dataclass(annotation):
        return annotation
    for argument in typing.get_args(annotation):
        inner = _entity_in(argument)
        if inner is not None:
            return inner
    return None


def _build(schema: Any, fields: dict[str, Any]) -> Any:
    values = {}
    for field in dataclasses.fields(schema):
        if field.name in fields:
            values[field.name] = _convert(field, fields[field.name])
        elif field.default is dataclasses.MISSING:
            raise AssertionError(f"{schema.__module__}.{schema.__name__} needs {field.name}")
    return schema(**values)


def _convert(field: dataclasses.Field[Any], value: Any) -> Any:
    if value is None:
        return None
    inner = _entity_in(field.type)
    if isinstance(value, (list, tuple)) and not isinstance(value, bytes):
        if inner is None:
            return tuple(value)
        # Some versions hold bare names where others hold a structure: {"name": ...} stands for both.
        return tuple(_build(inner, item) if isinstance(item, dict) else item for item in value)
    if inner is not None:
        return _build(inner, value) if isinstance(value, dict) else value
    match field.metadata.get("kafka_type"):
        case "timedelta_i32" | "timedelta_i64":
            return datetime.timedelta(milliseconds=value)
        case "datetime_i64":
            return datetime.datetime.fromtimestamp(value / 1000, datetime.UTC)
        case "uuid":
            return value if isinstance(value, uuid.UUID) else uuid.UUID(bytes=value)
        case _:
            return value
