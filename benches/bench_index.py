"""The offset index: find the entry at or below an offset among 10,000, the size of a 40 MiB segment's index."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from conftest import Grouped

    from odradek.record import Codec

BASE = 1_000_000
ENTRIES = [(BASE + 1 + number * 40, number * 4200) for number in range(1, 10_001)]


def bench_lookup(codec: Codec, timed: Grouped) -> None:
    index = codec.encode_index(ENTRIES, BASE)
    assert timed("index lookup, 10,000 entries")(codec.index_lookup, index, BASE, ENTRIES[7777][0] + 5) == ENTRIES[7777]


def bench_encode_index(codec: Codec, timed: Grouped) -> None:
    index = timed("index encode, 10,000 entries")(codec.encode_index, ENTRIES, BASE)
    assert codec.index_lookup(index, BASE, ENTRIES[-1][0]) == ENTRIES[-1]
