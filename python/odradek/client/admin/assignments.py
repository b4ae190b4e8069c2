"""Read what a consumer of a classic group is assigned: the bytes that its leader wrote and the broker only carries.

Layout, big-endian: version i16, count i32, per topic: length i16, name, count i32, partition i32 each; user data after
it is left alone. Source: Kafka `ConsumerProtocolAssignment`.
"""

import struct

from odradek.types import TopicPartition

__all__ = ["decode_assignment"]

_SHORT = struct.Struct(">h")
_INT = struct.Struct(">i")


def decode_assignment(data: bytes) -> tuple[TopicPartition, ...]:
    """Return the partitions; none if the bytes are no assignment (any member may have written anything)."""
    places: list[TopicPartition] = []
    try:
        at = _SHORT.size
        [topic_count] = _INT.unpack_from(data, at)
        at += _INT.size
        for _ in range(topic_count):
            [length] = _SHORT.unpack_from(data, at)
            at += _SHORT.size
            topic = bytes(data[at : at + length]).decode()
            at += length
            [count] = _INT.unpack_from(data, at)
            at += _INT.size
            if length < 0 or count < 0 or count * _INT.size > len(data) - at:
                return ()
            places += [TopicPartition(topic, number) for number in struct.unpack_from(f">{count}i", data, at)]
            at += count * _INT.size
    except (struct.error, UnicodeDecodeError):
        return ()
    return tuple(places)
