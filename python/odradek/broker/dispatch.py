"""Requests from the engine's control queue to their handlers and back. Decides nothing; knows no API.

The loop reads the queue when the engine's eventfd says so. Each connection with requests has a task, as a handler may
wait (for a rebalance, or the disk). Requests of one connection are served one after the other, as Apache Kafka does: a client that
sends CreateTopics and DeleteTopics in one go gets what it expects. What goes wrong is put into an answer here and
nowhere else:

- a body that can't be decoded: the connection is closed;
- a KafkaError: the response with that code, or a closed connection where the response has no place for it;
- anything else is a bug: logged with its traceback, answered UNKNOWN_SERVER_ERROR (-1).
"""

import asyncio
import logging
import os
import sys
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

from odradek.broker.context import RequestContext, Services
from odradek.broker.failure import failure, refusal
from odradek.broker.handlers import Handler
from odradek.errors import ErrorCode, KafkaError, LogDirOfflineError, RemoteProtocolError
from odradek.protocol.api_keys import ApiKey
from odradek.protocol.codec import decode, encode

__all__ = ["Dispatcher", "Queue"]

_log = logging.getLogger("odradek.broker")

_AT_ONCE: Final = 64
"""Requests taken before other callbacks of the loop get a turn."""
_TASK_OPTIONS: Final[dict[str, Any]] = {"eager_start": True} if sys.version_info >= (3, 12) else {}
"""A handler that doesn't wait then runs at once, without a turn of the loop."""


class Request(Protocol):
    """A `ControlRequest` of the engine."""

    token: int
    api_key: int
    api_version: int
    correlation_id: int
    client_id: str | None
    connection_id: int
    peer_host: str
    fault_code: int
    body: bytes


class Queue(Protocol):
    """What of the engine is needed here; see `_native.pyi`."""

    def control_fd(self) -> int: ...  # noqa: D102
    def take_requests(self, limit: int) -> list[Any]: ...  # noqa: D102
    def respond(self, token: int, body: bytes) -> None: ...  # noqa: D102
    def disconnect(self, token: int) -> None: ...  # noqa: D102
    def take_events(self) -> list[tuple[str, str]]: ...  # noqa: D102


class Dispatcher:
    """Runs handlers on the loop that `start` is called on."""

    def __init__(
        self,
        queue: Queue,
        services: Services,
        handlers: Mapping[ApiKey, Handler],
        on_fatal: Callable[[Exception], None],
    ) -> None:
        self._queue = queue
        self._services = services
        self._handlers = handlers
        self._on_fatal = on_fatal
        self._tasks: set[asyncio.Task[None]] = set()
        self._kept_processor = False
        """A request was worked on, and the processor not offered since."""
        self._lanes: dict[int, deque[Request]] = {}
        """By connection with a request under way: those that wait behind it. The engine bounds how many it hands over."""

    def start(self) -> None:
        """Begin to answer."""
        self._services.loop.add_reader(self._queue.control_fd(), self._drain)

    async def stop(self) -> None:
        """Stop answering; what is still waiting is cancelled."""
        self._services.loop.remove_reader(self._queue.control_fd())
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _drain(self) -> None:
        for kind, text in self._queue.take_events():
            if kind == "log_dir_offline":
                self._on_fatal(LogDirOfflineError(text))
            elif kind == "gathered":
                self._services.groups.gathered(text)
            else:
                _log.warning("%s", text)
        for request in self._queue.take_requests(_AT_ONCE):
            self._begin(request)

    def _begin(self, request: Request) -> None:
        lane = self._lanes.get(request.connection_id)
        if lane is not None:
            lane.append(request)
            return
        lane = self._lanes[request.connection_id] = deque((request,))
        work = self._drive(request.connection_id, lane)
        task = asyncio.Task(work, loop=self._services.loop, **_TASK_OPTIONS)
        if not task.done():
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _drive(self, connection_id: int, lane: deque[Request]) -> None:
        try:
            while lane:
                if self._kept_processor:  # the one before waits: for the other members of its group, if for anything
                    os.sched_yield()
                self._kept_processor = True
                await self._serve(lane.popleft())
                os.sched_yield()  # an I/O thread that became ready on this core need not wait for a time slice's end
                self._kept_processor = False
        finally:
            del self._lanes[connection_id]

    async def _serve(self, request: Request) -> None:
        handler = self._handlers.get(request.api_key)  # type: ignore[call-overload]
        if handler is None or not handler.versions[0] <= request.api_version <= handler.versions[1]:
            self._queue.disconnect(request.token)
            return
        try:
            message = decode(request.api_key, request.api_version, request.body)
        except RemoteProtocolError as error:
            _log.debug("closed the connection of %s: %s", request.peer_host, error)
            self._queue.disconnect(request.token)
            return
        context = RequestContext(
            request.api_key,
            request.api_version,
            request.correlation_id,
            request.client_id,
            request.connection_id,
            request.peer_host,
            request.token,
            self._services,
        )
        if request.fault_code:
            self._refuse(context, message, KafkaError.of(request.fault_code).error_code)
            return
        try:
            response = await handler.handle(context, message)
            body = response if response is None or isinstance(response, bytes) else encode(response)
        except KafkaError as error:
            self._fail(context, error.error_code, str(error))
        except LogDirOfflineError as error:
            self._fail(context, ErrorCode.KAFKA_STORAGE_ERROR, str(error))
        except Exception:  # noqa: BLE001 - one bad request must not end the broker
            _log.exception("%s version %d failed", handler.api_key.name, request.api_version)
            self._fail(context, ErrorCode.UNKNOWN_SERVER_ERROR, ErrorCode.UNKNOWN_SERVER_ERROR.text)
        else:
            if body is not None:
                self._queue.respond(request.token, body)

    def _refuse(self, context: RequestContext, message: Any, code: ErrorCode) -> None:
        """Answer what a fault asks for."""
        response = refusal(context.schema, message, code)
        if response is None:
            self._queue.disconnect(context.token)
        else:
            self._queue.respond(context.token, encode(response))

    def _fail(self, context: RequestContext, code: ErrorCode, message: str) -> None:
        response = failure(context.schema, code, message)
        if response is None:
            self._queue.disconnect(context.token)
        else:
            self._queue.respond(context.token, encode(response))
