"""The two blobs that members of a consumer group write for each other; brokers pass them on unread. No I/O.

The admin client reads assignments, too, to show them.

Not flexible: 16-bit string lengths, 32-bit array counts, big-endian. Each version adds to the end, and a reader takes
of a newer version what it knows, so all members of a group may write their own newest.

    Subscription  version i16 | topics [string] | user_data nullable bytes
                  v1 owned_partitions [topic string, partitions [i32]]   v2 generation_id i32   v3 rack_id nullable string
    Assignment    version i16 | assigned_partitions [topic string, partitions [i32]] | user_data nullable bytes

Source: Kafka `ConsumerProtocolSubscription.json`, `ConsumerProtocolAssignment.json` (KIP-429, KIP-792, KIP-881).
"""

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from odradek.errors import RemoteProtocolError
from odradek.types import TopicPartition

__all__ = [
    "Subscription",
    "assigned_by",
    "decode_assignment",
    "decode_subscription",
    "encode_assignment",
    "encode_subscription",
]

VERSION: Final = 3
NO_GENERATION: Final = -1


@dataclass(frozen=True, slots=True)
class Subscription:
    """What one member tells the leader."""

    topics: tuple[str, ...]
    user_data: bytes | None = None
    """The assignor's own; see the assignor."""
    owned: tuple[TopicPartition, ...] = ()
    """What the member holds and may go on holding."""
    generation: int = NO_GENERATION
    """The generation that `owned` was given in."""
    rack: str | None = None
    instance_id: str | None = None
    """The member's `group.instance.id`. Not in the blob: the coordinator tells it."""


def encode_subscription(subscription: Subscription) -> bytes:
    """Return the newest version's bytes."""
    out = bytearray(struct.pack(">hi", VERSION, len(subscription.topics)))
    for topic in subscription.topics:
        out += _string(topic)
    out += _nullable_bytes(subscription.user_data)
    out += encode_partitions(subscription.owned)
    out += struct.pack(">i", subscription.generation)
    out += struct.pack(">h", -1) if subscription.rack is None else _string(subscription.rack)
    return bytes(out)


def decode_subscription(blob: bytes, instance_id: str | None = None) -> Subscription:
    """Read a subscription of any version.

    Raises:
        RemoteProtocolError: the blob is cut short or its counts lie; another member wrote it.
    """
    reader = BlobReader(blob, "subscription")
    version = reader.int16()
    topics = tuple(reader.string() for _ in range(reader.count()))
    user_data = reader.nullable_bytes()
    owned = tuple(reader.partitions()) if version >= 1 else ()
    generation = reader.int32() if version >= 2 else NO_GENERATION
    rack = reader.nullable_string() if version >= 3 else None
    return Subscription(topics, user_data, owned, generation, rack, instance_id)


def encode_assignment(partitions: Iterable[TopicPartition], user_data: bytes | None = None) -> bytes:
    """Return the newest version's bytes."""
    return struct.pack(">h", VERSION) + encode_partitions(partitions) + _nullable_bytes(user_data)


def decode_assignment(blob: bytes) -> list[TopicPartition]:
    """Read an assignment of any version; an empty blob is no partitions, as a broker answers when there is no leader.

    Raises:
        RemoteProtocolError: the blob is cut short or its counts lie; the group's leader wrote it.
    """
    if not blob:
        return []
    reader = BlobReader(blob, "assignment")
    reader.int16()
    return reader.partitions()


def assigned_by(blob: bytes) -> tuple[TopicPartition, ...]:
    """Return the partitions of an assignment that is only looked at; none if it is no assignment."""
    try:
        return tuple(decode_assignment(blob))
    except RemoteProtocolError:
        return ()


def encode_partitions(partitions: Iterable[TopicPartition]) -> bytes:
    """Return `[topic string, partitions [i32]]`, in the order of topics' first appearance."""
    by_topic: dict[str, list[int]] = {}
    for topic, partition in partitions:
        by_topic.setdefault(topic, []).append(partition)
    out = bytearray(struct.pack(">i", len(by_topic)))
    for topic, numbers in by_topic.items():
        out += _string(topic) + struct.pack(f">i{len(numbers)}i", len(numbers), *numbers)
    return bytes(out)


def _string(text: str) -> bytes:
    data = text.encode()
    return struct.pack(">h", len(data)) + data


def _nullable_bytes(data: bytes | None) -> bytes:
    return struct.pack(">i", -1) if data is None else struct.pack(">i", len(data)) + data


class BlobReader:
    """Takes a blob apart from its start. Everything that does not fit is a RemoteProtocolError."""

    def __init__(self, blob: bytes, what: str) -> None:
        self._blob = blob
        self._at = 0
        self._what = what

    def _take(self, size: int) -> bytes:
        if size < 0 or self._at + size > len(self._blob):
            raise RemoteProtocolError(
                f"a member's {self._what} of {len(self._blob)} bytes is cut short or malformed at byte {self._at}"
            )
        data = self._blob[self._at : self._at + size]
        self._at += size
        return data

    def int16(self) -> int:
        """Return the next 2 bytes."""
        return int.from_bytes(self._take(2), "big", signed=True)

    def int32(self) -> int:
        """Return the next 4 bytes."""
        return int.from_bytes(self._take(4), "big", signed=True)

    def count(self) -> int:
        """Return an array's length: not more than bytes are left, as an element has one at least."""
        count = self.int32()
        if not 0 <= count <= len(self._blob) - self._at:
            raise RemoteProtocolError(f"a member's {self._what} claims {count} elements at byte {self._at - 4}")
        return count

    def string(self) -> str:
        """Return a string that may not be null."""
        text = self.nullable_string()
        if text is None:
            raise RemoteProtocolError(f"a member's {self._what} has a null string at byte {self._at - 2}")
        return text

    def nullable_string(self) -> str | None:
        """Return a string or None."""
        size = self.int16()
        if size == -1:
            return None
        try:
            return self._take(size).decode()
        except UnicodeDecodeError as error:
            raise RemoteProtocolError(f"a member's {self._what} has a string that is not UTF-8: {error}") from error

    def nullable_bytes(self) -> bytes | None:
        """Return bytes or None."""
        size = self.int32()
        return None if size == -1 else self._take(size)

    def partitions(self) -> list[TopicPartition]:
        """Return what `encode_partitions` wrote."""
        found: list[TopicPartition] = []
        for _ in range(self.count()):
            topic = self.string()
            size = self.count()
            found += [TopicPartition(topic, number) for number in struct.unpack(f">{size}i", self._take(4 * size))]
        return found

    @property
    def left(self) -> int:
        """Bytes not read yet."""
        return len(self._blob) - self._at
