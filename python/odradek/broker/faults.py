"""`broker.faults`: have a running broker misbehave, so that a test sees how a client in any language copes.

The faults happen in the real server, in front of every API: Rust counts and applies them (`net/faults.rs`), and where
Python serves the API it builds the error answer (`failure.py`). Nothing here is a mock, and a broker without faults
pays a flag that it looks at once a request.
"""

import math
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from odradek.config.definition import did_you_mean
from odradek.errors import ConfigError, ErrorCode, TimeoutError  # noqa: A004 - ours is the one that is raised
from odradek.protocol.api_keys import ApiKey

if TYPE_CHECKING:
    from odradek.broker.engine import FaultTable

__all__ = ["Fault", "Faults", "Pause"]

_MAX_SECONDS: Final = 86_400.0
_LIKE: Final = 0.6
"""How like a name must be to be the one that was meant."""


class Fault:
    """One fault that was asked for; as a context manager it is taken away at the end."""

    def __init__(self, table: "FaultTable", number: int, what: str) -> None:
        self._table = table
        self._number = number
        self._what = what

    @property
    def hits(self) -> int:
        """How many requests it has met so far; 0 once it was taken away."""
        return self._table.hits(self._number) or 0

    def wait(self, hits: int = 1, timeout: float = 10.0) -> None:
        """Block until it has met so many requests.

        Args:
            hits: 1 or more.
            timeout: seconds.

        Raises:
            TimeoutError: it hasn't in time, or was taken away.
        """
        if not self._table.wait_for_hits(self._number, hits, int(timeout * 1000)):
            raise TimeoutError(f"{self._what} met {self.hits} of {hits} requests within {timeout:g} s")

    def remove(self) -> None:
        """Take it away; requests that it delays go on. Again is no error."""
        self._table.remove(self._number)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.remove()


class Pause:
    """A pause; as a context manager it ends with the block."""

    def __init__(self, table: "FaultTable") -> None:
        self._table = table

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._table.set_paused(False)


class Faults:
    """The faults of one running broker. Thread-safe.

    APIs are named as Kafka does ("Produce", "JoinGroup"; case and underscores don't matter) or by `ApiKey`. `times`
    counts requests from any connection, in the order in which they arrive; None is all of them. A request meets the
    first delay and the first other fault of its API that haven't run out, in the order they were asked for. What is
    asked for lasts until it has run out, is taken away, or the broker stops (`restore` and `snapshot` stop it, too).
    """

    def __init__(self, table: "FaultTable") -> None:
        self._table = table

    def delay(self, api: "str | ApiKey", seconds: float, times: int | None = None) -> Fault:
        """Carry requests out so much later; others on the same connection wait behind them.

        Raises:
            ConfigError: no such API, or a time below 0 or above a day.
        """
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds <= _MAX_SECONDS:
            raise ConfigError(f"seconds: {seconds!r} is not allowed; allowed: 0 to {_MAX_SECONDS:g}")
        return self._add(api, "delay", math.ceil(seconds * 1000), times)

    def fail(self, api: "str | ApiKey", error_code: "str | int", times: int | None = 1) -> Fault:
        """Answer with an error, for each topic and partition the request names, instead of carrying it out.

        Produce with acks=0 has no answer: its connection is closed.

        Args:
            api: which requests.
            error_code: Kafka's name ("NOT_LEADER_OR_FOLLOWER"), an `ErrorCode`, or its number.
            times: how many.

        Raises:
            ConfigError: no such API or error code.
        """
        return self._add(api, "fail", int(_error_code(error_code)), times)

    def drop_connection(self, api: "str | ApiKey", times: int | None = 1, *, after: bool = False) -> Fault:
        """Close the connection that the request comes on; what was asked before it is answered first.

        Args:
            api: which requests.
            times: how many.
            after: False: the request is not carried out. True: it is, and only its answer is lost.

        Raises:
            ConfigError: no such API.
        """
        return self._add(api, "drop_after" if after else "drop_before", 0, times)

    def pause(self) -> Pause:
        """Stop answering, as if the process were stopped: connections are accepted and stay open, nothing moves."""
        self._table.set_paused(True)
        return Pause(self._table)

    def resume(self) -> None:
        """End a pause."""
        self._table.set_paused(False)

    def clear(self) -> None:
        """Take every fault away and end a pause."""
        self._table.clear()

    def _add(self, api: "str | ApiKey", effect: str, value: int, times: int | None) -> Fault:
        key = _api_key(api)
        if times is not None and (isinstance(times, bool) or not isinstance(times, int) or times < 1):
            raise ConfigError(f"times: {times!r} is not allowed; allowed: 1 or more, or None for every request")
        number = self._table.add(key, effect, value, times)
        return Fault(self._table, number, f"{effect} of {key.name}")


def _api_key(api: "str | ApiKey") -> ApiKey:
    if isinstance(api, ApiKey):
        return api
    if isinstance(api, str):
        wanted = api.replace("_", "").casefold()
        for key in ApiKey:
            if key.name.replace("_", "").casefold() == wanted:
                return key
    raise ConfigError(f"unknown API {api!r}{did_you_mean(api, (_camel(key) for key in ApiKey), _LIKE)}")


def _camel(key: ApiKey) -> str:
    return "".join(word.capitalize() for word in key.name.split("_"))


def _error_code(code: "str | int") -> ErrorCode:
    found = None
    if isinstance(code, str):
        found = ErrorCode.__members__.get(code.upper())
    elif isinstance(code, int) and not isinstance(code, bool):
        found = next((row for row in ErrorCode if row == code), None)
    if found is None:
        raise ConfigError(f"unknown error code {code!r}{did_you_mean(code, ErrorCode.__members__, _LIKE)}")
    if found is ErrorCode.NONE:
        raise ConfigError("error code NONE is no error; name the one to answer with")
    return found
