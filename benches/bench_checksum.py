"""CRC-32C of what a batch is checked over."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cases import values

from odradek import _native, _pure

if TYPE_CHECKING:
    from conftest import Grouped

    from odradek.record import Codec


@pytest.mark.parametrize("size", [100, 1024, 16 * 1024, 1024 * 1024])
def bench_crc32c(codec: Codec, timed: Grouped, size: int) -> None:
    [data] = values(size, 1)
    other = _pure if codec is _native else _native
    assert timed(f"CRC-32C of {size} B")(codec.crc32c, data) == other.crc32c(data)
