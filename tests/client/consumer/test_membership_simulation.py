"""Members of ours that come, go, die, stall and are cut off at random, against the broker's coordinator.

Each seed is one life of a group; to run one again: `pytest ... -k 'seed-17'`. What must hold at every step:

- nobody is given a partition while somebody whom the group still counts on owns it (see `World.note_assigned`);
- a commit that succeeded is not undone by a member that had lost the partition;
- no task of a member ends by itself;
- when the trouble ends, the group settles, every partition has exactly one owner, and the shares are even.
"""

import asyncio
import itertools

import pytest
from group_world import MAX_POLL_MS, SESSION_MS, World

from odradek.errors import (
    ErrorCode,
    FatalError,
    KafkaError,
    MaxPollExceededError,
    OdradekError,
    TimeoutError,  # noqa: A004
)
from odradek.types import OffsetAndMetadata

SEEDS = 84
STRATEGIES = [
    ("range",),
    ("roundrobin",),
    ("sticky",),
    ("cooperative-sticky",),
    ("range", "cooperative-sticky"),
    ("848-uniform",),
    ("848-range",),
]


async def step(world, strategy, names):
    rnd, alive = world.random, [member for member in world.members if member.alive]
    what = rnd.random()
    if (what < 0.3 and len(alive) < 8) or not alive:
        used = {member.name for member in alive}
        name = rnd.choice([None, None, *(one for one in ("s1", "s2") if one not in used)])
        world.member(*strategy, instance_id=name, name=name or f"m{next(names)}")
        return
    member = rnd.choice(alive)
    if what < 0.4:
        await member.leave()
    elif what < 0.5:
        await member.kill()
    elif what < 0.6:
        member.stall()
    elif what < 0.7:
        member.resume()
    elif what < 0.8:
        member.transport.cut = not member.transport.cut
    elif what < 0.83:
        member.transport.lose = rnd.randrange(1, 4)
    elif what < 0.87:
        world.grow("t", world.counts["t"] + 1)
    else:
        await commit(world, member)


async def commit(world, member):
    """Commit something later than ever before; if that succeeds it must be there, unless a rightful owner went on."""
    held = sorted(member.holdings.held())
    if not held:
        return
    one = world.random.choice(held)
    world.latest = getattr(world, "latest", 0) + 1
    offset = world.latest
    task = asyncio.ensure_future(member.commits.commit({one: OffsetAndMetadata(offset)}, 3.0))
    await world.advance(4_000)
    try:
        await task
    except (OdradekError, TimeoutError):
        return
    stored = world.service.offset("g", one.topic, one.partition)
    assert stored is not None
    assert stored >= offset


def is_due(error, strategy):
    """Return whether a member may be told this: it stalled, or (KIP-848) its name was still a dead one's."""
    if isinstance(error, KafkaError):
        return strategy[0].startswith("848-") and error.error_code == ErrorCode.UNRELEASED_INSTANCE_ID
    return isinstance(error, MaxPollExceededError)


@pytest.mark.parametrize("strategy", STRATEGIES, ids="-".join)
@pytest.mark.parametrize("seed", range(SEEDS // len(STRATEGIES)), ids=lambda seed: f"seed-{seed}")
async def test_no_partition_has_two_owners_and_the_group_settles(seed, strategy):
    world = await World(f"{seed}{strategy}", t=7).start()
    names = itertools.count()
    for _ in range(60):
        await step(world, strategy, names)
        await world.advance(world.random.choice([0, 10, 300, 1_000, SESSION_MS // 2, SESSION_MS]))
    alive = [member for member in world.members if member.alive]
    for member in alive:
        member.transport.cut = False
        member.resume()
    await world.settle(2 * MAX_POLL_MS + 2 * SESSION_MS)
    if alive:
        shares = [len(member.holdings.held()) for member in alive]
        assert sum(shares) == world.counts["t"]
        assert max(shares) - min(shares) <= 1
        assert len(set(world.owned(*alive))) == world.counts["t"]
    for member in world.members:
        assert all(is_due(error, strategy) for error in member.raised), member.raised
        assert not any(isinstance(error, FatalError) for error in member.raised)
    await world.stop()
