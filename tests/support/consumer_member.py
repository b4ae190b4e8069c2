"""A member of a group of KIP-848 on a bare connection: it says what a test has it say, when told to, and does nothing by itself."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from kio.schema.errors import ErrorCode

from . import topics
from .wire import Wire

HEARTBEAT = "consumer_group_heartbeat"
VERSION = 1
REBALANCE_MS = 60_000
_UNSAID = (
    "instance_id", "rack_id", "subscribed_topic_names", "subscribed_topic_regex", "server_assignor", "topic_partitions",
)  # fmt: skip


def joining(group: str, member_id: str, subscribed: Sequence[str], **said: Any) -> dict[str, Any]:
    """Return the first heartbeat of a member."""
    return {
        "group_id": group,
        "member_id": member_id,
        "member_epoch": 0,
        **dict.fromkeys(_UNSAID),
        "rebalance_timeout": REBALANCE_MS,
        "subscribed_topic_names": list(subscribed),
        "topic_partitions": [],
        **said,
    }


def staying(first: Mapping[str, Any], epoch: int, **said: Any) -> dict[str, Any]:
    """Return a heartbeat that says nothing new; a static member says its name in each."""
    silent = {**dict.fromkeys(_UNSAID), "instance_id": first["instance_id"], "rebalance_timeout": -1}
    return {**first, **silent, "member_epoch": epoch, **said}


class ConsumerMember:
    """One member. `epoch` is what it was told last."""

    def __init__(self, wire: Wire, group: str, *subscribed: str, **said: Any) -> None:
        self._wire = wire
        self.member_id = str(uuid.uuid4())
        self._first = joining(group, self.member_id, subscribed, **said)
        self.epoch = 0

    def join(self) -> Any:
        """Say everything, once there is a coordinator to say it to; return the answer."""
        asks = {"key": self._first["group_id"], "key_type": 0}
        topics.until(lambda: self._wire.call("find_coordinator", 2, asks).error_code is ErrorCode.none)
        return self._send(self._first)

    def beat(self, owned: Mapping[uuid.UUID, Sequence[int]] | None = None, **said: Any) -> Any:
        """Say that it lives, and what it has if that is given; return the answer."""
        if owned is not None:
            said["topic_partitions"] = [
                {"topic_id": topic_id, "partitions": list(numbers)} for topic_id, numbers in owned.items()
            ]
        return self._send(staying(self._first, self.epoch, **said))

    def _send(self, fields: Mapping[str, Any]) -> Any:
        answer = self._wire.call(HEARTBEAT, VERSION, dict(fields))
        assert answer.error_code is ErrorCode.none, answer
        self.epoch = answer.member_epoch
        return answer
