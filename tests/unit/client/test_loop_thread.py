"""The thread under the blocking clients: results, errors, time-outs, Ctrl-C, closing, forks."""

import asyncio
import os
import signal
import threading

import pytest

from odradek.client.loop_thread import LoopThread
from odradek.errors import ClosedError, ForkedError, InternalError, TimeoutError  # noqa: A004


@pytest.fixture
def thread():
    made = LoopThread()
    yield made
    made.close()


async def value(result):
    return result


async def forever(started: threading.Event, ended: threading.Event) -> None:
    started.set()
    try:
        await asyncio.Event().wait()
    finally:
        ended.set()


def test_results_and_errors_come_back(thread: LoopThread) -> None:
    async def fails() -> None:
        raise LookupError("of its own")

    assert thread.run(lambda: value(7)) == 7
    with pytest.raises(LookupError, match="of its own"):
        thread.run(fails)


def test_a_call_out_of_time_is_cancelled(thread: LoopThread) -> None:
    started, ended = threading.Event(), threading.Event()
    with pytest.raises(TimeoutError, match=r"0\.05 s"):
        thread.run(lambda: forever(started, ended), 0.05)
    assert ended.wait(20)


def test_ctrl_c_ends_a_blocking_call_at_once_and_cancels_it(thread: LoopThread) -> None:
    started, ended = threading.Event(), threading.Event()

    def interrupt() -> None:
        started.wait(20)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        thread.run(lambda: forever(started, ended))
    assert ended.wait(20)


def test_closing_ends_calls_of_other_threads(thread: LoopThread) -> None:
    started, ended = threading.Event(), threading.Event()
    said: list[BaseException] = []

    def call() -> None:
        try:
            thread.run(lambda: forever(started, ended))
        except ClosedError as error:
            said.append(error)

    caller = threading.Thread(target=call)
    caller.start()
    assert started.wait(20)
    thread.close()
    caller.join(20)
    assert ended.is_set()
    assert len(said) == 1


def test_after_closing_calls_are_refused_and_closing_again_is_fine(thread: LoopThread) -> None:
    thread.close()
    thread.close()
    with pytest.raises(ClosedError):
        thread.run(lambda: value(1))


def test_a_blocking_call_on_the_thread_itself_is_refused(thread: LoopThread) -> None:
    async def inside() -> None:
        thread.run(lambda: value(1))

    with pytest.raises(InternalError):
        thread.run(inside)


def test_a_forked_child_is_told(thread: LoopThread) -> None:
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            thread.run(lambda: value(1))
        except ForkedError:
            os.write(writing, b"forked")
        finally:
            thread.close()
            os._exit(0)
    os.close(writing)
    assert os.waitpid(child, 0)[1] == 0
    with os.fdopen(reading, "rb") as pipe:
        assert pipe.read() == b"forked"
    assert thread.run(lambda: value(2)) == 2
