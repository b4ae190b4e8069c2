"""Fixtures shared by the suite: one broker a session, raw clients, topics with names of their own.

`ODRADEK_TEST_BOOTSTRAP=host:port` turns the black-box tests on a broker that is already there (Apache Kafka, say); tests that have
to start, kill or configure a broker skip themselves then.
"""

from __future__ import annotations

import itertools
import os
import signal
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

pytest.register_assert_rewrite("support", "world", "cases_admin", "cases_data", "cases_groups")

from support.broker import Broker, BrokerProcess, ExternalBroker  # noqa: E402 - after the rewrite hook

if TYPE_CHECKING:
    from support.canary import Canary
    from support.wire import Wire

EXTERNAL = os.environ.get("ODRADEK_TEST_BOOTSTRAP")


def pytest_configure(config: pytest.Config) -> None:
    """Have the plugin's fixtures in a checkout, too, where no entry point names it; let tests press Ctrl-C."""
    from odradek import pytest_plugin

    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # A shell's background jobs ignore Ctrl-C, and hand that on to every process that a test starts and interrupts.
        signal.signal(signal.SIGINT, signal.default_int_handler)

    if not config.pluginmanager.is_registered(pytest_plugin):
        config.pluginmanager.register(pytest_plugin, "odradek")


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """The broker of the session."""
    if EXTERNAL:
        yield ExternalBroker(EXTERNAL)
        return
    process = BrokerProcess(tmp_path_factory.mktemp("session") / "data")
    process.start()
    yield process
    assert process.stop() == 0, process.log_path.read_text()[-4000:]


@pytest.fixture(scope="session")
def bootstrap(broker: Broker) -> str:
    """Where the session's broker listens, as host:port."""
    return broker.bootstrap


@pytest.fixture
def own_broker(tmp_path: Path) -> Iterator[Callable[..., BrokerProcess]]:
    """Return a function that starts a broker of the test's own, with settings; it may be killed and started again."""
    if EXTERNAL:
        pytest.skip("the broker under test is somebody else's: it can't be restarted or configured")
    started: list[BrokerProcess] = []

    def start(*, data_dir: Path | None = None, **settings: str) -> BrokerProcess:
        names = {name.replace("_", "."): value for name, value in settings.items()}
        process = BrokerProcess(data_dir or tmp_path / f"data-{len(started)}", settings=names)
        started.append(process)
        process.start()
        return process

    yield start
    for process in started:
        process.kill()


@pytest.fixture
def connect(bootstrap: str) -> Iterator[Callable[..., Wire]]:
    """Return a function that opens raw connections; they are closed at the end of the test."""
    from support.wire import Wire  # the oracles are heavy; the unit tests do without them

    opened: list[Wire] = []

    def open_one(to: str = bootstrap, **options: object) -> Wire:
        opened.append(Wire(to, **options))  # type: ignore[arg-type]
        return opened[-1]

    yield open_one
    for wire in opened:
        wire.close()


@pytest.fixture
def wire(connect: Callable[..., Wire]) -> Wire:
    """One raw connection to the session's broker."""
    return connect()


_names = itertools.count(1)


@pytest.fixture
def unique() -> Callable[[str], str]:
    """Return a function that makes names nobody else uses, also not on a shared broker."""
    return lambda stem: f"{stem}-{uuid.uuid4().hex[:8]}-{next(_names)}"


@pytest.fixture
def make_topic(wire: Wire, unique: Callable[[str], str]) -> Callable[..., str]:
    """Return a function that creates a topic and returns its name."""
    from support import topics

    def make(stem: str = "topic", *, partitions: int = 1, **configs: str | int) -> str:
        name = unique(stem)
        topics.create_topic(wire, name, partitions=partitions, **configs)
        return name

    return make


@pytest.fixture
def topic(make_topic: Callable[..., str]) -> str:
    """A topic with one partition."""
    return make_topic()


@pytest.fixture
def canary(bootstrap: str, unique: Callable[[str], str]) -> Iterator[Canary]:
    """A good client beside the trouble; after the test it must be served still and miss nothing."""
    from support.canary import Canary

    bird = Canary(bootstrap, unique("canary"))
    yield bird
    try:
        bird.check()
    finally:
        bird.close()
