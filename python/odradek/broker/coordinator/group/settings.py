"""The broker settings that the group coordinator goes by, as one frozen value."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from odradek.broker.coordinator.group.states import Limits

__all__ = ["GroupSettings"]


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

    @classmethod
    def from_broker(cls, settings: Mapping[str, str]) -> Self:
        """Read the options out of effective broker settings (Kafka's names, values as text, validated)."""

        def number(name: str, default: int) -> int:
            return int(settings.get(name, default))

        limits, ours = Limits(), cls()
        retention_minutes = number("offsets.retention.minutes", ours.offsets_retention_ms // 60_000)
        return cls(
            Limits(
                number("group.initial.rebalance.delay.ms", limits.initial_rebalance_delay_ms),
                number("group.max.size", limits.max_size),
            ),
            number("group.min.session.timeout.ms", ours.min_session_timeout_ms),
            number("group.max.session.timeout.ms", ours.max_session_timeout_ms),
            number("offset.metadata.max.bytes", ours.offset_metadata_max_bytes),
            retention_minutes * 60_000,
            number("offsets.retention.check.interval.ms", ours.offsets_retention_check_interval_ms),
            number("message.max.bytes", ours.max_batch_bytes),
        )
