"""Decode responses: the client's side of `codec.py`.

Two things differ from requests. A broker may be newer than kio, so tagged fields that kio does not know are cut out of
the body first, as the protocol wants them to be ignored (KIP-482). And a broker is trusted further than a client:
the limits are higher.
"""

from functools import cache
from typing import TYPE_CHECKING, Any, Final

from odradek.errors import RemoteProtocolError
from odradek.protocol.api_keys import ApiKey
from odradek.protocol.claims import check_claims
from odradek.protocol.codec import null_arrays, response_class
from odradek.protocol.kio_modules import kio_serial

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["MAX_ANSWER_BYTES", "decode_answer", "kio_versions"]

MAX_ANSWER_BYTES: Final = 256 * 1024 * 1024
"""Longest response that is decoded here. Fetch is not."""
_MAX_ELEMENTS: Final = 2_000_000


def decode_answer(api_key: int, version: int, body: bytes) -> Any:
    """Return the response in `body` (what follows the response header) as kio's dataclass of that version.

    Raises:
        RemoteProtocolError: the body is cut short, malformed or too long.
    """
    label = f"the answer to {ApiKey(api_key).name} version {version}"
    if len(body) > MAX_ANSWER_BYTES:
        raise RemoteProtocolError(f"{label} has {len(body)} bytes, the limit is {MAX_ANSWER_BYTES}")
    cls = response_class(api_key, version)
    try:
        unknown = check_claims(cls, body, _MAX_ELEMENTS)
        answer = _reader(cls)(_without(body, unknown), 0)[0]
    except Exception as error:  # kio raises its own errors, KeyError, ValueError and OverflowError on bad bytes
        raise RemoteProtocolError(f"{label} can't be read: {error}") from error
    null = next(null_arrays(answer), None)
    if null is not None:
        raise RemoteProtocolError(f"{label}: {null} is null, which it may not be")
    return answer


@cache
def kio_versions(api_key: int) -> tuple[int, int]:
    """Return the lowest and highest version of an API that kio has classes for."""
    from importlib import import_module  # noqa: PLC0415
    from pkgutil import iter_modules  # noqa: PLC0415

    kio_serial()
    package = import_module(f"kio.schema.{ApiKey(api_key).name.lower()}")
    numbers = [int(module.name[1:]) for module in iter_modules(package.__path__) if module.name[1:].isdigit()]
    return min(numbers), max(numbers)


def _without(body: bytes, cuts: list[tuple[int, int, bytes]]) -> bytes:
    """Replace each (start, end) of `body` by other bytes."""
    if not cuts:
        return body
    parts = []
    at = 0
    for start, end, instead in cuts:
        parts += [body[at:start], instead]
        at = end
    return b"".join([*parts, body[at:]])


@cache
def _reader(cls: Any) -> "Callable[[bytes, int], tuple[Any, int]]":
    reader: Callable[[bytes, int], tuple[Any, int]] = kio_serial().entity_reader(cls)
    return reader
