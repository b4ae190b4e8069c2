"""Every API at every version that docs/protocol.md promises: a round trip written and read by clients' codecs, not by ours."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import cases_admin
import cases_consumer_groups
import cases_data
import cases_groups
import pytest
from support import messages, protocol_table
from world import World

pytestmark = pytest.mark.brokers("odradek", "kafka")

CASES: dict[str, Callable[[World, int], None]] = {
    **cases_data.CASES,
    **cases_groups.CASES,
    **cases_consumer_groups.CASES,
    **cases_admin.CASES,
}


@pytest.fixture(scope="module")
def world(bootstrap: str) -> Iterator[World]:
    made = World(bootstrap)
    yield made
    made.wire.close()


def promised() -> Iterator[tuple[str, int]]:
    """Give each (api, version) of the table that the oracle can speak."""
    for row in protocol_table.rows():
        low, high = messages.kio_versions(row.api)
        yield from ((row.api, version) for version in range(max(low, row.low), min(high, row.high) + 1))


@pytest.mark.parametrize(("api", "version"), list(promised()))
def test_round_trip_at_every_promised_version(world: World, api: str, version: int) -> None:
    assert world.serves(api, version), f"docs/protocol.md promises {api} v{version}, ApiVersions does not"
    CASES[api](world, version)


def test_every_promised_api_has_a_case() -> None:
    assert {row.api for row in protocol_table.rows()} == CASES.keys()
