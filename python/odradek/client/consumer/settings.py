"""The options of one consumer, in the shape that the group's code wants."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from odradek.client.consumer.assignors.base import Assignor

__all__ = ["GroupSettings"]


@dataclass(frozen=True, slots=True)
class GroupSettings:
    """What a member of a group goes by; the names are Kafka's options."""

    group_id: str
    assignors: Sequence[Assignor] = field(default_factory=list)
    """In the order of preference."""
    instance_id: str | None = None
    session_timeout_ms: int = 45_000
    heartbeat_interval_ms: int = 3_000
    max_poll_interval_ms: int = 300_000
    request_timeout_ms: int = 30_000
    retry_backoff_ms: int = 100
    retry_backoff_max_ms: int = 1_000
    rack: str | None = None
    remote_assignor: str | None = None
    """The assignor that the broker is asked to use; None = its first. Only with KIP-848, where `assignors`, session and
    heartbeat interval are the broker's to say."""

    @property
    def cooperative(self) -> bool:
        """True when every assignor lets members go on with what they own; the group may settle on any of them."""
        return all(assignor.cooperative for assignor in self.assignors)
