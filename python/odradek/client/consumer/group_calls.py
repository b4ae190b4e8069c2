"""The way to a group's coordinator, and the two requests about offsets that it is sent whatever the group's protocol.

Decides nothing: error codes are returned as they came; `commits.py` judges them. A request that fails in the transport,
or is told "not me", makes the coordinator be looked for anew. What members of a group send beside this:
`classic_calls.py` and `modern_calls.py`.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import Any, Final, NamedTuple

from odradek.client.consumer.settings import GroupSettings
from odradek.client.consumer.transport import Transport
from odradek.errors import ErrorCode, OdradekError
from odradek.protocol.api_keys import ApiKey
from odradek.types import OffsetAndMetadata, TopicPartition

__all__ = ["CONTROL", "GroupCalls", "Identity"]

CONTROL: Final = 1
"""As a channel: the connection on which nothing waits for long."""
_ELSEWHERE: Final = frozenset({ErrorCode.NOT_COORDINATOR, ErrorCode.COORDINATOR_NOT_AVAILABLE})
_COMMIT: Final = (2, 9)
_STATIC_COMMIT: Final = 7
_FETCH: Final = (1, 9)
"""Versions. From 10 on topics go by id, which has nothing for us."""


class Identity(NamedTuple):
    """Who a member is to its coordinator. Without a group that assigns, member id and generation are these defaults."""

    member_id: str = ""
    generation: int = -1
    """The group's generation (classic) or this member's epoch (KIP-848); -1 while it is not in the group."""


class GroupCalls:
    """Requests of one group to its coordinator. Belongs to one asyncio loop."""

    def __init__(self, transport: Transport, settings: GroupSettings) -> None:
        self._transport = transport
        self._settings = settings
        self._coordinator: int | None = None

    async def commit(
        self, who: Identity, offsets: Mapping[TopicPartition, OffsetAndMetadata]
    ) -> dict[TopicPartition, int]:
        """Commit; return each partition's error code."""

        def build(m: Any) -> Any:
            by_topic: dict[str, list[Any]] = {}
            for (topic, partition), one in offsets.items():
                row = m.OffsetCommitRequestPartition(
                    partition_index=partition,
                    committed_offset=one.offset,
                    committed_leader_epoch=one.leader_epoch,
                    committed_metadata=one.metadata,
                )
                by_topic.setdefault(topic, []).append(row)
            return m.OffsetCommitRequest(
                group_id=self._settings.group_id,
                generation_id_or_member_epoch=who.generation,
                member_id=who.member_id,
                group_instance_id=self._settings.instance_id if who.member_id else None,
                retention_time=timedelta(milliseconds=-1),
                topics=tuple(
                    m.OffsetCommitRequestTopic(name=topic, partitions=tuple(rows)) for topic, rows in by_topic.items()
                ),
            )

        low, high = _COMMIT
        if self._settings.instance_id is not None:
            low = _STATIC_COMMIT
        answer = await self.ask(ApiKey.OFFSET_COMMIT, build, (low, high))
        return {
            TopicPartition(topic.name, row.partition_index): self.judged(row.error_code)
            for topic in answer.topics
            for row in topic.partitions
        }

    async def fetch_offsets(
        self, who: Identity, partitions: Iterable[TopicPartition]
    ) -> tuple[int, dict[TopicPartition, tuple[int, OffsetAndMetadata | None]]]:
        """Return (the group's error, for each partition its error and its commit, None when there is none).

        Asked as a member of KIP-848, the coordinator refuses when the epoch is not its present one; nobody (`Identity()`) is
        answered always.
        """
        by_topic: dict[str, list[int]] = {}
        for topic, partition in partitions:
            by_topic.setdefault(topic, []).append(partition)
        group_id = self._settings.group_id

        def build(m: Any) -> Any:
            if m.version < 8:
                rows = tuple(
                    m.OffsetFetchRequestTopic(name=topic, partition_indexes=tuple(numbers))
                    for topic, numbers in by_topic.items()
                )
                return m.OffsetFetchRequest(group_id=group_id, topics=rows, require_stable=True)
            rows = tuple(
                m.OffsetFetchRequestTopics(name=topic, partition_indexes=tuple(numbers))
                for topic, numbers in by_topic.items()
            )
            group = m.OffsetFetchRequestGroup(
                group_id=group_id, member_id=who.member_id or None, member_epoch=who.generation, topics=rows
            )
            return m.OffsetFetchRequest(groups=(group,), require_stable=True)

        answer = await self.ask(ApiKey.OFFSET_FETCH, build, _FETCH)
        if hasattr(answer, "groups"):
            (answer,) = answer.groups
        error = self.judged(getattr(answer, "error_code", 0))
        return error, {
            TopicPartition(topic.name, row.partition_index): (self.judged(row.error_code), _commit_in(row))
            for topic in answer.topics
            for row in topic.partitions
        }

    async def ask(
        self,
        api: ApiKey,
        build: Callable[[Any], Any],
        versions: tuple[int, int],
        *,
        channel: int = CONTROL,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> Any:
        """Ask the coordinator; `timeout` in seconds, None = `request.timeout.ms`. Raises what the transport raises."""
        if self._coordinator is None:
            self._coordinator = await self._transport.coordinator(self._settings.group_id)
        if timeout is None:
            timeout = self._settings.request_timeout_ms / 1000
        try:
            return await self._transport.request(
                api, build, node=self._coordinator, channel=channel, versions=versions, timeout=timeout
            )
        except OdradekError:
            self._coordinator = None
            raise

    def judged(self, error_code: int) -> int:
        """Return the code; forget the coordinator if that is what it says."""
        if error_code in _ELSEWHERE:
            self._coordinator = None
        return int(error_code)


def _commit_in(row: Any) -> OffsetAndMetadata | None:
    if row.committed_offset < 0:
        return None
    return OffsetAndMetadata(row.committed_offset, row.metadata or "", getattr(row, "committed_leader_epoch", -1))
