"""One file an API: its docstring says what is served, `API_KEY` and `VERSIONS` register it, `handle` answers it.

`load()` derives the table of handlers from the files. What clients are told is `broker/served.py`, which a start can read
without loading them all; a test holds it to the files.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

from odradek.protocol.api_keys import ApiKey

__all__ = ["Handler", "load"]


@dataclass(frozen=True, slots=True)
class Handler:
    """What the server needs to know of a handler file."""

    api_key: ApiKey
    versions: tuple[int, int]
    """Lowest and highest version served."""
    handle: Callable[..., Awaitable[Any]]
    """`handle(ctx, request)` returns the response, perhaps encoded, or None when it has seen to the answer itself."""
    advertised: bool
    """False for an API that Rust serves and hands over only in special cases (Metadata with auto-creation)."""


def load() -> dict[ApiKey, Handler]:
    """Import every handler file and return them by API key."""
    handlers: dict[ApiKey, Handler] = {}
    for info in iter_modules(__path__):
        module = import_module(f"{__name__}.{info.name}")
        key: ApiKey = module.API_KEY
        if key in handlers:
            raise ValueError(f"two handler files claim {key.name}")
        handlers[key] = Handler(key, module.VERSIONS, module.handle, getattr(module, "ADVERTISED", True))
    return handlers
