"""The keys and values in `__consumer_offsets`, byte for byte as Apache Kafka writes them.

Not here: record batches around them (`odradek.record`) and what a record means (`shard.py`).

    key      int16 version, then
      0, 1   group string, topic string, partition int32                                   -> a committed offset
      2      group string                                                                  -> a classic group
    offset   int16 version, offset int64, [leader epoch int32: 3+], metadata string, commit timestamp int64,
             [expire timestamp int64: 1 only], [tagged fields: 4+, tag 0 = 16-byte topic id]
    group    int16 version, protocol type string, generation int32, protocol nullable string, leader nullable string,
             [state timestamp int64: 2+], members int32 count of:
               member id string, [instance id nullable string: 3+], client id string, client host string,
               [rebalance timeout int32: 1+], session timeout int32, subscription bytes, assignment bytes,
             [tagged fields: 4+]
             (keys 3 to 8 and 16: consumer groups of KIP-848, see `consumer_records.py`)
    string   int16 length and UTF-8, -1 = null; from version 4 on: unsigned varint of length + 1, 0 = null
    bytes    int32 length; from version 4 on: unsigned varint of length + 1

A null value is a tombstone. Written: key 1 and 2; offset value 4, or 1 when the commit carries its own retention;
group value 3. Read: all of them.
Source: Kafka `OffsetCommitKey/Value.json`, `GroupMetadataKey/Value.json`, `GroupCoordinatorRecordHelpers`; the vectors
in `tests/vectors/consumer_offsets` were written by Kafka 4.3.1.
"""

from functools import lru_cache
from struct import Struct, error
from typing import TYPE_CHECKING, Final, NamedTuple, Union

from odradek.protocol.fields import INT, LONG, SHORT, Reader, string, unsigned_varint

if TYPE_CHECKING:
    from odradek.broker.coordinator.group.consumer_records import ConsumerKey, ConsumerValue

__all__ = [
    "GroupKey",
    "GroupMetadata",
    "MalformedRecordError",
    "MemberMetadata",
    "OffsetCommit",
    "OffsetKey",
    "Record",
    "decode",
    "decode_key",
    "encode",
]

_OFFSET_HEAD: Final = Struct(">hqi")
_BARE_OFFSET: Final = Struct(">hqiBq")
"""Version 4 with metadata of no bytes, up to the tagged fields: what nearly every commit is."""
_TIMEOUTS: Final = Struct(">iii")
"""A member's two time-outs, and the length of its subscription."""
_OFFSET_KEY_VERSION: Final = 1
_GROUP_KEY_VERSION: Final = 2
_CONSUMER_KEY_VERSIONS: Final = frozenset({3, 4, 5, 6, 7, 8, 16})
_NEWEST_VALUE_VERSION: Final = 4


class MalformedRecordError(ValueError):
    """Bytes in `__consumer_offsets` that follow none of the layouts above."""


class OffsetKey(NamedTuple):
    """Names one committed offset."""

    group: str
    topic: str
    partition: int


class GroupKey(NamedTuple):
    """Names one classic group."""

    group: str


class OffsetCommit(NamedTuple):
    """A committed offset as it is stored."""

    offset: int
    leader_epoch: int
    """-1 when the committer did not tell."""
    metadata: str
    commit_timestamp_ms: int
    expire_timestamp_ms: int = -1
    """-1 = by `offsets.retention.minutes`; else the wall-clock time, given by OffsetCommit 2-4 with a retention."""
    topic_id: bytes | None = None
    """16 bytes; guards against a topic deleted and made again under the same name."""


class MemberMetadata(NamedTuple):
    """One member of a settled generation."""

    member_id: str
    instance_id: str | None
    client_id: str
    client_host: str
    rebalance_timeout_ms: int
    session_timeout_ms: int
    subscription: bytes
    assignment: bytes


class GroupMetadata(NamedTuple):
    """A settled generation of a classic group: stable with members, or empty without."""

    protocol_type: str
    generation: int
    protocol: str | None
    leader: str | None
    state_timestamp_ms: int
    members: tuple[MemberMetadata, ...] = ()


Key = Union[OffsetKey, GroupKey, "ConsumerKey"]
Value = Union[OffsetCommit, GroupMetadata, "ConsumerValue"]


class Record(NamedTuple):
    """One record to append or to replay; a value of None is a tombstone."""

    key: Key
    value: Value | None


def encode(record: Record) -> tuple[bytes, bytes | None]:
    """Return the key and value bytes of a record."""
    key, value = record
    if isinstance(key, OffsetKey):
        encoded = _key_of_topic(key.group, key.topic) + INT.pack(key.partition)
        return encoded, None if value is None else _encode_offset(value)  # type: ignore[arg-type]  # key and value agree
    if isinstance(key, GroupKey):
        head = SHORT.pack(_GROUP_KEY_VERSION) + string(key.group)
        return head, None if value is None else _encode_group(value)  # type: ignore[arg-type]
    from odradek.broker.coordinator.group import consumer_records  # noqa: PLC0415 - many brokers never see one

    return consumer_records.encode(key, value)  # type: ignore[arg-type]


def decode_key(key: bytes) -> Key | None:
    """Return the key, or None for a kind of record this broker does not keep (share and streams groups).

    Raises:
        MalformedRecordError: cut short or not UTF-8.
    """
    try:
        reader = Reader(key)
        version = reader.read_short()
        if version in {0, _OFFSET_KEY_VERSION}:
            return OffsetKey(reader.read_string(), reader.read_string(), reader.read_int())
        if version in _CONSUMER_KEY_VERSIONS:
            from odradek.broker.coordinator.group import consumer_records  # noqa: PLC0415

            return consumer_records.decode_key(version, reader)
        return GroupKey(reader.read_string()) if version == _GROUP_KEY_VERSION else None
    except (error, UnicodeDecodeError, ValueError) as problem:
        raise MalformedRecordError(f"key {key[:64].hex()}: {problem}") from problem


def decode(key: bytes, value: bytes | None) -> Record | None:
    """Return the record, or None for a kind this broker does not keep.

    Raises:
        MalformedRecordError: cut short, not UTF-8 or of a version unknown.
    """
    decoded = decode_key(key)
    if decoded is None or value is None:
        return None if decoded is None else Record(decoded, None)
    try:
        reader = Reader(value)
        version = reader.read_short()
        if not 0 <= version <= _NEWEST_VALUE_VERSION:
            raise MalformedRecordError(f"value of {decoded}: version {version} is unknown")
        if not isinstance(decoded, OffsetKey | GroupKey):
            from odradek.broker.coordinator.group import consumer_records  # noqa: PLC0415

            return Record(decoded, consumer_records.decode_value(decoded, version, reader))
        reader.compact = version >= _NEWEST_VALUE_VERSION
        read = _decode_offset if isinstance(decoded, OffsetKey) else _decode_group
        return Record(decoded, read(reader, version))
    except (error, UnicodeDecodeError, ValueError) as problem:
        raise MalformedRecordError(f"value of {decoded}: {problem}") from problem


@lru_cache(8)  # a commit's records are encoded in one go; names come from clients, so no more of them is kept
def _key_of_topic(group: str, topic: str) -> bytes:
    """Return what the keys of all partitions begin with."""
    return SHORT.pack(_OFFSET_KEY_VERSION) + string(group) + string(topic)


def _encode_offset(value: OffsetCommit) -> bytes:
    if not value.metadata and value.expire_timestamp_ms < 0:
        bare = _BARE_OFFSET.pack(4, value.offset, value.leader_epoch, 1, value.commit_timestamp_ms)
        return bare + (b"\0" if value.topic_id is None else b"\1\0\x10" + value.topic_id)
    metadata = value.metadata.encode()
    stamp = LONG.pack(value.commit_timestamp_ms)
    if value.expire_timestamp_ms >= 0:
        expire = LONG.pack(value.expire_timestamp_ms)
        return b"".join((b"\0\1", LONG.pack(value.offset), SHORT.pack(len(metadata)), metadata, stamp, expire))
    head = _OFFSET_HEAD.pack(4, value.offset, value.leader_epoch)
    tags = b"\0" if value.topic_id is None else b"\1\0\x10" + value.topic_id
    return b"".join((head, unsigned_varint(len(metadata) + 1), metadata, stamp, tags))


def _decode_offset(reader: Reader, version: int) -> OffsetCommit:
    offset = reader.read_long()
    leader_epoch = reader.read_int() if version >= 3 else -1
    metadata = reader.read_string()
    commit_timestamp_ms = reader.read_long()
    expire_timestamp_ms = reader.read_long() if version == 1 else -1
    topic_id = reader.read_tagged_fields().get(0) if reader.compact else None
    return OffsetCommit(offset, leader_epoch, metadata, commit_timestamp_ms, expire_timestamp_ms, topic_id)


def _encode_group(value: GroupMetadata) -> bytes:
    parts = [
        SHORT.pack(3),
        string(value.protocol_type),
        INT.pack(value.generation),
        string(value.protocol),
        string(value.leader),
        LONG.pack(value.state_timestamp_ms),
        INT.pack(len(value.members)),
    ]
    for member_id, instance_id, client_id, host, rebalance_ms, session_ms, subscription, assignment in value.members:
        # Not string(): of four hundred members a call of each would be a third of the whole.
        one, two, three = member_id.encode(), client_id.encode(), host.encode()
        parts += (
            SHORT.pack(len(one)),
            one,
            string(instance_id),
            SHORT.pack(len(two)),
            two,
            SHORT.pack(len(three)),
            three,
            _TIMEOUTS.pack(rebalance_ms, session_ms, len(subscription)),
            subscription,
            INT.pack(len(assignment)),
            assignment,
        )
    return b"".join(parts)


def _decode_group(reader: Reader, version: int) -> GroupMetadata:
    protocol_type, generation = reader.read_string(), reader.read_int()
    protocol, leader = reader.read_nullable_string(), reader.read_nullable_string()
    state_timestamp_ms = reader.read_long() if version >= 2 else -1
    members = tuple(_decode_member(reader, version) for _ in range(reader.read_count()))
    return GroupMetadata(protocol_type, generation, protocol, leader, state_timestamp_ms, members)


def _decode_member(reader: Reader, version: int) -> MemberMetadata:
    member_id = reader.read_string()
    instance_id = reader.read_nullable_string() if version >= 3 else None
    client_id, client_host = reader.read_string(), reader.read_string()
    rebalance_timeout_ms = reader.read_int() if version >= 1 else -1
    session_timeout_ms = reader.read_int()
    if rebalance_timeout_ms < 0:
        rebalance_timeout_ms = session_timeout_ms  # what the members of version 0 meant
    subscription, assignment = reader.read_bytes(), reader.read_bytes()
    if reader.compact:
        reader.read_tagged_fields()
    return MemberMetadata(
        member_id,
        instance_id,
        client_id,
        client_host,
        rebalance_timeout_ms,
        session_timeout_ms,
        subscription,
        assignment,
    )
