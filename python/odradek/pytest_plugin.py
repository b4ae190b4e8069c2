"""Fixtures for tests that need an event broker: `odradek_broker`, fresh for each test, and `odradek_session_broker`.

pytest finds this file by its entry point wherever odradek is installed, so it imports nothing but pytest: the broker
is loaded by the first test that asks for one. What the broker can do for a test (`faults`, `snapshot`, `restore`) is in
`broker/embedded.py` and `broker/faults.py`, and shown in docs/testing.md.
"""

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from odradek.broker.embedded import Broker

__all__ = ["odradek_broker", "odradek_session_broker", "pytest_addoption", "pytest_configure"]

_INI = "odradek_broker"
_MARKER = "odradek_broker"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Register the ini option."""
    parser.addini(
        _INI, "settings of the odradek broker fixtures, NAME=VALUE a line, as for `odradek serve --set`", "linelist"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker."""
    config.addinivalue_line(
        "markers",
        f"{_MARKER}(**settings): settings of this test's odradek_broker, as for odradek.Broker: num_partitions=3",
    )


@pytest.fixture
def odradek_broker(request: pytest.FixtureRequest) -> "Iterator[Broker]":
    """A broker of this test's own on a free port: `odradek_broker.bootstrap_servers`. Gone with the test.

    Settings come from the ini option `odradek_broker`, then from the marker of that name, the nearest one first.
    """
    settings = _ini_settings(request.config)
    for marker in reversed(list(request.node.iter_markers(_MARKER))):
        if marker.args:
            raise pytest.UsageError(f"@pytest.mark.{_MARKER} takes settings by name only: num_partitions=3")
        settings |= marker.kwargs
    yield from _run(settings)


@pytest.fixture(scope="session")
def odradek_session_broker(request: pytest.FixtureRequest) -> "Iterator[Broker]":
    """One broker for all tests; `snapshot` and `restore` bring it back to where it was. Settings: see odradek_broker."""
    yield from _run(_ini_settings(request.config))


def _ini_settings(config: pytest.Config) -> dict[str, Any]:
    settings: dict[str, Any] = {}
    for line in config.getini(_INI):
        name, equals, value = line.partition("=")
        if not equals:
            raise pytest.UsageError(f"{_INI}: {line!r} is not NAME=VALUE")
        settings[name.strip().replace(".", "_")] = value.strip()
    return settings


def _run(settings: dict[str, Any]) -> "Iterator[Broker]":
    from odradek.broker.embedded import Broker  # noqa: PLC0415 - most test runs need none
    from odradek.errors import ConfigError  # noqa: PLC0415

    try:
        broker = Broker(**settings)
    except ConfigError as error:
        raise pytest.UsageError(f"settings of the odradek broker: {error}") from error
    with broker:
        yield broker
