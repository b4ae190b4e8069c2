"""The offset index: entries in Kafka's layout, and the last one at or below an offset."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odradek.errors import StorageError

if TYPE_CHECKING:
    from odradek.record import Codec

steps = st.lists(st.tuples(st.integers(1, 1000), st.integers(1, 5000)), max_size=40)


@given(base=st.integers(0, 2**62), steps=steps, target=st.integers(-10, 50_000))
def test_lookup_finds_the_last_entry_at_or_below_the_target(
    codec: Codec, other: Codec, base: int, steps: list, target: int
) -> None:
    entries, offset, position = [], base, 0
    for offset_step, position_step in steps:
        offset, position = offset + offset_step, position + position_step
        entries.append((offset, position))
    index = codec.encode_index(entries, base)
    assert index == other.encode_index(entries, base)
    found = [entry for entry in entries if entry[0] <= base + target]
    assert codec.index_lookup(index, base, base + target) == (found[-1] if found else (base, 0))


def test_an_entry_is_the_bytes_of_its_format(codec: Codec) -> None:
    assert codec.encode_index([(105, 4096)], 100).hex(" ") == "00 00 00 05 00 00 10 00"


@pytest.mark.parametrize(
    "entries", [[(99, 0)], [(100 + 2**31, 0)], [(101, 2**31)], [(101, 5), (101, 6)], [(101, 5), (102, 5)], [(101, -1)]]
)
def test_entries_that_do_not_fit_are_refused(codec: Codec, entries: list) -> None:
    with pytest.raises(ValueError, match="index entry"):
        codec.encode_index(entries, 100)


def test_an_index_of_broken_length_is_refused(codec: Codec) -> None:
    with pytest.raises(StorageError, match="multiple of 8"):
        codec.index_lookup(bytes(9), 0, 0)
