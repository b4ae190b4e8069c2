"""What the consumers of a group subscribe to, read from the blobs they join with.

The coordinator treats those blobs as opaque but for this: offsets of a subscribed topic neither expire nor can be
deleted. Only the head is read, which all versions share; nothing here knows what an assignor adds behind it.

    version int16, topics int32 count of (string: int16 length and UTF-8), ...

Source: Kafka `ConsumerProtocolSubscription.json`, version 0.
"""

from collections.abc import Iterable
from struct import error, unpack_from

__all__ = ["subscribed_topics"]


def subscribed_topics(subscriptions: Iterable[bytes]) -> frozenset[str] | None:
    """Return all topics in the subscriptions, or None if one of them can't be read."""
    topics: set[str] = set()
    try:
        for blob in set(subscriptions):  # members of a group mostly say the same
            _collect(blob, topics)
    except (error, UnicodeDecodeError, ValueError):
        return None
    return frozenset(topics)


def _collect(blob: bytes, topics: set[str]) -> None:
    count = unpack_from(">i", blob, 2)[0]
    position = 6
    for _ in range(count):  # each turn moves on by 2 bytes at least or raises: a lying count ends with the blob
        length = unpack_from(">h", blob, position)[0]
        position += 2
        if length < 0 or position + length > len(blob):
            raise ValueError("a topic name reaches beyond the subscription")
        topics.add(blob[position : position + length].decode())
        position += length
