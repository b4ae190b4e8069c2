"""What the matrix of API versions works on: one connection, a topic with known records, groups made as needed.

`World.call` is the raw client's call with every answer put to both oracles.
"""

from __future__ import annotations

import itertools
import uuid
from dataclasses import dataclass
from typing import Any

from kio.schema.errors import ErrorCode
from support import batches, messages, oracles, topics
from support.wire import Wire

SEED_COUNT = 6
SEED_TIMESTAMP = batches.NOW
PROTOCOL = {"name": "range", "metadata": b"\x00\x01\x00\x00\x00\x00\xff\xff\xff\xff"}


@dataclass(frozen=True)
class Member:
    """A member of a stable group of one."""

    group: str
    member_id: str
    generation: int


class World:
    """Shared by a session's matrix; a case makes what it changes and leaves the seed topic alone."""

    def __init__(self, bootstrap: str) -> None:
        self.bootstrap = bootstrap
        self.wire = Wire(bootstrap)
        self.ranges = self.wire.advertised()
        self._numbers = itertools.count(1)
        self.seed = self.name("seed")
        self.seed_id = topics.create_topic(self.wire, self.seed, partitions=2)
        entries = [batches.Entry(b"value-%d" % n, b"key", SEED_TIMESTAMP + n) for n in range(SEED_COUNT)]
        topics.produce(self.wire, self.seed, batches.batch(entries[:4]))
        topics.produce(self.wire, self.seed, batches.batch(entries[4:]))

    def name(self, stem: str) -> str:
        """Return a name that nobody has used."""
        return f"{stem}-{uuid.uuid4().hex[:8]}-{next(self._numbers)}"

    def serves(self, api: str, version: int) -> bool:
        """Tell whether the broker advertises this version."""
        low, high = self.ranges.get(messages.API_KEYS[api], (0, -1))
        return low <= version <= high

    def call(self, api: str, version: int, fields: dict[str, Any]) -> Any:
        """Send a request, put the answer to both oracles, and return it."""
        correlation_id = self.wire.send(api, version, fields)
        frame = self.wire.receive_frame()
        oracles.assert_canonical(api, version, frame)
        answered, response = messages.decode_response(api, version, frame)
        assert answered == correlation_id
        return response

    def new_topic(self, stem: str = "case", *, partitions: int = 1) -> str:
        """Create a topic of a case's own."""
        name = self.name(stem)
        topics.create_topic(self.wire, name, partitions=partitions)
        return name

    def topic_id(self, name: str) -> uuid.UUID:
        """Return a topic's id."""
        found = topics.describe_topic(self.wire, name).topic_id
        assert found is not None
        return found

    def find_coordinator(self, group: str) -> None:
        """Wait until the group has a coordinator."""
        fields = {"key": group, "key_type": 0}
        topics.until(lambda: self.wire.call("find_coordinator", 2, fields).error_code is ErrorCode.none)

    def join_fields(self, group: str, member_id: str = "", instance: str | None = None) -> dict[str, Any]:
        """Return a JoinGroup request for every version."""
        return {
            "group_id": group,
            "session_timeout": 10_000,
            "rebalance_timeout": 10_000,
            "member_id": member_id,
            "group_instance_id": instance,
            "protocol_type": "consumer",
            "protocols": [PROTOCOL],
            "reason": "a test",
        }

    def sync_fields(self, member: Member, assignment: bytes = b"share") -> dict[str, Any]:
        """Return a SyncGroup request of the leader for every version."""
        return {
            "group_id": member.group,
            "generation_id": member.generation,
            "member_id": member.member_id,
            "protocol_type": "consumer",
            "protocol_name": "range",
            "assignments": [{"member_id": member.member_id, "assignment": assignment}],
        }

    def joined(self, stem: str = "group") -> Member:
        """Return the one member of a new group, joined but not yet synced."""
        group = self.name(stem)
        self.find_coordinator(group)
        refused = self.wire.call("join_group", 5, self.join_fields(group))
        assert refused.error_code is ErrorCode.member_id_required, refused
        accepted = self.wire.call("join_group", 5, self.join_fields(group, refused.member_id))
        assert accepted.error_code is ErrorCode.none, accepted
        return Member(group, accepted.member_id, int(accepted.generation_id))

    def stable(self, stem: str = "group") -> Member:
        """Return the one member of a new stable group."""
        member = self.joined(stem)
        synced = self.wire.call("sync_group", 3, self.sync_fields(member))
        assert synced.error_code is ErrorCode.none, synced
        return member

    def leave(self, member: Member) -> None:
        """Take the member out, so that the group is empty."""
        answer = self.wire.call("leave_group", 1, {"group_id": member.group, "member_id": member.member_id})
        assert answer.error_code is ErrorCode.none, answer

    def commit(self, group: str, offset: int, metadata: str = "") -> None:
        """Commit an offset of the seed topic from outside any membership."""
        self.find_coordinator(group)
        answer = self.wire.call("offset_commit", 7, self.commit_fields(group, offset, metadata))
        assert answer.topics[0].partitions[0].error_code is ErrorCode.none, answer

    def commit_fields(self, group: str, offset: int, metadata: str) -> dict[str, Any]:
        """Return an OffsetCommit request for every version."""
        row = {
            "partition_index": 0,
            "committed_offset": offset,
            "committed_leader_epoch": -1,
            "committed_metadata": metadata,
        }
        return {
            "group_id": group,
            "generation_id_or_member_epoch": -1,
            "member_id": "",
            "group_instance_id": None,
            "retention_time": -1,
            "topics": [{"name": self.seed, "topic_id": self.seed_id, "partitions": [row]}],
        }
