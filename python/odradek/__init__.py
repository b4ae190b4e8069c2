"""odradek: an event broker that speaks Kafka's wire protocol, inside a Python package."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from odradek.broker.embedded import Broker
    from odradek.client.producer.producer import Producer

    __version__: str

__all__ = ["Broker", "Producer", "__version__"]

_HOMES = {
    "Broker": "odradek.broker.embedded",
    "Producer": "odradek.client.producer.producer",
}
"""Public names and the modules that define them; imported at first use, so that the command line starts quickly."""


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version  # noqa: PLC0415

        return version("odradek")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415

    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
