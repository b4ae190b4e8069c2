"""Seeded mutations of valid requests of every API: the broker answers or closes, and a good client is served throughout.

The seed is in the test's name. ODRADEK_FUZZ_SEED and ODRADEK_FUZZ_COUNT change seed and number of mutants for each API.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from typing import Any

import pytest
import samples
from kio.serial import entity_reader
from support import batches, hostile, messages, protocol_table, topics
from support.canary import Canary
from support.wire import Wire

SEED = int(os.environ.get("ODRADEK_FUZZ_SEED", "20261121"))
COUNT = int(os.environ.get("ODRADEK_FUZZ_COUNT", "60"))
INTERESTING = (
    b"\x7f\xff\xff\xff",
    b"\xff\xff\xff\xff",
    b"\x80\x00\x00\x00",
    b"\x00\x00\x00\x00",
    b"\xff\xff\xff\xff\x0f",
    b"\x00",
)


def flip(chance: random.Random, raw: bytearray) -> None:
    raw[chance.randrange(len(raw))] ^= 1 << chance.randrange(8)


def overwrite(chance: random.Random, raw: bytearray) -> None:
    position = chance.randrange(len(raw))
    value = chance.choice(INTERESTING)
    raw[position : position + len(value)] = value


def cut(chance: random.Random, raw: bytearray) -> None:
    del raw[chance.randrange(len(raw)) :]


def remove(chance: random.Random, raw: bytearray) -> None:
    position = chance.randrange(len(raw))
    del raw[position : position + chance.randrange(1, 9)]


def insert(chance: random.Random, raw: bytearray) -> None:
    position = chance.randrange(len(raw) + 1)
    raw[position:position] = chance.randbytes(chance.randrange(1, 9))


def repeat(chance: random.Random, raw: bytearray) -> None:
    position = chance.randrange(len(raw))
    raw[position:position] = raw[position : position + chance.randrange(1, 33)]


MUTATIONS: tuple[Callable[[random.Random, bytearray], None], ...] = (
    flip,
    flip,
    overwrite,
    overwrite,
    cut,
    remove,
    insert,
    repeat,
)


def mutant(chance: random.Random, whole: bytes) -> bytes:
    """Return the request with one to four mutations; the API key and version stay, so that its decoder is met."""
    head, raw = whole[:4], bytearray(whole[4:])
    for _ in range(chance.randrange(1, 5)):
        if raw:
            chance.choice(MUTATIONS)(chance, raw)
    return head + bytes(raw)


def may_wait(schema: Any, frame: bytes) -> bool:
    """Tell whether a mutant is a valid request that an honest broker would answer late: a long poll, or a join to a group."""
    if schema.__api_key__ not in {messages.API_KEYS["fetch"], messages.API_KEYS["join_group"]}:
        return False
    try:
        _, used = entity_reader(schema.__header_schema__)(frame, 0)
        request, _ = entity_reader(schema)(frame, used)
    except Exception:  # noqa: BLE001 - whatever stops the oracle: such a request can't wait
        return False
    if schema.__api_key__ == messages.API_KEYS["fetch"]:
        return bool(request.max_wait.total_seconds() > 1)
    return True


@pytest.mark.parametrize("seed", [SEED])
@pytest.mark.parametrize("row", protocol_table.rows(), ids=lambda row: row.api)
def test_mutated_requests_hurt_nobody(
    row: protocol_table.Promise, seed: int, bootstrap: str, wire: Wire, topic: str, canary: Canary
) -> None:
    topics.produce(wire, topic, batches.batch([b"something to fetch"]))
    fields = samples.requests(topic, topics.describe_topic(wire, topic).topic_id)[row.api]
    chance = random.Random(f"{seed}-{row.api}")
    low, high = messages.kio_versions(row.api)
    for number in range(COUNT):
        version = chance.randint(max(low, row.low), min(high, row.high))
        frame = mutant(chance, messages.encode_request(row.api, version, fields))
        if not may_wait(type(messages.request(row.api, version, fields)), frame):
            try:
                hostile.provoke(bootstrap, frame)
            except TimeoutError:
                pytest.fail(f"no answer and no close for {row.api} v{version}, mutant {number}: {frame.hex()}")
        if number % 20 == 0:
            canary.sing()
