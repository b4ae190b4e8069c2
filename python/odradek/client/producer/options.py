"""Options of both producers, put in the form that Rust takes them."""

import atexit
import weakref
from collections.abc import Callable

from odradek.client.native import NativeProducer
from odradek.client.producer import dispatcher
from odradek.client.serializers import serializer
from odradek.config.client import ClientOptions
from odradek.errors import ConfigError
from odradek.types import RecordMetadata

__all__ = ["OnDelivery", "Partitioner", "open_producer"]

OnDelivery = Callable[[RecordMetadata | None, Exception | None], object]
"""Called with (RecordMetadata, None) or (None, the error)."""
Partitioner = Callable[[str, bytes | None, bytes | None, int], int]
"""Called with (topic, key, value, number of partitions); returns the partition."""

_open: "weakref.WeakSet[NativeProducer]" = weakref.WeakSet()


def open_producer(native: NativeProducer, options: ClientOptions, on_delivery: OnDelivery | None) -> None:
    """Open `native` with these options.

    Raises:
        ConfigError: a value that Rust refuses; `on_delivery` that can't be called.
    """
    if on_delivery is not None and not callable(on_delivery):
        raise ConfigError(f"on_delivery: {on_delivery!r} can't be called")
    native._open(
        options.texts,
        key_serializer=serializer(options.callables.get("key.serializer") or options.text("key.serializer")),
        value_serializer=serializer(options.callables.get("value.serializer") or options.text("value.serializer")),
        partitioner=options.callables.get("partitioner"),
        on_delivery=on_delivery,
    )
    _open.add(native)


def _close_all() -> None:
    # Threads that would call back into an interpreter that is going away are stopped while they still can be.
    for native in list(_open):
        dispatcher.end(native)
    dispatcher.join_all()


atexit.register(_close_all)
