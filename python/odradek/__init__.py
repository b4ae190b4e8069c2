"""odradek: an event broker that speaks Kafka's wire protocol, inside a Python package."""

TYPE_CHECKING = False
"""Type checkers know the name. `typing` takes most of the time until `__main__` can make Ctrl-C quiet."""

if TYPE_CHECKING:
    from typing import Any

    from odradek.broker.embedded import Broker
    from odradek.client.admin.admin import Admin
    from odradek.client.admin.values import (
        ConfigAppend,
        ConfigResource,
        ConfigSubtract,
        MemberToRemove,
        NewPartitions,
        NewTopic,
    )
    from odradek.client.consumer.consumer import Consumer
    from odradek.client.producer.producer import Producer
    from odradek.types import OffsetAndMetadata, OffsetAndTimestamp, Record, RecordMetadata, TopicPartition

    __version__: str

__all__ = [
    "Admin",
    "Broker",
    "ConfigAppend",
    "ConfigResource",
    "ConfigSubtract",
    "Consumer",
    "MemberToRemove",
    "NewPartitions",
    "NewTopic",
    "OffsetAndMetadata",
    "OffsetAndTimestamp",
    "Producer",
    "Record",
    "RecordMetadata",
    "TopicPartition",
    "__version__",
]

_HOMES = {
    "Admin": "odradek.client.admin.admin",
    "Broker": "odradek.broker.embedded",
    "ConfigAppend": "odradek.client.admin.values",
    "ConfigResource": "odradek.client.admin.values",
    "ConfigSubtract": "odradek.client.admin.values",
    "Consumer": "odradek.client.consumer.consumer",
    "MemberToRemove": "odradek.client.admin.values",
    "NewPartitions": "odradek.client.admin.values",
    "NewTopic": "odradek.client.admin.values",
    "OffsetAndMetadata": "odradek.types",
    "OffsetAndTimestamp": "odradek.types",
    "Producer": "odradek.client.producer.producer",
    "Record": "odradek.types",
    "RecordMetadata": "odradek.types",
    "TopicPartition": "odradek.types",
}
"""Public names and the modules that define them; imported at first use, so that the command line starts quickly."""


def __getattr__(name: str) -> "Any":
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
