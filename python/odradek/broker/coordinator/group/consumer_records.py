"""The keys and values of KIP-848 consumer groups in `__consumer_offsets`, byte for byte as Apache Kafka 4.3 writes them.

`records.py` comes here for the kinds of key below; offsets and classic groups are its own. What a record means is in
`consumer.py`.

    key      int16 kind, then
      3, 4, 6      group string                                       -> the group, topics as of 3.x, target epoch
      5, 7, 8      group string, member string                        -> subscription, target, current assignment
      16           group string, expression string                    -> the topics that a regular expression matches
    value    int16 version 0, then (compact strings and arrays, tagged fields at the end of each struct)
      3      epoch int32, [tag 0: hash of the topics' metadata int64]
      5      instance, rack: nullable string; client id, client host: string; topics: array of string; regex: nullable
             string; rebalance timeout int32; assignor nullable string; tag 0: what a member of the classic protocol
             said, a byte 0 = it is none
      6      epoch int32, [tag 0: timestamp int64]
      7      array of: topic id 16 bytes, partitions array of int32
      8      epoch int32, previous epoch int32, state int8, assigned and pending revocation, each an array of: topic id
             16 bytes, partitions array of int32, [tag 0: array of int32, the epoch each was assigned at (KIP-1251)]
      16     topics array of string, version of the metadata int64, timestamp int64

Kind 4 (ConsumerGroupPartitionMetadata) is what brokers before 4.1 kept of the topics: read so that its tombstone can be
written, never written with a value. A classic member of a consumer group (kind 5, tag 0) is read without that tag.
Source: Kafka `ConsumerGroup*Key/Value.json`, `GroupCoordinatorRecordHelpers`.
"""

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from odradek.protocol.fields import INT, LONG, SHORT, Reader, compact_string, string
from odradek.protocol.fields import unsigned_varint as varint

__all__ = [
    "Assigned",
    "Assignment",
    "ConsumerGroupKey",
    "ConsumerGroupMetadata",
    "ConsumerKey",
    "ConsumerValue",
    "CurrentAssignment",
    "CurrentKey",
    "PartitionMetadata",
    "PartitionMetadataKey",
    "RegexKey",
    "ResolvedRegex",
    "Subscription",
    "SubscriptionKey",
    "TargetEpoch",
    "TargetEpochKey",
    "TargetKey",
    "TargetMember",
    "decode_key",
    "decode_value",
    "encode",
]

Assignment = Mapping[bytes, frozenset[int]]
"""Partitions by topic id (16 bytes); no topic without partitions."""
Assigned = Mapping[bytes, Mapping[int, int]]
"""The same, each partition with the epoch it was assigned at."""


class ConsumerGroupKey(NamedTuple):
    """Names a group."""

    group: str


class PartitionMetadataKey(NamedTuple):
    """Names what older brokers kept of a group's topics."""

    group: str


class SubscriptionKey(NamedTuple):
    """Names what a member is and wants."""

    group: str
    member: str


class TargetEpochKey(NamedTuple):
    """Names the epoch of a group's target assignment."""

    group: str


class TargetKey(NamedTuple):
    """Names what a member is to have."""

    group: str
    member: str


class CurrentKey(NamedTuple):
    """Names what a member has."""

    group: str
    member: str


class RegexKey(NamedTuple):
    """Names a regular expression that members subscribe by."""

    group: str
    expression: str


class ConsumerGroupMetadata(NamedTuple):
    """A group exists, at this epoch."""

    epoch: int
    topics_hash: int = 0
    """Of what the subscribed topics look like; a broker makes it as it likes and compares it with its own."""


class PartitionMetadata(NamedTuple):
    """There is a record of an older broker; its content is not kept."""


class Subscription(NamedTuple):
    """What a member is and wants."""

    instance_id: str | None
    rack_id: str | None
    client_id: str
    client_host: str
    topics: tuple[str, ...]
    """Sorted."""
    regex: str | None
    rebalance_timeout_ms: int
    assignor: str | None


class TargetEpoch(NamedTuple):
    """The group epoch that the target assignment was made for."""

    epoch: int
    timestamp_ms: int = 0


class TargetMember(NamedTuple):
    """What a member is to have."""

    partitions: Assignment


class CurrentAssignment(NamedTuple):
    """What a member has."""

    epoch: int
    previous_epoch: int
    state: int
    """A `MemberState`, or what a newer broker wrote."""
    assigned: Assigned
    revoking: Assigned
    """What it must give up and has not said to have given up."""


class ResolvedRegex(NamedTuple):
    """The topics that a regular expression matches."""

    topics: frozenset[str]
    version: int
    """Of the metadata it was resolved against; means nothing to another broker."""
    timestamp_ms: int


ConsumerKey = (
    ConsumerGroupKey | PartitionMetadataKey | SubscriptionKey | TargetEpochKey | TargetKey | CurrentKey | RegexKey
)
ConsumerValue = (
    ConsumerGroupMetadata
    | PartitionMetadata
    | Subscription
    | TargetEpoch
    | TargetMember
    | CurrentAssignment
    | ResolvedRegex
)

_KINDS: Final[Mapping[int, type[ConsumerKey]]] = {
    3: ConsumerGroupKey,
    4: PartitionMetadataKey,
    5: SubscriptionKey,
    6: TargetEpochKey,
    7: TargetKey,
    8: CurrentKey,
    16: RegexKey,
}
_KIND_OF: Final = {key: kind for kind, key in _KINDS.items()}
_VERSION: Final = b"\0\0"
_NO_TAGS: Final = b"\0"
_NOT_CLASSIC: Final = b"\1\0\1\0"
"""Tag 0 of a subscription as null: left out, it would say that the member speaks the classic protocol."""


def encode(key: ConsumerKey, value: ConsumerValue | None) -> tuple[bytes, bytes | None]:
    """Return the key and value bytes of a record."""
    head = SHORT.pack(_KIND_OF[type(key)]) + b"".join(string(part) for part in key)
    return head, None if value is None else _VERSION + b"".join(_value(value))


def decode_key(kind: int, reader: Reader) -> ConsumerKey:
    """Return the key whose kind was read. Raises what `Reader` does."""
    cls = _KINDS[kind]
    return cls(*(reader.read_string() for _ in cls._fields))


def decode_value(key: ConsumerKey, version: int, reader: Reader) -> ConsumerValue:
    """Return the value that belongs to a key, whose version was read. Raises ValueError and what `Reader` does."""
    if isinstance(key, PartitionMetadataKey):
        return PartitionMetadata()
    if version != 0:
        raise ValueError(f"version {version} is unknown")
    reader.compact = True
    if isinstance(key, ConsumerGroupKey):
        return ConsumerGroupMetadata(reader.read_int(), _tagged_long(reader))
    if isinstance(key, TargetEpochKey):
        return TargetEpoch(reader.read_int(), _tagged_long(reader))
    value = _read_value(key, reader)
    reader.read_tagged_fields()
    return value


def _read_value(key: ConsumerKey, reader: Reader) -> ConsumerValue:
    if isinstance(key, SubscriptionKey):
        return _read_subscription(reader)
    if isinstance(key, TargetKey):
        return TargetMember({topic: frozenset(parts) for topic, parts, _ in _read_partitions(reader)})
    if isinstance(key, CurrentKey):
        return _read_current(reader)
    topics = frozenset(reader.read_string() for _ in range(reader.read_count()))
    return ResolvedRegex(topics, reader.read_long(), reader.read_long())


def _value(value: ConsumerValue) -> Iterable[bytes]:
    if isinstance(value, CurrentAssignment):
        yield INT.pack(value.epoch) + INT.pack(value.previous_epoch) + value.state.to_bytes(1, "big", signed=True)
        yield from _assigned(value.assigned)
        yield from _assigned(value.revoking)
        yield _NO_TAGS
    elif isinstance(value, TargetMember):
        yield varint(len(value.partitions) + 1)
        for topic, partitions in value.partitions.items():
            yield topic + _ints(sorted(partitions)) + _NO_TAGS
        yield _NO_TAGS
    elif isinstance(value, ConsumerGroupMetadata):
        yield INT.pack(value.epoch) + _long_tag(value.topics_hash)
    elif isinstance(value, TargetEpoch):
        yield INT.pack(value.epoch) + _long_tag(value.timestamp_ms)
    elif isinstance(value, Subscription):
        yield from map(compact_string, (value.instance_id, value.rack_id, value.client_id, value.client_host))
        yield _strings(value.topics) + compact_string(value.regex)
        yield INT.pack(value.rebalance_timeout_ms) + compact_string(value.assignor) + _NOT_CLASSIC
    elif isinstance(value, ResolvedRegex):
        yield _strings(sorted(value.topics)) + LONG.pack(value.version) + LONG.pack(value.timestamp_ms) + _NO_TAGS
    else:
        raise TypeError("what older brokers kept of topics is not written")


def _assigned(partitions: Assigned) -> Iterable[bytes]:
    yield varint(len(partitions) + 1)
    for topic, epochs in partitions.items():
        indexes = sorted(epochs)
        tag = _ints([epochs[index] for index in indexes])
        yield topic + _ints(indexes) + b"\1\0" + varint(len(tag)) + tag


def _ints(values: list[int]) -> bytes:
    return varint(len(values) + 1) + b"".join(INT.pack(value) for value in values)


def _strings(texts: Iterable[str]) -> bytes:
    encoded = [compact_string(text) for text in texts]
    return varint(len(encoded) + 1) + b"".join(encoded)


def _long_tag(value: int) -> bytes:
    return b"\1\0\x08" + LONG.pack(value) if value else _NO_TAGS


def _tagged_long(reader: Reader) -> int:
    field = reader.read_tagged_fields().get(0)
    return 0 if field is None else Reader(field).read_long()


def _read_subscription(reader: Reader) -> Subscription:
    instance_id, rack_id = reader.read_nullable_string(), reader.read_nullable_string()
    client_id, client_host = reader.read_string(), reader.read_string()
    topics = tuple(sorted(reader.read_string() for _ in range(reader.read_count())))
    regex = reader.read_nullable_string()
    return Subscription(
        instance_id, rack_id, client_id, client_host, topics, regex, reader.read_int(), reader.read_nullable_string()
    )


def _read_current(reader: Reader) -> CurrentAssignment:
    epoch, previous_epoch, state = reader.read_int(), reader.read_int(), reader.read_raw(1)[0]
    assigned = _read_assigned(reader, epoch)
    return CurrentAssignment(epoch, previous_epoch, state, assigned, _read_assigned(reader, epoch))


def _read_assigned(reader: Reader, epoch: int) -> Assigned:
    """Read partitions with their epochs. Brokers before 4.3 did not tell: then it is the member's."""
    return {
        topic: dict(zip(parts, epochs if len(epochs) == len(parts) else [epoch] * len(parts), strict=True))
        for topic, parts, epochs in _read_partitions(reader)
    }


def _read_partitions(reader: Reader) -> Iterable[tuple[bytes, list[int], list[int]]]:
    for _ in range(reader.read_count()):
        topic = reader.read_raw(16)
        partitions = _read_ints(reader)
        tag = reader.read_tagged_fields().get(0)
        yield topic, partitions, [] if tag is None else _read_ints(Reader(tag, compact=True))


def _read_ints(reader: Reader) -> list[int]:
    return [reader.read_int() for _ in range(reader.read_count())]
