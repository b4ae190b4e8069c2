"""Servers that are no brokers: they answer with something else, say nothing, or can't even be connected to."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

NO_BROKERS = [
    (b"HTTP/1.1 400 Bad Request\r\n\r\n", "HTTP"),
    (b"\x15\x03\x03\x00\x02\x02\x46", "TLS"),
    (b"\0\0\0\x08garbage!", "no Kafka response"),
]
"""What a web server, a TLS port and something else answer to a request of Kafka's, and the word for it in the error."""


@contextmanager
def peer(answer: bytes | None) -> Iterator[tuple[str, threading.Event]]:
    """A listener that answers each connection's first bytes once, or, with None, never; and an event: somebody came."""
    came = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))
    kept: list[socket.socket] = []

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            connection.recv(1000)
            kept.append(connection)
            if answer is not None:
                connection.sendall(answer)
            came.set()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{listener.getsockname()[1]}", came
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for connection in kept:
            connection.close()
        thread.join()


@contextmanager
def black_hole() -> Iterator[str]:
    """An address where a connection is neither made nor refused: a listener that accepts nobody, with a full queue."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        while True:
            # One fits in the queue, or two; who comes later hears nothing.
            waiting = stack.enter_context(socket.socket())
            waiting.settimeout(0.2)
            try:
                waiting.connect(listener.getsockname())
            except TimeoutError:
                break
        yield f"127.0.0.1:{listener.getsockname()[1]}"
