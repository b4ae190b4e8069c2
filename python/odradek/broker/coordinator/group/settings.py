"""The broker settings that the group coordinator goes by, as one frozen value; and what it asks of the engine."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol, Self

from odradek.broker.coordinator.group.states import Limits
from odradek.config.broker import BrokerSettings

__all__ = ["GroupSettings", "Names"]


class Names(Protocol):
    """What of the engine consumer groups need; see `_native.pyi`."""

    def matching_names(self, expression: str, names: Sequence[str]) -> list[str]: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class GroupSettings:
    """Defaults are Kafka's; the option is named beside each."""

    limits: Limits = field(default_factory=Limits)
    min_session_timeout_ms: int = 6_000
    """`group.min.session.timeout.ms`."""
    max_session_timeout_ms: int = 1_800_000
    """`group.max.session.timeout.ms`."""
    offset_metadata_max_bytes: int = 4_096
    """`offset.metadata.max.bytes`."""
    offsets_retention_ms: int = 10_080 * 60_000
    """`offsets.retention.minutes`."""
    offsets_retention_check_interval_ms: int = 600_000
    """`offsets.retention.check.interval.ms`."""
    max_batch_bytes: int = 1_048_588
    """`message.max.bytes`: the largest batch `__consumer_offsets` takes."""
    serves_consumer_protocol: bool = True
    """`group.coordinator.rebalance.protocols` names `consumer`."""
    consumer_session_timeout_ms: int = 45_000
    """`group.consumer.session.timeout.ms`."""
    consumer_heartbeat_interval_ms: int = 5_000
    """`group.consumer.heartbeat.interval.ms`."""
    consumer_max_size: int = 2**31 - 1
    """`group.consumer.max.size`."""
    consumer_assignors: tuple[str, ...] = ("uniform", "range")
    """`group.consumer.assignors`: the first is the default."""

    @classmethod
    def from_broker(cls, settings: BrokerSettings) -> Self:
        """Read the options out of a broker's settings, which are valid."""
        number = settings.number
        return cls(
            Limits(number("group.initial.rebalance.delay.ms"), number("group.max.size")),
            number("group.min.session.timeout.ms"),
            number("group.max.session.timeout.ms"),
            number("offset.metadata.max.bytes"),
            number("offsets.retention.minutes") * 60_000,
            number("offsets.retention.check.interval.ms"),
            number("message.max.bytes"),
            "consumer" in settings.words("group.coordinator.rebalance.protocols"),
            number("group.consumer.session.timeout.ms"),
            number("group.consumer.heartbeat.interval.ms"),
            number("group.consumer.max.size"),
            settings.words("group.consumer.assignors"),
        )
