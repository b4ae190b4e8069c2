"""What all admin calls are made of: deadlines, retries, and finding the broker that is to be asked.

Retried until the call's time is over: lost connections, requests that timed out, and answers that say that another
broker is to be asked or this one is not ready yet. Everything else is final.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, Final, TypeVar

from odradek.client.admin.outcomes import refusal
from odradek.client.arguments import seconds, text
from odradek.client.cluster import ANY, CONTROL, CONTROLLER, Cluster
from odradek.client.metadata import ClusterInfo, error_code
from odradek.config.client import ClientOptions
from odradek.errors import ClosedError, DisconnectedError, ErrorCode, KafkaError, TimeoutError  # noqa: A004
from odradek.protocol.api_keys import ApiKey
from odradek.protocol.codec import Schema
from odradek.types import TopicPartition

__all__ = ["Calls", "Deadline"]

T = TypeVar("T")
Row = tuple[TopicPartition, int, str | None, Any]
"""What an answer says of a partition: (partition, error code, error text, value)."""

_ELSEWHERE: Final = frozenset(
    {
        ErrorCode.LEADER_NOT_AVAILABLE,
        ErrorCode.NOT_LEADER_OR_FOLLOWER,
        ErrorCode.COORDINATOR_LOAD_IN_PROGRESS,
        ErrorCode.COORDINATOR_NOT_AVAILABLE,
        ErrorCode.NOT_COORDINATOR,
        ErrorCode.NOT_CONTROLLER,
        ErrorCode.FENCED_LEADER_EPOCH,
        ErrorCode.UNKNOWN_LEADER_EPOCH,
        ErrorCode.OFFSET_NOT_AVAILABLE,
    }
)


class Deadline:
    """When a call's time is over."""

    def __init__(self, timeout: float) -> None:
        self._at = asyncio.get_running_loop().time() + timeout

    def left(self) -> float:
        """Return seconds left, at least a moment."""
        return max(self._at - asyncio.get_running_loop().time(), 0.001)

    def allows(self, rest: float) -> bool:
        """Return whether a rest of so many seconds leaves time for anything."""
        return self._at - asyncio.get_running_loop().time() > rest


class Calls:
    """Base of the areas. One asyncio loop; everything a call needs of the transport goes through here."""

    def __init__(self, options: ClientOptions) -> None:
        self._options = options
        self._made: Cluster | None = None
        self._closed = False
        self._coordinators: dict[str, int] = {}

    def _cluster(self) -> Cluster:
        """Return the transport; made at the first call, because it belongs to the loop that runs then."""
        if self._closed:
            raise ClosedError("the admin client is closed")
        if self._made is None:
            self._made = Cluster(self._options.texts)
        self._made.own_loop.check()
        return self._made

    def _deadline(self, timeout: float | None) -> Deadline:
        given = seconds(timeout)
        return Deadline(self._options.seconds("default.api.timeout.ms") if given is None else given)

    async def _retrying(self, deadline: Deadline, once: Callable[[], Awaitable[T]]) -> T:
        rests = self._cluster().backoff()
        while True:
            try:
                return await once()
            except (KafkaError, DisconnectedError, TimeoutError) as error:
                rest = rests.next()
                if isinstance(error, KafkaError) and error.error_code not in _ELSEWHERE:
                    raise
                if not deadline.allows(rest):
                    raise
                if not isinstance(error, KafkaError) or error.refreshes_metadata:
                    self._cluster().native.request_refresh()
            await asyncio.sleep(rest)

    async def _ask(
        self,
        deadline: Deadline,
        api: ApiKey,
        build: Callable[[Schema], Any],
        *,
        node: int = ANY,
        versions: tuple[int, int] | None = None,
        codes: Callable[[Any], Iterable[int]] = lambda _answer: (),
    ) -> Any:
        """Ask a broker; an answer with a code (of `codes`) that says "not me" or "not yet" is asked for again."""

        async def once() -> Any:
            timeout = min(deadline.left(), self._cluster().request_timeout)
            answer = await self._cluster().request(
                api, build, node=node, channel=CONTROL, versions=versions, timeout=timeout
            )
            for code in codes(answer):
                if error_code(code) in _ELSEWHERE:
                    raise KafkaError.of(code, f"{api.name} was refused: {error_code(code).text}")
            return answer

        return await self._retrying(deadline, once)

    async def _ask_controller(
        self,
        deadline: Deadline,
        api: ApiKey,
        build: Callable[[Schema], Any],
        *,
        codes: Callable[[Any], Iterable[int]],
        versions: tuple[int, int] | None = None,
    ) -> Any:
        return await self._ask(deadline, api, build, node=CONTROLLER, versions=versions, codes=codes)

    async def _ask_coordinator(
        self,
        deadline: Deadline,
        group: str,
        api: ApiKey,
        build: Callable[[Schema], Any],
        *,
        codes: Callable[[Any], Iterable[int]],
        versions: tuple[int, int] | None = None,
    ) -> Any:
        """Ask the coordinator of a group, wherever it is at the time."""
        text("group id", group)
        cluster = self._cluster()

        async def once() -> Any:
            if group not in self._coordinators:
                self._coordinators[group] = await cluster.coordinator(group, timeout=deadline.left())
            timeout = min(deadline.left(), cluster.request_timeout)
            try:
                answer = await cluster.request(
                    api, build, node=self._coordinators[group], versions=versions, timeout=timeout
                )
                for code in codes(answer):
                    if error_code(code) in _ELSEWHERE:
                        raise KafkaError.of(code, f"{api.name} of group {group!r}: {error_code(code).text}")
            except (KafkaError, DisconnectedError):
                self._coordinators.pop(group, None)
                raise
            return answer

        return await self._retrying(deadline, once)

    async def _ask_leaders(
        self,
        deadline: Deadline,
        partitions: Iterable[TopicPartition],
        api: ApiKey,
        build: Callable[[Schema, list[TopicPartition]], Any],
        rows: Callable[[Any], Iterable[Row]],
        *,
        versions: tuple[int, int] | None = None,
    ) -> tuple[dict[TopicPartition, Any], dict[TopicPartition, KafkaError]]:
        """Ask each partition's leader about its partitions; return values and errors by partition."""
        pending = dict.fromkeys(TopicPartition(*partition) for partition in partitions)
        results: dict[TopicPartition, Any] = {}
        errors: dict[TopicPartition, KafkaError] = {}
        rests = self._cluster().backoff()
        while True:
            by_leader = await self._leaders(deadline, pending, errors)
            asked = [
                self._ask_leader(deadline, node, places, api=api, build=build, versions=versions)
                for node, places in by_leader.items()
            ]
            for places, answer in zip(by_leader.values(), await asyncio.gather(*asked), strict=True):
                if isinstance(answer, Exception):
                    errors |= {place: _as_kafka_error(answer) for place in places}
                    continue
                for place, code, said, value in rows(answer):
                    errors.pop(place, None)
                    error = refusal(code, _name(place), said)
                    if error is None:
                        results[place] = value
                    else:
                        errors[place] = error
            pending = {place: None for place, error in errors.items() if error.error_code in _AGAIN}
            rest = rests.next()
            if not pending or not deadline.allows(rest):
                return results, errors
            await asyncio.sleep(rest)

    async def _ask_leader(
        self,
        deadline: Deadline,
        node: int,
        places: list[TopicPartition],
        *,
        api: ApiKey,
        build: Callable[[Schema, list[TopicPartition]], Any],
        versions: tuple[int, int] | None,
    ) -> Any:
        """Return the answer, or the error of a connection: other leaders' answers still count."""
        timeout = min(deadline.left(), self._cluster().request_timeout)
        try:
            return await self._cluster().request(
                api, lambda m: build(m, places), node=node, versions=versions, timeout=timeout
            )
        except (DisconnectedError, TimeoutError) as error:
            return error

    async def _leaders(
        self, deadline: Deadline, places: Iterable[TopicPartition], errors: dict[TopicPartition, KafkaError]
    ) -> dict[int, list[TopicPartition]]:
        """Group partitions by their leaders; those without one become errors."""
        wanted = list(places)
        topics = (await self._metadata(deadline, sorted({place.topic for place in wanted}))).topics
        by_leader: dict[int, list[TopicPartition]] = defaultdict(list)
        for place in wanted:
            topic = topics.get(place.topic)
            code = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION if topic is None else topic.error_code
            if topic is not None and code == ErrorCode.NONE:
                if 0 <= place.partition < len(topic.partitions):
                    leader = topic.partitions[place.partition].leader
                    if leader >= 0:
                        by_leader[leader].append(place)
                        continue
                    code = ErrorCode.LEADER_NOT_AVAILABLE
                else:
                    code = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
            errors[place] = KafkaError.of(code, f"{_name(place)}: {code.text}")
        return by_leader

    async def _metadata(self, deadline: Deadline, topics: Sequence[str] | None) -> ClusterInfo:
        """Ask for brokers and for these topics, None = all; nothing is created by asking."""
        cluster = self._cluster()

        async def once() -> ClusterInfo:
            return await cluster.metadata(topics, timeout=min(deadline.left(), cluster.request_timeout))

        return await self._retrying(deadline, once)


_AGAIN: Final = _ELSEWHERE | {ErrorCode.NETWORK_EXCEPTION, ErrorCode.REQUEST_TIMED_OUT}


def _as_kafka_error(error: Exception) -> KafkaError:
    """Give a lost connection or a time-out the form that all errors of partitions have."""
    code = ErrorCode.REQUEST_TIMED_OUT if isinstance(error, TimeoutError) else ErrorCode.NETWORK_EXCEPTION
    return KafkaError.of(code, str(error))


def _name(place: TopicPartition) -> str:
    return f"{place.topic}-{place.partition}"
