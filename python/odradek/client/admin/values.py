"""What the admin client takes and gives: frozen values. Those of brokers, topics and partitions: `client/metadata.py`."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from odradek.client.arguments import MAX_INT, is_number, mapping, text
from odradek.errors import ConfigError
from odradek.types import TopicPartition

__all__ = [
    "ConfigAppend",
    "ConfigChange",
    "ConfigEntry",
    "ConfigResource",
    "ConfigSubtract",
    "ConfigSynonym",
    "CreatedTopic",
    "GroupDescription",
    "GroupListing",
    "GroupMember",
    "LogDir",
    "LogDirPartition",
    "MemberToRemove",
    "NewPartitions",
    "NewTopic",
    "OffsetSpec",
    "Reassignment",
    "ResourceKind",
]

ResourceKind = Literal["topic", "broker", "broker_logger", "client_metrics", "group", "unknown"]
OffsetSpec = Literal["earliest", "latest", "max_timestamp"] | int
"""Which offset: the first, the one after the last, that of the newest record by time, or the first record not older than
a time in ms."""


@dataclass(frozen=True, slots=True)
class NewTopic:
    """A topic to be made. -1 = the broker's default.

    Raises:
        ConfigError: a name that is no text, or a number that is none.
    """

    name: str
    partitions: int = -1
    replication_factor: int = -1
    assignments: Mapping[int, Sequence[int]] | None = None
    """Node ids of the replicas, leader first, by partition; instead of `partitions` and `replication_factor`."""
    configs: Mapping[str, str] = field(default_factory=dict)
    """Topic settings under Kafka's names."""

    def __post_init__(self) -> None:
        text("topic name", self.name)
        for what, count, most in (
            ("partitions", self.partitions, MAX_INT),
            ("replication_factor", self.replication_factor, 2**15 - 1),
        ):
            if not is_number(count, -1, most):
                raise ConfigError(
                    f"NewTopic: {what} {count!r} is not allowed; allowed: an int up to {most}, -1 = the broker's default"
                )
        mapping("NewTopic: configs", self.configs, "of names to values")


@dataclass(frozen=True, slots=True)
class CreatedTopic:
    """A topic as it was made; -1 and None where an old broker doesn't say."""

    name: str
    topic_id: uuid.UUID | None
    partitions: int
    replication_factor: int
    configs: Mapping[str, str | None]
    """Effective settings."""


@dataclass(frozen=True, slots=True)
class NewPartitions:
    """How many partitions a topic is to have."""

    total: int
    """New and old together."""
    assignments: Sequence[Sequence[int]] | None = None
    """Node ids of the replicas of each new partition, leader first; None = the broker chooses."""


@dataclass(frozen=True, slots=True, order=True)
class ConfigResource:
    """What has settings: a topic by name, a broker by node id as text ("" = the default of all brokers), and so on.

    Raises:
        ConfigError: a kind that there is not.
    """

    kind: ResourceKind
    name: str

    def __post_init__(self) -> None:
        if self.kind not in RESOURCE_CODES:
            raise ConfigError(f"ConfigResource: kind {self.kind!r} is none of {', '.join(RESOURCE_CODES)}")


@dataclass(frozen=True, slots=True)
class ConfigSynonym:
    """One place a setting's value may come from."""

    name: str
    value: str | None
    source: str


@dataclass(frozen=True, slots=True)
class ConfigEntry:
    """One setting of a resource."""

    name: str
    value: str | None
    """None if it has no value or is a secret."""
    source: str
    """"topic", "broker", "broker_default", "static", "default", "broker_logger", "client_metrics", "group" or "unknown"."""
    read_only: bool
    sensitive: bool
    type: str
    """"boolean", "string", "int", "short", "long", "double", "list", "class", "password" or "unknown"."""
    synonyms: tuple[ConfigSynonym, ...] = ()
    """Where the value comes from, first the one in force; empty unless asked for."""
    documentation: str | None = None
    """None unless asked for."""

    @property
    def is_default(self) -> bool:
        """True when nobody has set it."""
        return self.source == "default"


@dataclass(frozen=True, slots=True)
class ConfigAppend:
    """Add values to a list setting."""

    values: str


@dataclass(frozen=True, slots=True)
class ConfigSubtract:
    """Take values out of a list setting."""

    values: str


ConfigChange = str | int | float | bool | ConfigAppend | ConfigSubtract | None
"""A new value, a change of a list, or None = back to the default."""


@dataclass(frozen=True, slots=True)
class LogDirPartition:
    """A replica in a log directory."""

    size_bytes: int
    offset_lag: int
    """How far it is behind the high watermark, or, for a future replica, behind the current one."""
    is_future: bool
    """It is being moved here from another directory."""


@dataclass(frozen=True, slots=True)
class LogDir:
    """A log directory of a broker."""

    path: str
    error: Exception | None
    """Why it can't be used; None = it can."""
    partitions: Mapping[TopicPartition, LogDirPartition]
    total_bytes: int
    """Of the file system; -1 = not known."""
    usable_bytes: int
    """Free bytes of the file system; -1 = not known."""


@dataclass(frozen=True, slots=True)
class GroupListing:
    """A group as the list of groups shows it. "" where an old broker doesn't say."""

    group_id: str
    protocol_type: str
    """"consumer" of consumers."""
    state: str
    """"Stable", "Empty", "Dead"; classic: "PreparingRebalance", "CompletingRebalance"; KIP-848: "Assigning", "Reconciling"."""
    type: str
    """"classic", "consumer", "share", ..."""


@dataclass(frozen=True, slots=True)
class GroupMember:
    """A member of a group."""

    member_id: str
    instance_id: str | None
    client_id: str
    client_host: str
    assignment: tuple[TopicPartition, ...]
    """What it has. Empty also when the group is no consumers' group."""
    type: str = ""
    """In a group of type "consumer": "consumer", or "classic" for one that still uses the other protocol; "" = not told."""
    epoch: int = -1
    """KIP-848: the member's epoch; -1 in a classic group."""
    target: tuple[TopicPartition, ...] | None = None
    """KIP-848: what it is to have; None in a classic group."""
    topics: tuple[str, ...] = ()
    """KIP-848: names that it is subscribed to."""
    pattern: str = ""
    """KIP-848: the broker's kind of pattern that it is subscribed to; "" = none."""
    rack: str | None = None
    """KIP-848: its `client.rack`."""


@dataclass(frozen=True, slots=True)
class GroupDescription:
    """A group."""

    group_id: str
    state: str
    type: str
    protocol_type: str
    assignor: str
    """Name of the assignor in use; "" = none."""
    coordinator: int
    """Node id."""
    members: tuple[GroupMember, ...]
    epoch: int = -1
    """KIP-848: the group's epoch, up by one with each change of members or subscriptions; -1 of a classic group."""
    target_epoch: int = -1
    """KIP-848: the group's epoch that the members' targets were computed for; below `epoch` while the assignor is at work."""


@dataclass(frozen=True, slots=True)
class MemberToRemove:
    """A member to be removed: by member id, or, of a static member, by instance id."""

    member_id: str = ""
    instance_id: str | None = None


@dataclass(frozen=True, slots=True)
class Reassignment:
    """A partition on its way to other brokers. Node ids."""

    replicas: tuple[int, ...]
    adding: tuple[int, ...]
    removing: tuple[int, ...]


RESOURCE_CODES: Final[dict[ResourceKind, int]] = {
    "unknown": 0, "topic": 2, "broker": 4, "broker_logger": 8, "client_metrics": 16, "group": 32,
}  # fmt: skip
"""Kafka's numbers of the kinds of resources. Source: Kafka `ConfigResource.Type`."""
RESOURCE_KINDS: Final[dict[int, ResourceKind]] = {code: kind for kind, code in RESOURCE_CODES.items()}
CONFIG_SOURCES: Final = (
    "unknown", "topic", "broker", "broker_default", "static", "default", "broker_logger", "client_metrics", "group",
)  # fmt: skip
"""By Kafka's number. Source: Kafka `DescribeConfigsResponse.ConfigSource`."""
CONFIG_TYPES: Final = (
    "unknown", "boolean", "string", "int", "short", "long", "double", "list", "class", "password",
)  # fmt: skip
"""By Kafka's number. Source: Kafka `DescribeConfigsResponse.ConfigType`."""
