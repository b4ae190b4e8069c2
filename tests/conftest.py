"""Fixtures shared by the suite: one broker a session, raw clients, topics with names of their own.

Tests ask a broker called `odradek`, unless the mark `brokers` nearest to them names `kafka`, too, or alone: then they meet Apache
Kafka, in a round of its own that is marked `peer` and for which the first such test starts it.

Hypothesis tries the same examples in each run, so that a change is judged by what it changes; `HYPOTHESIS_PROFILE=search`
(`make slow`) looks for new ones, and for more of them.
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
from hypothesis import HealthCheck, settings

pytest.register_assert_rewrite("support", "world", "cases_admin", "cases_data", "cases_groups")

from support import kafka_tools  # noqa: E402 - after the rewrite hook
from support.broker import Broker, BrokerProcess  # noqa: E402

if TYPE_CHECKING:
    from support.canary import Canary
    from support.wire import Wire

settings.register_profile(
    "same", max_examples=100, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("search", settings.get_profile("same"), max_examples=1_000, derandomize=False)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))

BROKERS = {
    "odradek": pytest.param("odradek_serve", id="odradek"),
    "kafka": pytest.param("kafka", marks=[pytest.mark.peer, pytest.mark.timeout(180)]),
}


def pytest_configure(config: pytest.Config) -> None:
    """Have the plugin's fixtures in a checkout, too, where no entry point names it; let tests press Ctrl-C."""
    from odradek import pytest_plugin

    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # A shell's background jobs ignore Ctrl-C, and hand that on to every process that a test starts and interrupts.
        signal.signal(signal.SIGINT, signal.default_int_handler)

    if not config.pluginmanager.is_registered(pytest_plugin):
        config.pluginmanager.register(pytest_plugin, "odradek")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test against the brokers that its mark names."""
    marker = metafunc.definition.get_closest_marker("brokers")
    if marker and "broker" in metafunc.fixturenames:
        rounds = [BROKERS[name] for name in marker.args]
        metafunc.parametrize("broker", rounds, indirect=True, scope="session")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs Apache Kafka where its jars are not."""
    if kafka_tools.MISSING:
        for item in items:
            if item.get_closest_marker("peer"):
                item.add_marker(pytest.mark.skip(reason=kafka_tools.MISSING))


@pytest.fixture(scope="session")
def broker(request: pytest.FixtureRequest) -> Broker:
    """The broker of the session: ours, unless the mark `brokers` says otherwise."""
    found: Broker = request.getfixturevalue(getattr(request, "param", "odradek_serve"))
    return found


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """Apache Kafka, one node."""
    from support.kafka_server import KafkaServer

    server = KafkaServer(tmp_path_factory.mktemp("apache"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def odradek_serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """`odradek serve`, as the session's tests share it."""
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
