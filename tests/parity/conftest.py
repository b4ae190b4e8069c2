"""The codec's two twins as one fixture: every test here runs on both, and the id says on which.

The public place is `odradek.record`; the twins are imported by their private names because the facade shows one at a time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from odradek import _native, _pure

if TYPE_CHECKING:
    from odradek.record import Codec

TWINS: dict[str, Codec] = {"native": _native, "pure": _pure}


@pytest.fixture(scope="session", params=list(TWINS))
def codec(request: pytest.FixtureRequest) -> Codec:
    """The twin under test."""
    return TWINS[request.param]


@pytest.fixture(scope="session")
def other(codec: Codec) -> Codec:
    """The twin that is not under test."""
    return _pure if codec is _native else _native
