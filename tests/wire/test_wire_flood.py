"""Forty connections that each claim a 95 MiB frame: a good client must not notice, and what is claimed must not be allocated."""

from __future__ import annotations

import struct
from collections.abc import Callable

from support import messages, topics
from support.broker import Broker
from support.canary import Canary
from support.wire import Wire

CLAIMANTS = 40
CLAIMED_BYTES = 95 << 20
SENT_BYTES = 256 << 10
ROUNDS = 100
GROWTH_BYTES = 150 << 20
# Best against best, as a neighbour on these cores slows most of a hundred but not each: far above noise, far below what
# waiting for an allocation or a lock would give.
SLOWER_AT_MOST = 10


def best_latency(canary: Canary) -> float:
    """Return the least seconds of a produce and a fetch."""
    return min(canary.sing() for _ in range(ROUNDS))


def test_claimed_frames_do_not_slow_a_good_client(connect: Callable[..., Wire], broker: Broker, canary: Canary) -> None:
    before = broker.resident_bytes()
    alone = best_latency(canary)
    header = messages.encode_request("metadata", 9, topics.metadata_fields(None))
    claimants = [connect() for _ in range(CLAIMANTS)]
    for claimant in claimants:
        claimant.send_raw(struct.pack(">i", CLAIMED_BYTES) + header + b"\0" * (SENT_BYTES - len(header)))
    beside = best_latency(canary)
    after = broker.resident_bytes()
    assert beside < alone * SLOWER_AT_MOST
    if before is not None and after is not None:
        assert after - before < GROWTH_BYTES


def test_slow_writers_of_large_frames_do_not_slow_a_good_client(connect: Callable[..., Wire], canary: Canary) -> None:
    alone = best_latency(canary)
    claimants = [connect() for _ in range(CLAIMANTS)]
    for claimant in claimants:
        claimant.send_raw(struct.pack(">i", CLAIMED_BYTES))

    def beside() -> float:
        for claimant in claimants:
            claimant.send_raw(b"\0" * 512)
        return canary.sing()

    assert min(beside() for _ in range(ROUNDS)) < alone * SLOWER_AT_MOST


def test_readers_that_never_read_do_not_slow_a_good_client(
    connect: Callable[..., Wire], broker: Broker, topic: str, wire: Wire, canary: Canary
) -> None:
    from support import batches

    for _ in range(8):
        topics.produce(wire, topic, batches.batch([b"x" * 900_000]))
    before = broker.resident_bytes()
    alone = best_latency(canary)
    for _ in range(10):
        deaf = connect()
        for _ in range(100):
            deaf.send("fetch", 12, topics.fetch_fields(topic, 0))
    assert best_latency(canary) < alone * SLOWER_AT_MOST
    after = broker.resident_bytes()
    if before is not None and after is not None:
        assert after - before < GROWTH_BYTES


def test_a_thousand_idle_connections_cost_little(connect: Callable[..., Wire], broker: Broker, canary: Canary) -> None:
    before = broker.resident_bytes()
    for _ in range(1_000):
        connect()
    canary.sing()
    after = broker.resident_bytes()
    if before is not None and after is not None:
        assert (after - before) / 1_000 <= 16 << 10
