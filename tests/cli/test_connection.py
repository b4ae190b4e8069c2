"""`odradek.net.connection` against a peer that is scripted byte by byte."""

import socket
import struct
import threading
from collections.abc import Callable, Iterator

import pytest
from kio.schema.offset_delete.v0.request import OffsetDeleteRequest
from kio.schema.offset_delete.v0.response import OffsetDeleteResponse
from kio.schema.types import GroupId

from odradek import errors
from odradek.net.connection import Connection

Answer = Callable[[bytes], bytes]
GOOD = bytes.fromhex("0045 00000000 00000000")  # error code 69, no throttling, no topics
REQUEST = OffsetDeleteRequest(group_id=GroupId("g"), topics=())


@pytest.fixture
def ask() -> Iterator[Callable[[Answer], OffsetDeleteResponse]]:
    """Return a function that sends one request to a peer which answers what it is told to, then closes."""
    threads = []

    def run(answer: Answer, timeout: float = 10.0) -> OffsetDeleteResponse:
        server = socket.create_server(("127.0.0.1", 0))

        def serve() -> None:
            with server, server.accept()[0] as peer:
                [length] = struct.unpack(">i", peer.recv(4, socket.MSG_WAITALL))
                request = peer.recv(length, socket.MSG_WAITALL)
                peer.sendall(answer(request))
                if timeout < 1:
                    peer.recv(1)  # until the other side gives up

        threads.append(threading.Thread(target=serve))
        threads[-1].start()
        with Connection("127.0.0.1", server.getsockname()[1], timeout=timeout) as connection:
            return connection.request(REQUEST, OffsetDeleteResponse)

    yield run
    for thread in threads:
        thread.join()


def _frame(body: bytes) -> bytes:
    return struct.pack(">i", len(body)) + body


def test_request_is_framed_with_key_version_and_correlation_id_and_the_answer_decoded(
    ask: Callable[..., OffsetDeleteResponse],
) -> None:
    requests = []

    def answer(request: bytes) -> bytes:
        requests.append(request)
        return _frame(request[4:8] + GOOD)

    assert int(ask(answer).error_code) == 69
    assert requests == [bytes.fromhex("002f 0000 00000001 0007") + b"odradek" + bytes.fromhex("0001 67 00000000")]


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda _request: _frame(b"\x00\x00\x00\x63" + GOOD), "answered request 99 when 1 was asked"),
        (lambda request: _frame(request[4:8] + GOOD[:-1]), "can't be read"),
        (lambda request: _frame(request[4:8] + GOOD)[:-1], "closed the connection in the middle of an answer"),
        (lambda _request: b"", "closed the connection"),
        (lambda _request: b"\x7f\xff\xff\xff", "announced an answer of 2147483647 bytes"),
        (lambda _request: b"\xff\xff\xff\xff", "announced an answer of -1 bytes"),
        (lambda _request: b"HTTP/1.1 400 Bad Request", "announced an answer of"),
    ],
)
def test_an_answer_that_is_none_is_a_remote_protocol_error(
    ask: Callable[..., OffsetDeleteResponse], answer: Answer, message: str
) -> None:
    with pytest.raises(errors.RemoteProtocolError, match=message):
        ask(answer)


def test_no_answer_is_a_time_out(ask: Callable[..., OffsetDeleteResponse]) -> None:
    with pytest.raises(errors.TimeoutError, match="did not answer within"):
        ask(lambda _request: b"\x00", timeout=0.05)


def test_nobody_there_is_said_at_once() -> None:
    with pytest.raises(errors.NoBrokersAvailableError, match="Connection refused"):
        Connection("127.0.0.1", 1)
