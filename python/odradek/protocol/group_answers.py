"""Encodes the answers of JoinGroup and SyncGroup by hand, for kio takes too long over them.

The leader of a group is told of all members: 200 of them took kio 1.8 ms, while nobody else was served. These two answers
are also what a rebalance consists of, one of each a member. All others are encoded by `codec.py`, to which a test holds
these, field by field and version by version.

    JoinGroup   [throttle int32: 2+], error int16, generation int32, [protocol type: 7+], protocol (null: 7+), leader,
                [skip assignment bool: 9+], member id, array of (member id, [instance id: 5+], metadata bytes); flexible: 6+
    SyncGroup   [throttle int32: 1+], error int16, [protocol type: 5+], [protocol: 5+], assignment bytes; flexible: 4+

Source: Kafka `JoinGroupResponse.json`, `SyncGroupResponse.json`.
"""

from collections.abc import Sequence
from functools import lru_cache
from struct import Struct
from typing import Final

from odradek.protocol.fields import INT, SHORT, blob, compact_blob, compact_string, string, unsigned_varint

__all__ = ["join_group_answer", "sync_group_answer"]

_JOINED: Final = Struct(">hi")
_NO_THROTTLE: Final = bytes(4)
_HEADS_KEPT: Final = 16
"""The answers of a round go out together; names come from clients, so no more of them is kept."""


def join_group_answer(
    version: int,
    *,
    error: int,
    generation: int,
    protocol_type: str | None,
    protocol: str | None,
    leader: str,
    skip_assignment: bool,
    member_id: str,
    members: Sequence[tuple[str, str | None, bytes]],
) -> bytes:
    """Return the body of a JoinGroup answer.

    Args:
        version: 0 to 9.
        error: its code.
        generation: -1 with an error.
        protocol_type: told from version 7 on.
        protocol: the strategy chosen; None is told as "" before version 7.
        leader: its member id.
        skip_assignment: told from version 9 on.
        member_id: whose answer it is.
        members: (member id, instance id, metadata) of all members, for the leader only.
    """
    head = _head_of_joins(version, int(error), generation, protocol_type, protocol, leader, skip_assignment)
    flexible = version >= 6
    text, bytes_of = (compact_string, compact_blob) if flexible else (string, blob)
    if not members:  # as for everybody but the leader
        return head + text(member_id) + (b"\1\0" if flexible else b"\0\0\0\0")
    parts = [head, text(member_id)]
    parts.append(unsigned_varint(len(members) + 1) if flexible else INT.pack(len(members)))
    for row_id, instance_id, metadata in members:
        parts.append(text(row_id))
        if version >= 5:
            parts.append(text(instance_id))
        parts.append(bytes_of(metadata))
        if flexible:
            parts.append(b"\0")
    if flexible:
        parts.append(b"\0")
    return b"".join(parts)


def sync_group_answer(
    version: int, *, error: int, protocol_type: str | None, protocol: str | None, assignment: bytes
) -> bytes:
    """Return the body of a SyncGroup answer.

    Args:
        version: 0 to 5.
        error: its code.
        protocol_type: told from version 5 on.
        protocol: told from version 5 on.
        assignment: the member's; empty with an error.
    """
    head = _head_of_syncs(version, int(error), protocol_type, protocol)
    return head + blob(assignment) if version < 4 else head + compact_blob(assignment) + b"\0"


@lru_cache(_HEADS_KEPT)
def _head_of_joins(  # noqa: PLR0917 - a key
    version: int,
    error: int,
    generation: int,
    protocol_type: str | None,
    protocol: str | None,
    leader: str,
    skip_assignment: bool,  # noqa: FBT001
) -> bytes:
    """Return all before the member id: the same for a generation's members."""
    text = compact_string if version >= 6 else string
    head = (_NO_THROTTLE if version >= 2 else b"") + _JOINED.pack(error, generation)
    head += text(protocol_type) + text(protocol) if version >= 7 else text(protocol or "")
    head += text(leader)
    if version >= 9:
        head += b"\1" if skip_assignment else b"\0"
    return head


@lru_cache(_HEADS_KEPT)
def _head_of_syncs(version: int, error: int, protocol_type: str | None, protocol: str | None) -> bytes:
    """Return all before the assignment."""
    head = (_NO_THROTTLE if version >= 1 else b"") + SHORT.pack(error)
    if version >= 5:
        head += compact_string(protocol_type) + compact_string(protocol)
    return head
