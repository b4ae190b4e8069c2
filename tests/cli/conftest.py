"""Fixtures of the command line's tests: commands that run against the session's broker, and topics of a test's own."""

import itertools
import socket
import subprocess
import uuid
from collections.abc import Callable, Iterator

import pytest

pytest.register_assert_rewrite("cli_support")

from cli_support import COMMAND, Outcome, Running, environment, run_command  # noqa: E402  after the rewrite hook


@pytest.fixture
def offline() -> Callable[..., Outcome]:
    """Run a command with no broker to talk to."""
    return run_command


@pytest.fixture
def run(bootstrap: str) -> Callable[..., Outcome]:
    """Run a command against the session's broker."""

    def run_there(*arguments: str, stdin: bytes | str = b"") -> Outcome:
        return run_command(*arguments, stdin=stdin, bootstrap=bootstrap)

    return run_there


@pytest.fixture
def start(bootstrap: str) -> Iterator[Callable[..., Running]]:
    """Start a command against the session's broker and leave it running; it is killed at the end of the test."""
    started: list[subprocess.Popen[bytes]] = []

    def start_one(*arguments: str) -> Running:
        process = subprocess.Popen(
            [*COMMAND, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(bootstrap),
        )
        started.append(process)
        return Running(process)

    yield start_one
    for process in started:
        process.kill()
        process.communicate()


_NUMBERS = itertools.count()


@pytest.fixture
def name() -> str:
    """Return a name that no other test uses, for topics and groups."""
    return f"cli-{uuid.uuid4().hex[:8]}-{next(_NUMBERS)}"


@pytest.fixture
def topic(run: Callable[..., Outcome], name: str) -> Iterator[str]:
    """Return a topic of two partitions."""
    assert run("topics", "create", name, "--partitions", "2").code == 0
    yield name
    run("topics", "delete", name, "--if-exists")


@pytest.fixture
def silent_server() -> Iterator[str]:
    """Return the address of something that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"
