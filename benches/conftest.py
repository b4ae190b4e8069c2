"""Native against pure Python: each case runs on both twins, side by side in one group.

Run with `make bench`. A debug build is refused: its figures would mean nothing. Each benchmark asserts that what was timed
gave the right result. The twins are imported by their private names because the facade shows one at a time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from odradek import _native, _pure

if TYPE_CHECKING:
    from collections.abc import Callable

    from odradek.record import Codec

    Grouped = Callable[[str], Callable[..., object]]

TWINS: dict[str, Codec] = {"native": _native, "pure": _pure}
SECONDS_A_CASE = 0.25


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if _native.build_profile() != "release":
        message = f"the extension is a {_native.build_profile()} build: benchmarks need `make build`"
        raise pytest.UsageError(message)
    for item in items:
        item.add_marker(pytest.mark.benchmark(max_time=SECONDS_A_CASE, min_rounds=5))


@pytest.fixture(params=list(TWINS))
def codec(request: pytest.FixtureRequest) -> Codec:
    """The twin under the clock."""
    return TWINS[request.param]


@pytest.fixture
def timed(benchmark: Callable[..., object]) -> Grouped:
    """Return a function that names the case and returns the benchmark: twins of a case share a group."""

    def named(case: str) -> Callable[..., object]:
        benchmark.group = case  # type: ignore[attr-defined]
        return benchmark

    return named
