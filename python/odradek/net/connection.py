"""One blocking TCP connection to a broker: frames, correlation ids, one request at a time.

For rare administrative requests that the client library underneath the command line does not offer. Not here: what
requests mean (kio's classes), TLS and SASL, and pipelining; none of these is needed for that yet.
"""

import socket
import struct
from io import BytesIO
from types import TracebackType
from typing import Any, Self, TypeVar

from kio.serial import entity_reader, entity_writer

from odradek import errors
from odradek.errors import NoBrokersAvailableError, RemoteProtocolError

__all__ = ["Connection"]

Response = TypeVar("Response")

_LENGTH = struct.Struct(">i")
_MAX_RESPONSE_BYTES = 100 * 1024 * 1024
_READ_BYTES = 1 << 16


class Connection:
    """A connection; a context manager. Not thread-safe. After any error it is closed: answers could be out of step."""

    def __init__(self, host: str, port: int, *, client_id: str = "odradek", timeout: float = 10.0) -> None:
        """Connect.

        Args:
            host: name or address.
            port: 1 to 65535.
            client_id: what the broker may log of us.
            timeout: seconds for connecting, and for each answer.

        Raises:
            NoBrokersAvailableError: nobody accepts the connection there.
        """
        self._peer = f"{host}:{port}"
        self._client_id = client_id
        self._timeout = timeout
        self._correlation_id = 0
        try:
            self._socket = socket.create_connection((host, port), timeout)
        except OSError as error:
            raise NoBrokersAvailableError(f"can't connect to {self._peer}: {error.strerror or error}") from error

    def request(self, request: Any, response_type: type[Response]) -> Response:
        """Send a request and return its answer.

        Args:
            request: an instance of kio's request class of the wanted version.
            response_type: kio's response class of the same version.

        Raises:
            TimeoutError: no whole answer in time.
            RemoteProtocolError: the peer closed the connection or answered something else.
        """
        self._correlation_id += 1
        try:
            self._socket.sendall(self._frame(request))
            answer = self._read_frame()
        except TimeoutError as error:
            self.close()
            raise errors.TimeoutError(f"{self._peer} did not answer within {self._timeout:g} s") from error
        except OSError as error:
            self.close()
            raise RemoteProtocolError(f"the connection to {self._peer} broke: {error.strerror or error}") from error
        try:
            header, at = entity_reader(response_type.__header_schema__)(answer, 0)  # type: ignore[attr-defined]
            body, _ = entity_reader(response_type)(answer, at)  # type: ignore[type-var]
        except Exception as error:  # kio raises its own errors, KeyError, ValueError and OverflowError on bad bytes
            self.close()
            raise RemoteProtocolError(f"{self._peer} sent an answer that can't be read: {error}") from error
        if header.correlation_id != self._correlation_id:
            self.close()
            raise RemoteProtocolError(
                f"{self._peer} answered request {header.correlation_id} when {self._correlation_id} was asked"
            )
        return body

    def _frame(self, request: Any) -> bytes:
        header_type = request.__header_schema__
        header = header_type(
            request_api_key=request.__api_key__,
            request_api_version=request.__version__,
            correlation_id=self._correlation_id,
            client_id=self._client_id,
        )
        buffer = BytesIO()
        entity_writer(header_type)(buffer, header)
        entity_writer(type(request))(buffer, request)
        return _LENGTH.pack(buffer.tell()) + buffer.getvalue()

    def _read_frame(self) -> bytes:
        [length] = _LENGTH.unpack(self._read(_LENGTH.size))
        if not 0 <= length <= _MAX_RESPONSE_BYTES:
            self.close()
            raise RemoteProtocolError(f"{self._peer} announced an answer of {length} bytes; it speaks no Kafka")
        return self._read(length)

    def _read(self, count: int) -> bytes:
        """Read exactly so many bytes; memory grows with what has come, not with what was announced."""
        received = bytearray()
        while len(received) < count:
            chunk = self._socket.recv(min(count - len(received), _READ_BYTES))
            if not chunk:
                self.close()
                raise RemoteProtocolError(f"{self._peer} closed the connection in the middle of an answer")
            received += chunk
        return bytes(received)

    def close(self) -> None:
        """Close; again is no error."""
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
