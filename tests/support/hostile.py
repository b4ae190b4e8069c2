"""Sending bytes that may kill the connection: what happens is either an answer or a close, never silence."""

from __future__ import annotations

import contextlib
import struct

from . import messages
from .wire import Wire

PROBE_ID = 0x5EED
PROBE = messages.encode_request("api_versions", 0, {}, correlation_id=PROBE_ID, client_id="probe")


def provoke(bootstrap: str, frame: bytes) -> str:
    """Send a frame, then an honest ApiVersions on the same connection; return `answered`, `ignored` or `closed`.

    `ignored` is an answer to the honest request only, as after a Produce with acks=0.

    Raises:
        TimeoutError: neither answer nor close, which no request may cause.
    """
    with Wire(bootstrap) as wire:
        with contextlib.suppress(ConnectionError):
            wire.send_frame(frame)
            wire.send_frame(PROBE)
        outcome = "ignored"
        while True:
            try:
                answer = wire.receive_frame()
            except ConnectionError:
                return "closed"
            if struct.unpack_from(">i", answer)[0] == PROBE_ID:
                return outcome
            outcome = "answered"
