"""`Cluster`: requests that Python builds and reads, over the transport in Rust, for one asyncio loop.

Admin and group membership are built on it. Not here: Produce and Fetch, which never come to Python, and retries, which
are the callers': they know what may be sent twice. Sockets, time-outs and metadata: `rust/odradek-core/src/client`.
"""

import asyncio
import struct
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from odradek.client.backoff import Backoff
from odradek.client.metadata import ClusterInfo, answered, cluster_info, error_code
from odradek.client.native import ClusterClient
from odradek.client.own_loop import OwnLoop
from odradek.errors import ClosedError, ConfigError, DisconnectedError, ErrorCode, KafkaError, UnsupportedVersionError
from odradek.protocol.answers import decode_answer, kio_versions
from odradek.protocol.api_keys import ApiKey
from odradek.protocol.codec import Schema, encode, schema

if TYPE_CHECKING:
    from collections.abc import Awaitable

__all__ = ["ANY", "CONTROL", "CONTROLLER", "COORDINATOR", "Cluster"]

ANY: Final = -1
"""As a node: any broker."""
CONTROLLER: Final = -2
"""As a node: the controller, or the broker that passes requests on to it."""
CONTROL: Final = 1
"""As a channel: the connection for administrative requests."""
COORDINATOR: Final = 2
"""As a channel: the connection to a group's coordinator, on which a JoinGroup may wait for long."""

_METADATA: Final = (4, 12)
"""From 4 on asking need not make a topic; 13 has nothing for us."""
_METADATA_BY_ID: Final = (12, 12)
_COORDINATOR_RETRY: Final = frozenset(
    {ErrorCode.COORDINATOR_NOT_AVAILABLE, ErrorCode.COORDINATOR_LOAD_IN_PROGRESS, ErrorCode.NOT_COORDINATOR}
)


class Cluster:
    """One client's way to its brokers. Belongs to the event loop it was made in; all calls come from that loop."""

    def __init__(self, options: Mapping[str, str]) -> None:
        """Start the transport; nothing is connected before the first request.

        Args:
            options: effective options, Kafka's dotted names to text (`ClientOptions.texts`).

        Raises:
            ConfigError: a value that the transport can't use.
        """
        self.own_loop = OwnLoop()
        self._loop = self.own_loop.loop
        self._request_timeout = int(options.get("request.timeout.ms", 30_000)) / 1000
        self._backoff = (
            int(options.get("retry.backoff.ms", 100)) / 1000,
            int(options.get("retry.backoff.max.ms", 1000)) / 1000,
        )
        self.native = ClusterClient({name: text for name, text in options.items() if text is not None})
        self._pending: dict[int, asyncio.Future[Any]] = {}
        self._served: dict[tuple[int, int], dict[int, tuple[int, int]]] = {}
        self._known: tuple[int, ClusterInfo] | None = None
        self._closed = False
        self._fd = self.native.completion_fd()
        self._loop.add_reader(self._fd, self._completed)

    @property
    def request_timeout(self) -> float:
        """`request.timeout.ms` in seconds: what a request without a `timeout` of its own has."""
        return self._request_timeout

    def backoff(self) -> Backoff:
        """Return a new series of rests by `retry.backoff.ms` and `retry.backoff.max.ms`."""
        return Backoff(*self._backoff)

    async def request(
        self,
        api: ApiKey,
        build: Callable[[Schema], Any],
        *,
        node: int = ANY,
        channel: int = CONTROL,
        versions: tuple[int, int] | None = None,
        timeout: float | None = None,  # noqa: ASYNC109  the broker's time and ours are one
    ) -> Any:
        """Send one request and return its answer; error codes inside the answer are the caller's to read.

        Args:
            api: which API.
            build: makes kio's request with the schema of the version chosen (`schema.version`).
            node: broker id, ANY or CONTROLLER.
            channel: CONTROL or COORDINATOR.
            versions: lowest and highest version that `build` and the caller know; None = all that kio knows.
            timeout: seconds for everything, connecting included; None = `request.timeout.ms`.

        Returns:
            kio's response of the version chosen.

        Raises:
            DisconnectedError: no connection, or it ended; retriable if the request may be sent twice.
            NoBrokersAvailableError: ANY and CONTROLLER only: nobody could be reached in time.
            TimeoutError: the broker did not answer in time.
            UnsupportedVersionError: the broker does not serve this API in any version known here.
            RemoteProtocolError: what answers is no Kafka broker, or its answer can't be read.
            ConfigError: a number in the request does not fit its field.
            ClosedError, ForkedError: this client is not to be used any more.
        """
        timeout = self._request_timeout if timeout is None else timeout
        deadline = self._loop.time() + timeout
        served = await self._serves(node, channel, timeout)
        version = _highest(api, served, kio_versions(api) if versions is None else versions)
        try:
            body = encode(build(schema(api, version)))
        except (struct.error, OverflowError) as error:  # the caller's numbers; kio checks no ranges
            raise ConfigError(f"{api.name}: a number is too large or too small for its field: {error}") from error
        left = max(deadline - self._loop.time(), 0.001)
        try:
            answer = await self._result(self.native.request(node, channel, api, version, body, _ms(left)))
        except DisconnectedError:
            # The broker that comes back may be another version.
            self._served.pop((node, channel), None)
            raise
        return decode_answer(api, version, answer)

    async def versions(self, node: int = ANY, *, timeout: float | None = None) -> dict[int, tuple[int, int]]:  # noqa: ASYNC109
        """Return the lowest and highest version of each API, by API key, that a broker serves.

        Raises:
            As `request`.
        """
        timeout = self._request_timeout if timeout is None else timeout
        rows = await self._result(self.native.versions(node, CONTROL, _ms(timeout)))
        return {key: (low, high) for key, low, high in rows}

    async def coordinator(self, key: str, kind: int = 0, *, timeout: float | None = None) -> int:  # noqa: ASYNC109
        """Find the broker that coordinates a group (kind 0) or transactional id (kind 1); return its node id.

        Waits while the coordinator is being made or is still loading.

        Raises:
            KafkaError: the key is refused.
            CoordinatorNotAvailableError: none in time.
            As `request`.
        """
        timeout = self._request_timeout if timeout is None else timeout
        deadline = self._loop.time() + timeout
        rests = self.backoff()
        while True:
            left = max(deadline - self._loop.time(), 0.001)
            answer = await self.request(
                ApiKey.FIND_COORDINATOR,
                lambda m: m.FindCoordinatorRequest(key=key, key_type=kind, coordinator_keys=(key,)),
                timeout=left,
            )
            found = answer.coordinators[0] if hasattr(answer, "coordinators") else answer
            code = error_code(found.error_code)
            if code == ErrorCode.NONE:
                self.native.learn_broker(int(found.node_id), found.host, found.port)
                return int(found.node_id)
            rest = rests.next()
            if code not in _COORDINATOR_RETRY or self._loop.time() + rest >= deadline:
                raise KafkaError.of(
                    code, f"the coordinator of {key!r}: {getattr(found, 'error_message', None) or code.text}"
                )
            await asyncio.sleep(rest)

    async def metadata(
        self,
        topics: Iterable[str] | None = None,
        *,
        allow_auto_create: bool = False,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> ClusterInfo:
        """Ask any broker about brokers and topics, once; apart from what `refresh` and `known` keep.

        Args:
            topics: names; None = all there are, empty = none. One that does not exist comes back with its error code.
            allow_auto_create: whether asking may make a topic.
            timeout: as `request`, whose errors are raised.
        """
        names = None if topics is None else tuple(dict.fromkeys(topics))
        answer = await self.request(
            ApiKey.METADATA,
            lambda m: m.MetadataRequest(
                topics=None
                if names is None
                else tuple(m.MetadataRequestTopic(topic_id=None, name=name) for name in names),
                allow_auto_topic_creation=allow_auto_create,
                include_cluster_authorized_operations=False,
                include_topic_authorized_operations=False,
            ),
            versions=_METADATA,
            timeout=timeout,
        )
        info = answered(answer)
        for broker in info.brokers.values():
            self.native.learn_broker(broker.node_id, broker.host, broker.port)
        return info

    async def topic_names(self, topic_ids: Iterable[UUID], *, timeout: float | None = None) -> dict[UUID, str]:  # noqa: ASYNC109
        """Ask any broker, once, what topics of these ids are called; ids that it does not know are left out.

        Raises:
            As `request`; UnsupportedVersionError also when the broker knows no topic ids (Kafka below 3.1).
        """
        answer = await self.request(
            ApiKey.METADATA,
            lambda m: m.MetadataRequest(
                topics=tuple(m.MetadataRequestTopic(topic_id=one, name=None) for one in topic_ids),
                allow_auto_topic_creation=False,
                include_cluster_authorized_operations=False,
                include_topic_authorized_operations=False,
            ),
            versions=_METADATA_BY_ID,
            timeout=timeout,
        )
        return {topic.topic_id: str(topic.name) for topic in answer.topics if topic.name and not topic.error_code}

    async def refresh(self, *, timeout: float | None = None) -> ClusterInfo:  # noqa: ASYNC109
        """Fetch fresh metadata of the brokers and of the topics watched (`native.watch_topics`).

        Raises:
            NoBrokersAvailableError: nobody answered in time; lists each server with its reason.
        """
        timeout = self._request_timeout if timeout is None else timeout
        await self._result(self.native.refresh_metadata(_ms(timeout)))
        return self.known()

    def known(self) -> ClusterInfo:
        """Return what the last refresh brought; empty before the first one."""
        version = self.native.metadata_version()
        if self._known is None or self._known[0] != version:
            self._known = (version, cluster_info(self.native.metadata()))
        return self._known[1]

    async def close(self) -> None:
        """Close all connections; what is still waiting fails with ClosedError. Never hangs; again is no error."""
        if self._closed:
            return
        self._closed = True
        self._loop.remove_reader(self._fd)
        self.native.close(0)
        for future in self._pending.values():
            if not future.done():
                future.set_exception(ClosedError("the client was closed before the answer came"))
        self._pending.clear()

    async def _serves(self, node: int, channel: int, timeout: float) -> dict[int, tuple[int, int]]:  # noqa: ASYNC109
        """Return what a node serves. Remembered for brokers by id; a role may be another broker each time."""
        served = self._served.get((node, channel))
        if served is None:
            rows = await self._result(self.native.versions(node, channel, _ms(timeout)))
            served = {key: (low, high) for key, low, high in rows}
            if node >= 0:
                self._served[node, channel] = served
        return served

    def _result(self, token: int) -> "Awaitable[Any]":
        future = self._loop.create_future()
        self._pending[token] = future
        future.add_done_callback(lambda done: self._forget(token) if done.cancelled() else None)
        return future

    def _forget(self, token: int) -> None:
        if self._pending.pop(token, None) is not None:
            self.native.cancel(token)

    def _completed(self) -> None:
        for token, result in self.native.take_completions():
            future = self._pending.pop(token, None)
            if future is None or future.done():
                continue
            if isinstance(result, BaseException):
                future.set_exception(result)
            else:
                future.set_result(result)


def _highest(api: ApiKey, served: dict[int, tuple[int, int]], ours: tuple[int, int]) -> int:
    theirs = served.get(api)
    if theirs is None:
        raise UnsupportedVersionError(f"the broker does not serve {api.name}: too old, or it lacks the feature")
    version = min(theirs[1], ours[1])
    if version < max(theirs[0], ours[0]):
        raise UnsupportedVersionError(
            f"the broker serves versions {theirs[0]} to {theirs[1]} of {api.name}, needed is one of {ours[0]} to {ours[1]}"
        )
    return version


def _ms(seconds: float) -> int:
    return max(1, int(seconds * 1000))
