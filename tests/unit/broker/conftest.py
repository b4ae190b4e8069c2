"""Fixtures of a broker without sockets."""

import pytest
from quiet_broker import World


@pytest.fixture
async def world(tmp_path):
    made = await World.start(tmp_path)
    yield made
    await made.stop()
