"""A second opinion on response bytes: kafka-python's own message classes, which share nothing with kio.

A response passes when kafka-python reads it, writes it again, and the bytes are the same.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from kafka.protocol import admin, consumer, metadata, producer

from .messages import API_KEYS, decode_response, encode, header_of_response


@cache
def _classes() -> dict[int, Any]:
    """Return kafka-python's response class by API key."""
    found = {}
    for module in (admin, consumer, metadata, producer):
        for name in dir(module):
            thing = getattr(module, name)
            if name.endswith("Response") and hasattr(thing, "API_KEY"):
                found[int(thing.API_KEY)] = thing
    return found


def assert_canonical(api: str, version: int, frame: bytes) -> None:
    """Check that both oracles read a response frame and write it back byte for byte."""
    correlation_id, response = decode_response(api, version, frame)
    header = header_of_response(api, version, correlation_id)
    assert header + encode(response) == frame, f"kio writes {api} v{version} differently:\n{response}"
    schema = _classes().get(API_KEYS[api])
    if schema is None or version > schema.max_version:
        return
    body = frame[len(header) :]
    again = bytes(schema[version].decode(body).encode())
    assert again == body, f"kafka-python writes {api} v{version} differently:\n{schema[version].decode(body)}"
