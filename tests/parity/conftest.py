"""The codec's two twins as one fixture: every test here runs on both, and the id says on which.

The public place is `odradek.record`; the twins are imported by their private names because the facade shows one at a time.
Hypothesis has two profiles: `fast` (default) and `slow`, chosen by `HYPOTHESIS_PROFILE`.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from odradek import _native, _pure

if TYPE_CHECKING:
    from odradek.record import Codec

TWINS: dict[str, Codec] = {"native": _native, "pure": _pure}

settings.register_profile("fast", max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("slow", max_examples=1000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fast"))


@pytest.fixture(scope="session", params=list(TWINS))
def codec(request: pytest.FixtureRequest) -> Codec:
    """The twin under test."""
    return TWINS[request.param]


@pytest.fixture(scope="session")
def other(codec: Codec) -> Codec:
    """The twin that is not under test."""
    return _pure if codec is _native else _native
