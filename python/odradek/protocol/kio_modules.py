"""Import kio's modules, one API version at a time, without what kio would drag in for its own tests.

Where Hypothesis is installed (in most test environments, so where embedded brokers live), kio imports it whole and
registers strategies for its types: 190 + 110 ms, measured, at a broker's first group or topic request. Nobody here
needs them.
"""

import sys
import threading
from collections.abc import Sequence
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import Any

from odradek.protocol.api_keys import ApiKey

__all__ = ["kio_module", "kio_serial"]


class _NoHypothesis:
    """Hides Hypothesis from imports of the thread that made it; other threads see it as ever."""

    def __init__(self) -> None:
        # Once it is there, hiding parts of it would break what kio does with the rest.
        self._thread = None if "hypothesis" in sys.modules else threading.get_ident()

    def find_spec(self, name: str, _path: Sequence[str] | None = None, _target: ModuleType | None = None) -> None:
        """Refuse Hypothesis to this thread, leave everything else to the next finder."""
        if name.partition(".")[0] == "hypothesis" and threading.get_ident() == self._thread:
            raise ModuleNotFoundError(name)

    def __enter__(self) -> None:
        sys.meta_path.insert(0, self)

    def __exit__(self, *_: object) -> None:
        sys.meta_path.remove(self)


@cache
def kio_serial() -> Any:
    """Return `kio.serial`, which makes readers and writers of entities."""
    with _NoHypothesis():
        return import_module("kio.serial")


@cache
def kio_module(api_key: int, version: int, part: str) -> Any:
    """Return kio's module of one version's `request` or `response`."""
    kio_serial()
    return import_module(f"kio.schema.{ApiKey(api_key).name.lower()}.v{version}.{part}")
