"""Beginning, end and by-time offsets of partitions: ListOffsets to each partition's leader, tried again as leaders move.

The native fetcher looks up resets by itself; this is for what users ask.
"""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any, Final

from odradek.client.consumer.transport import Clock, Transport, passes
from odradek.errors import ErrorCode, KafkaError, OdradekError, TimeoutError  # noqa: A004
from odradek.protocol.api_keys import ApiKey
from odradek.types import OffsetAndTimestamp, TopicPartition

__all__ = ["EARLIEST", "LATEST", "Found", "OffsetQueries"]

LATEST: Final = -1
EARLIEST: Final = -2
"""Timestamps that stand for an end of the log."""

_CONTROL: Final = 1
_VERSIONS: Final = (1, 9)
_CONSUMER: Final = -1
"""The replica id of somebody who is no replica."""

Found = dict[TopicPartition, OffsetAndTimestamp | None]


class OffsetQueries:
    """Asks leaders for offsets. Belongs to one asyncio loop."""

    def __init__(
        self, transport: Transport, clock: Clock, *, read_committed: bool, request_timeout: float, backoff: float
    ) -> None:
        self._transport = transport
        self._clock = clock
        self._isolation = int(read_committed)
        self._request_timeout = request_timeout
        self._backoff = backoff

    async def by_time(self, wanted: Mapping[TopicPartition, int], timeout: float) -> Found:  # noqa: ASYNC109
        """Return the first offset whose record is not older than each timestamp in ms, None where there is none.

        `EARLIEST` and `LATEST` may stand for a timestamp; the latter is the last stable offset with read_committed.

        Raises:
            TimeoutError: some partition's leader could not tell in time; names it.
            KafkaError: a leader refused for good.
        """
        deadline = self._clock.now() + timeout
        found: Found = {}
        missing = dict(wanted)
        while missing:
            answers, obstacle = await self._round(missing)
            found |= answers
            missing = {one: time for one, time in missing.items() if one not in answers}
            if not missing:
                break
            if self._clock.now() + self._backoff > deadline:
                topic, partition = next(iter(missing))
                raise TimeoutError(
                    f"offsets of {len(missing)} partitions, {topic}-{partition} among them: time ran out; last: {obstacle}"
                ) from obstacle
            await self._clock.sleep(self._backoff)
        return found

    async def _round(self, wanted: Mapping[TopicPartition, int]) -> tuple[Found, Exception]:
        """Ask every leader once; return what was found, and an obstacle of those that were not."""
        try:
            leaders = await self._transport.leaders(wanted)
        except OdradekError as error:
            if not passes(error):
                raise
            return {}, error
        by_leader: dict[int, dict[TopicPartition, int]] = {}
        for one, time in wanted.items():
            if one in leaders:
                by_leader.setdefault(leaders[one], {})[one] = time
        obstacle: Exception = KafkaError.of(
            ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, "the partition does not exist, or has no leader at the moment"
        )
        found: Found = {}
        asked = (self._ask(node, part) for node, part in by_leader.items())
        for answer in await asyncio.gather(*asked, return_exceptions=True):
            if isinstance(answer, OdradekError) and passes(answer):
                obstacle = answer
            elif isinstance(answer, BaseException):
                raise answer
            else:
                found |= answer[0]
                obstacle = answer[1] or obstacle
        return found, obstacle

    async def _ask(self, node: int, wanted: Mapping[TopicPartition, int]) -> tuple[Found, Exception | None]:
        by_topic: dict[str, list[tuple[int, int]]] = {}
        for (topic, partition), time in wanted.items():
            by_topic.setdefault(topic, []).append((partition, time))

        def build(m: Any) -> Any:
            topics = tuple(
                m.ListOffsetsTopic(name=topic, partitions=tuple(_partitions(m, rows)))
                for topic, rows in by_topic.items()
            )
            return m.ListOffsetsRequest(replica_id=_CONSUMER, isolation_level=self._isolation, topics=topics)

        answer = await self._transport.request(
            ApiKey.LIST_OFFSETS, build, node=node, channel=_CONTROL, versions=_VERSIONS, timeout=self._request_timeout
        )
        found: Found = {}
        obstacle: Exception | None = None
        for topic in answer.topics:
            for row in topic.partitions:
                if not row.error_code:
                    value = OffsetAndTimestamp(row.offset, row.timestamp, getattr(row, "leader_epoch", -1))
                    found[TopicPartition(topic.name, row.partition_index)] = None if row.offset < 0 else value
                    continue
                text = f"offsets of {topic.name}-{row.partition_index}: {KafkaError.of(row.error_code)}"
                error = KafkaError.of(row.error_code, text)
                if not error.retriable:
                    raise error
                obstacle = error
        return found, obstacle


def _partitions(m: Any, rows: Iterable[tuple[int, int]]) -> Iterable[Any]:
    for partition, time in rows:
        yield m.ListOffsetsPartition(partition_index=partition, timestamp=time)
