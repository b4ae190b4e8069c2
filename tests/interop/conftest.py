"""Everything here drives the broker with clients that others wrote: marked `interop`."""

from __future__ import annotations

from pathlib import Path

import pytest
from drivers import DRIVERS, Driver

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.interop)


@pytest.fixture(params=list(DRIVERS))
def driver(request: pytest.FixtureRequest) -> Driver:
    """Each client library in turn."""
    return DRIVERS[request.param]


@pytest.fixture(params=list(DRIVERS))
def reader(request: pytest.FixtureRequest) -> Driver:
    """Each client library in turn, as the reading side."""
    return DRIVERS[request.param]
