"""Random and mutated bodies of every API that Python serves: an answer or a closed connection, never a bug, never a hang."""

import logging
import random

import pytest
from quiet_broker import DISCONNECTED, World

from odradek.broker import handlers
from odradek.protocol.api_keys import ApiKey

GROUP_APIS = {
    ApiKey.OFFSET_COMMIT, ApiKey.OFFSET_FETCH, ApiKey.JOIN_GROUP, ApiKey.HEARTBEAT, ApiKey.LEAVE_GROUP, ApiKey.SYNC_GROUP,
    ApiKey.DESCRIBE_GROUPS, ApiKey.LIST_GROUPS, ApiKey.DELETE_GROUPS, ApiKey.OFFSET_DELETE,
}  # fmt: skip
"""They need a group coordinator; tests/wire sends them bad bodies."""
TABLE = [row for row in handlers.load().values() if row.api_key not in GROUP_APIS]


def bodies(generator):
    """Short random bodies, in which small numbers (counts, lengths, flags) are as frequent as in real ones."""
    for _ in range(60):
        length = generator.randrange(40)
        yield bytes(generator.choice((0, 0, 0, 1, 1, 2, 3, 97, 255, generator.randrange(256))) for _ in range(length))


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.api_key.name)
async def test_no_body_is_a_bug(tmp_path, row, caplog):
    generator = random.Random(int(row.api_key))
    world = await World.start(tmp_path)
    await world.create_topic("a")
    with caplog.at_level(logging.ERROR, "odradek.broker"):
        for version in range(row.versions[0], row.versions[1] + 1):
            for body in bodies(generator):
                answer = await world.send(row.api_key, version, body)
                assert answer is DISCONNECTED or isinstance(answer, bytes | str)
                assert not caplog.records, (version, body.hex(), caplog.text)
    await world.create_topic("z")
    await world.stop()
