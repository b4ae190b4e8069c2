"""Members of a classic group on raw sockets, and rounds of them: each request parked by Rust, or Python's.

A request that comes alone is parked if it is plain; one right behind a ListGroups in the same write may not overtake what
Python has to answer, and so is Python's as well.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

from kio.schema.errors import ErrorCode
from support import messages, oracles, topics
from support.wire import Wire

JOIN, SYNC, NUMBER = "join_group", "sync_group", 77
BLOB = b"\x00\x01\x00\x00\x00\x00\xff\xff\xff\xff"


def frame(api: str, version: int, fields: dict[str, Any], number: int = NUMBER) -> bytes:
    encoded = messages.encode_request(api, version, fields, correlation_id=number, client_id="c")
    return struct.pack(">i", len(encoded)) + encoded


class Member:
    """One member, which keeps what it was told."""

    def __init__(self, bootstrap: str, group: str, *, instance: str | None = None) -> None:
        self.wire = Wire(bootstrap)
        self.group = group
        self.instance = instance
        self.versions = (9, 5)
        self.member_id = ""
        self.generation = -1
        self.leader = ""
        self.everybody: list[str] = []
        self.metadata = BLOB
        self._skips = False

    @property
    def leads(self) -> bool:
        return self.member_id == self.leader

    def _send(self, api: str, version: int, fields: dict[str, Any], *, plain: bool) -> None:
        before = b"" if plain else frame("list_groups", 4, {"states_filter": []}, 76)
        self._skips = not plain
        self.wire.send_raw(before + frame(api, version, fields))

    def receive_frame(self) -> bytes:
        if self._skips:
            self.wire.receive_frame()
            self._skips = False
        return self.wire.receive_frame()

    def _receive(self, api: str, version: int) -> Any:
        answer = self.receive_frame()
        oracles.assert_canonical(api, version, answer)
        number, response = messages.decode_response(api, version, answer)
        assert number == NUMBER
        return response

    def join_fields(self, **changes: Any) -> dict[str, Any]:
        fields = {
            "group_id": self.group,
            "session_timeout": 30_000,
            "rebalance_timeout": 30_000,
            "member_id": self.member_id,
            "group_instance_id": self.instance,
            "protocol_type": "consumer",
            "protocols": [{"name": "range", "metadata": self.metadata}],
            "reason": None,
        }
        return fields | changes

    def send_join(self, *, plain: bool = True, **changes: Any) -> None:
        self._send(JOIN, self.versions[0], self.join_fields(**changes), plain=plain)

    def joined(self) -> Any:
        """Wait for the answer to a join, and learn from it."""
        answer = self._receive(JOIN, self.versions[0])
        if answer.error_code in {ErrorCode.none, ErrorCode.member_id_required}:
            self.member_id, self.generation, self.leader = answer.member_id, answer.generation_id, answer.leader
            self.everybody = [one.member_id for one in answer.members]
        return answer

    def send_sync(self, *, plain: bool = True, shares: Sequence[str] | None = None, **changes: Any) -> None:
        """Send a SyncGroup; the leader's has a share for each member, or for those named."""
        owners = (self.everybody if self.leads else ()) if shares is None else shares
        fields = {
            "group_id": self.group,
            "generation_id": self.generation,
            "member_id": self.member_id,
            "group_instance_id": self.instance,
            "protocol_type": "consumer",
            "protocol_name": "range",
            "assignments": [{"member_id": one, "assignment": share(one, self.generation)} for one in owners],
        }
        self._send(SYNC, self.versions[1], fields | changes, plain=plain)

    def synced(self) -> Any:
        """Wait for the answer to a sync."""
        return self._receive(SYNC, self.versions[1])


def share(member_id: str, generation: int) -> bytes:
    return f"{generation} {member_id}".encode()


def stable(bootstrap: str, group: str, members: Sequence[Member]) -> list[Member]:
    """Take members into one generation, the leader first; one at least is no static member."""
    with Wire(bootstrap) as wire:
        topics.until(lambda: wire.call("find_coordinator", 2, {"key": group, "key_type": 0}).error_code == 0)
    first = members[0]
    for one in members:
        if one.instance is None:  # while an id is given out and not back, nobody's first round ends
            one.send_join()
            assert one.joined().error_code is ErrorCode.member_id_required
    for one in members:
        one.send_join()
    for one in members:
        one.joined()
    while any(one.generation != first.generation for one in members) or len({one.leader for one in members}) != 1:
        rejoin(members)
    sync(members)
    return sorted(members, key=lambda one: not one.leads)


def rejoin(members: Sequence[Member], *, plain: Sequence[bool] | None = None) -> list[Any]:
    """Let all join with other metadata than before; return their answers."""
    ways = plain or [True] * len(members)
    for one, way in zip(members, ways, strict=True):
        one.metadata = BLOB + b"again" if one.metadata == BLOB else BLOB
        one.send_join(plain=way)
    return [one.joined() for one in members]


def sync(members: Sequence[Member], *, plain: Sequence[bool] | None = None) -> list[Any]:
    """Let all sync, the leader last; return their answers, in the order of the members."""
    ways = plain or [True] * len(members)
    for one, way in sorted(zip(members, ways, strict=True), key=lambda pair: pair[0].leads):
        one.send_sync(plain=way)
    answers = [one.synced() for one in members]
    for one, answer in zip(members, answers, strict=True):
        assert (answer.error_code, answer.assignment) == (ErrorCode.none, share(one.member_id, one.generation))
    return answers
