"""Committing offsets and asking for committed ones: retries, and what each error code means for the caller.

A commit that meets a rebalance is tried again only while all its partitions have been held without a break: else it
could go over what their new owner has committed. Requests themselves: `group_calls.py`.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from odradek.client.consumer.group_calls import GroupCalls, Identity
from odradek.client.consumer.membership import Membership
from odradek.client.consumer.settings import GroupSettings
from odradek.client.consumer.subscription import Holdings
from odradek.client.consumer.transport import Clock, passes
from odradek.errors import (
    CommitFailedError,
    ErrorCode,
    KafkaError,
    OdradekError,
    TimeoutError,  # noqa: A004
    UnknownTopicOrPartitionError,
)
from odradek.types import OffsetAndMetadata, TopicPartition

__all__ = ["Commits"]

Offsets = Mapping[TopicPartition, OffsetAndMetadata]

_NOT_MINE: Final = frozenset(
    {
        ErrorCode.ILLEGAL_GENERATION,
        ErrorCode.UNKNOWN_MEMBER_ID,
        ErrorCode.REBALANCE_IN_PROGRESS,
        ErrorCode.STALE_MEMBER_EPOCH,
        ErrorCode.FENCED_MEMBER_EPOCH,
        ErrorCode.GROUP_ID_NOT_FOUND,
    }
)
_PASSING: Final = frozenset({ErrorCode.REBALANCE_IN_PROGRESS, ErrorCode.STALE_MEMBER_EPOCH})
"""Of those, what the next generation, or the next heartbeat's epoch, puts right while the partitions stay ours."""
_RETRIABLE: Final = frozenset(
    {
        ErrorCode.COORDINATOR_LOAD_IN_PROGRESS,
        ErrorCode.COORDINATOR_NOT_AVAILABLE,
        ErrorCode.NOT_COORDINATOR,
        ErrorCode.REQUEST_TIMED_OUT,
        ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
        ErrorCode.UNSTABLE_OFFSET_COMMIT,
    }
)


class Commits:
    """One group's offsets. Belongs to one asyncio loop."""

    def __init__(
        self,
        calls: GroupCalls,
        settings: GroupSettings,
        holdings: Holdings,
        member: Callable[[], Membership | None],
        clock: Clock,
    ) -> None:
        self._calls = calls
        self._settings = settings
        self._holdings = holdings
        self._member = member
        self._clock = clock

    async def commit(
        self,
        offsets: Offsets,
        timeout: float,  # noqa: ASYNC109
        *,
        retry: bool = True,
        parting: bool = False,
    ) -> None:
        """Commit; with `retry` again and again, for `timeout` seconds, while that can help.

        `parting`: the partitions are being given up, and those that the broker doesn't know are not waited for. It is
        because a topic was deleted that they go, mostly, and all others wait behind this. Java's client does so, too.

        Raises:
            UnknownTopicOrPartitionError: `parting`, and some partitions don't exist; the others are committed.
            CommitFailedError: the group has rebalanced and the partitions are, or may be, somebody else's.
            TimeoutError: it could not be done in time; the message says what stood in the way.
            KafkaError: the broker refused for good, or, without `retry`, for the moment.
        """
        if not offsets:
            return
        tokens = {partition: self._holdings.token(partition) for partition in offsets}
        deadline = self._clock.now() + timeout
        failures = 0
        while True:
            obstacle = await self._attempt(offsets, tokens)
            if obstacle is None:
                return
            if not retry or (parting and isinstance(obstacle, UnknownTopicOrPartitionError)):
                raise obstacle
            failures += 1
            await self._pause(failures, deadline, f"committing offsets of group {self._settings.group_id!r}", obstacle)

    async def committed(
        self,
        partitions: Iterable[TopicPartition],
        timeout: float,  # noqa: ASYNC109
    ) -> dict[TopicPartition, OffsetAndMetadata | None]:
        """Return what the group has committed for each partition, None where nothing.

        Raises:
            TimeoutError: nobody could tell in time.
            KafkaError: the broker refused for good.
        """
        wanted = list(dict.fromkeys(partitions))
        if not wanted:
            return {}
        deadline = self._clock.now() + timeout
        failures = 0
        while True:
            member = self._member()
            reader = Identity() if member is None else member.reader
            try:
                error, rows = await self._calls.fetch_offsets(reader, wanted)
            except OdradekError as trouble:
                if not passes(trouble):
                    raise
                obstacle: Exception = trouble
            else:
                codes = [code for code in (error, *(row[0] for row in rows.values())) if code]
                if not codes:
                    return {partition: rows[partition][1] if partition in rows else None for partition in wanted}
                obstacle = self._of(codes[0], "offset fetch")
                if member is not None and reader.member_id and codes[0] in _NOT_MINE:
                    member.heard(reader, codes[0])  # the next try is under its new epoch, or nobody's
                elif any(code not in _RETRIABLE for code in codes):
                    raise obstacle
            failures += 1
            await self._pause(failures, deadline, f"committed offsets of group {self._settings.group_id!r}", obstacle)

    async def _attempt(self, offsets: Offsets, tokens: Mapping[TopicPartition, int | None]) -> Exception | None:
        """Send once; return what stands in the way and may pass, None when done; raise what won't pass."""
        member = self._member()
        who = Identity() if member is None else member.identity
        if member is not None and who.generation < 0:
            raise self._failed("this consumer is not a member of the group at the moment")
        if member is not None and not self._unbroken(tokens):
            raise self._failed("the group has rebalanced meanwhile, and another member may have committed")
        try:
            codes = await self._calls.commit(who, offsets)
        except OdradekError as trouble:
            if not passes(trouble):
                raise
            return trouble
        code = next((code for code in codes.values() if code and code not in _RETRIABLE), None)
        if code is None:
            left = {code for code in codes.values() if code}
            others = left - {ErrorCode.UNKNOWN_TOPIC_OR_PARTITION}  # those pass sooner
            return self._of(min(others or left), "commit") if left else None
        if code in _NOT_MINE:
            return self._rebalanced(code, who, member, tokens)
        if member is not None:
            member.heard(who, ErrorCode.FENCED_INSTANCE_ID if code == ErrorCode.FENCED_INSTANCE_ID else ErrorCode.NONE)
        raise self._of(code, "commit")

    def _rebalanced(
        self, code: int, who: Identity, member: Membership | None, tokens: Mapping[TopicPartition, int | None]
    ) -> Exception:
        row = KafkaError.of(code).error_code.name
        if member is None:
            raise self._failed(
                f"{row}: the group has members that subscribe, and only they may commit; partitions given by assign() "
                "need a group_id of their own"
            )
        held_on = None not in tokens.values() and self._unbroken(tokens)
        if code == ErrorCode.STALE_MEMBER_EPOCH:
            member.heard(who, code)
        if held_on and (code in _PASSING or who != member.identity):
            return self._failed(f"{row}: the group is rebalancing")
        member.heard(who, code)
        raise self._failed(
            f"{row}: the group has rebalanced, and the partitions may be another member's already. Records since the last "
            "commit will be read again. If handling them takes long, raise max_poll_interval_ms or lower max_poll_records"
        )

    def _unbroken(self, tokens: Mapping[TopicPartition, int | None]) -> bool:
        return all(self._holdings.token(one) == token for one, token in tokens.items())

    def _failed(self, why: str) -> CommitFailedError:
        return CommitFailedError(f"offsets of group {self._settings.group_id!r} were not committed: {why}")

    def _of(self, code: int, what: str) -> KafkaError:
        row = KafkaError.of(code)
        return KafkaError.of(code, f"{what} of group {self._settings.group_id!r}: {row.error_code.name}: {row}")

    async def _pause(self, failures: int, deadline: float, what: str, obstacle: Exception) -> None:
        settings = self._settings
        pause = min(settings.retry_backoff_ms << min(failures - 1, 16), settings.retry_backoff_max_ms) / 1000
        if self._clock.now() + pause > deadline:
            if isinstance(obstacle, CommitFailedError):
                raise obstacle
            raise TimeoutError(f"{what}: time ran out; last: {obstacle}") from obstacle
        await self._clock.sleep(pause)
