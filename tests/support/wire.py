"""A Kafka client on a bare socket: frames in, frames out, no retries, nothing repaired.

It sends whatever bytes a test wants, and typed requests of any version through `support/messages.py`.
"""

from __future__ import annotations

import itertools
import socket
import struct
from typing import Any, Self

from . import messages

TIMEOUT_SECONDS = 10.0


class Wire:
    """One connection. Not thread-safe; every read ends by `TIMEOUT_SECONDS` with `TimeoutError`."""

    def __init__(self, bootstrap: str, *, client_id: str | None = "wire", timeout: float = TIMEOUT_SECONDS) -> None:
        host, _, port = bootstrap.rpartition(":")
        self.client_id = client_id
        self._correlation_ids = itertools.count(1)
        self.socket = socket.create_connection((host, int(port)), timeout=timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        self.socket.close()

    def send_raw(self, data: bytes) -> None:
        """Send bytes as they are, without a length."""
        self.socket.sendall(data)

    def send_frame(self, frame: bytes) -> None:
        """Send bytes behind their true length."""
        self.send_raw(struct.pack(">i", len(frame)) + frame)

    def receive_frame(self) -> bytes:
        """Return the next frame without its length.

        Raises:
            ConnectionError: the broker closed the connection instead.
        """
        (length,) = struct.unpack(">i", self._receive(4))
        return self._receive(length)

    def _receive(self, count: int) -> bytes:
        parts = bytearray()
        while len(parts) < count:
            part = self.socket.recv(count - len(parts))
            if not part:
                raise ConnectionResetError(f"closed by the broker after {len(parts)} of {count} bytes")
            parts += part
        return bytes(parts)

    def closed_by_broker(self) -> bool:
        """Wait for the broker's next move; true if it closes the connection, false if it answers."""
        try:
            return self.socket.recv(1) == b""
        except ConnectionError:
            return True

    def send(self, api: str, version: int, fields: dict[str, Any]) -> int:
        """Send a request without waiting; return its correlation id."""
        correlation_id = next(self._correlation_ids)
        self.send_frame(
            messages.encode_request(api, version, fields, correlation_id=correlation_id, client_id=self.client_id)
        )
        return correlation_id

    def receive(self, api: str, version: int, correlation_id: int) -> Any:
        """Return the next response, which must be the answer to `correlation_id`."""
        answered, response = messages.decode_response(api, version, self.receive_frame())
        if answered != correlation_id:
            raise AssertionError(f"{api} v{version}: answer to {answered}, expected {correlation_id}")
        return response

    def call(self, api: str, version: int, fields: dict[str, Any]) -> Any:
        """Send a request and return its response as kio's entity."""
        return self.receive(api, version, self.send(api, version, fields))

    def advertised(self) -> dict[int, tuple[int, int]]:
        """Return what the broker says it serves: api key -> (lowest, highest version)."""
        response = self.call("api_versions", 3, {"client_software_name": "wire", "client_software_version": "1"})
        return {int(row.api_key): (int(row.min_version), int(row.max_version)) for row in response.api_keys}
