"""The asyncio twins of odradek's clients: same names, same options, same guarantees."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from odradek.client.admin.aio import Admin
    from odradek.client.consumer.aio import Consumer
    from odradek.client.producer.aio import Producer

__all__ = ["Admin", "Consumer", "Producer"]

_HOMES = {
    "Admin": "odradek.client.admin.aio",
    "Consumer": "odradek.client.consumer.aio",
    "Producer": "odradek.client.producer.aio",
}
"""Public names and the modules that define them; imported at first use."""


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415

    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
