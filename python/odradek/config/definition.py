"""What an option is: name, type, default, valid values, and how text becomes a value and back.

No option is defined here (see `topic.py` and `broker.py`) and no file is read here (see `files.py`).
"""

from __future__ import annotations

from enum import IntEnum

from odradek.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Final

__all__ = [
    "Kind",
    "Option",
    "Scope",
    "Valid",
    "Value",
    "at_least",
    "between",
    "did_you_mean",
    "lookup",
    "one_of",
    "some_of",
]

Value = bool | int | float | str | tuple[str, ...] | None
"""A parsed value; None only where an option has no value unless one is set."""


class Kind(IntEnum):
    """Types of values; the numbers are those of DescribeConfigs' `config_type`."""

    BOOLEAN = 1
    STRING = 2
    INT = 3
    SHORT = 4
    LONG = 5
    DOUBLE = 6
    LIST = 7
    CLASS = 8
    PASSWORD = 9


class Scope(IntEnum):
    """When a broker option may change."""

    READ_ONLY = 0
    """Only with a restart."""
    CLUSTER_WIDE = 1
    """At run time, for one broker or for all."""


class Valid:
    """A condition on a value and its wording for error messages and docs. Immutable."""

    __slots__ = ("test", "text")

    def __init__(self, text: str, test: Callable[[Value], bool]) -> None:
        self.text: Final = text
        self.test: Final = test


def at_least(low: float) -> Valid:
    """Allow `low` and all above."""
    return Valid(f"{low} or more", lambda value: isinstance(value, int | float) and value >= low)


def between(low: float, high: float, *, also: int | None = None) -> Valid:
    """Allow from `low` to `high`, both included, and `also`."""
    text = f"{low} to {high}" + ("" if also is None else f", or {also}")
    return Valid(text, lambda value: isinstance(value, int | float) and (low <= value <= high or value == also))


def one_of(*words: str) -> Valid:
    """Allow exactly these words."""
    return Valid(f"one of {', '.join(words)}", lambda value: value in words)


def some_of(*words: str) -> Valid:
    """Allow a list, possibly empty, whose members are these words."""
    return Valid(f"a list of {', '.join(words)}", lambda value: isinstance(value, tuple) and set(value) <= set(words))


_BITS: Final = {Kind.SHORT: 16, Kind.INT: 32, Kind.LONG: 64}
_NOUN: Final = {
    Kind.BOOLEAN: "true or false",
    Kind.DOUBLE: "a number",
    Kind.SHORT: "an integer of 16 bits",
    Kind.INT: "an integer of 32 bits",
    Kind.LONG: "an integer of 64 bits",
    Kind.LIST: "a list with commas",
}


class Option:
    """One option: a row of `topic.py` or `broker.py`. Immutable; no dataclass, which would double what a start imports."""

    def __init__(  # noqa: PLR0917 - the rows of a table are read by place
        self,
        name: str,
        kind: Kind,
        default: Value,
        doc: str,
        valid: Valid | None = None,
        unit: str = "",
        scope: Scope = Scope.READ_ONLY,
        *,
        sensitive: bool = False,
        inert: bool = False,
        broker: tuple[tuple[str, int], ...] = (),
    ) -> None:
        self.name: Final = name
        self.kind: Final = kind
        self.default: Final = default
        self.doc: Final = doc
        self.valid: Final = valid
        self.unit: Final = unit
        """ms, bytes, ... or nothing."""
        self.scope: Final = scope
        self.sensitive: Final = sensitive
        """Never shown."""
        self.inert: Final = inert
        """Accepted so that Kafka's files and tools work, but odradek does nothing with it; `doc` says why."""
        self.broker: Final = broker
        """Topic options only: the broker options that give the default, most specific first, and the factor that turns
        each into this option's unit (`log.retention.hours` counts 3,600,000 ms)."""

    def allowed(self) -> str:
        """Say in words what values are allowed."""
        noun = _NOUN.get(self.kind, "")
        valid = self.valid.text if self.valid else ""
        return "; ".join(part for part in (noun, valid) if part) or "any text"

    def parse(self, text: str) -> Value:
        """Turn text into a value.

        Raises:
            ConfigError: of the wrong type or outside what is allowed; names option, text and what is allowed.
        """
        try:
            value = self._read(text.strip())
        except ValueError:
            raise self.refusal(text) from None
        if self.valid is not None and not self.valid.test(value):
            raise self.refusal(text)
        return value

    def refusal(self, text: str) -> ConfigError:
        """Return the error for a value that isn't allowed."""
        shown = "(hidden)" if self.sensitive else repr(text)
        return ConfigError(f"{self.name}: {shown} is not allowed; allowed: {self.allowed()}")

    def _read(self, text: str) -> Value:
        match self.kind:
            case Kind.BOOLEAN:
                return {"true": True, "false": False}[text.lower()] if text.lower() in {"true", "false"} else _refuse()
            case Kind.SHORT | Kind.INT | Kind.LONG:
                if "_" in text or not text.isascii():
                    _refuse()
                number = int(text)
                limit = 1 << (_BITS[self.kind] - 1)
                return number if -limit <= number < limit else _refuse()
            case Kind.DOUBLE:
                return float(text) if "_" not in text else _refuse()
            case Kind.LIST:
                return tuple(part.strip() for part in text.split(",")) if text else ()
            case _:
                return text

    def render(self, value: Value) -> str | None:
        """Turn a value into the text that Kafka shows for it."""
        if value is None:
            return None
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, tuple):
            return ",".join(value)
        return str(value)


def _refuse() -> Value:
    raise ValueError


def lookup(options: dict[str, Option], name: str, what: str) -> Option:
    """Return the option called `name`.

    Raises:
        ConfigError: there is none; suggests the nearest names.
    """
    option = options.get(name)
    if option is None:
        raise ConfigError(f"unknown {what} {name!r}{did_you_mean(name, options)}")
    return option


def did_you_mean(name: object, names: Iterable[str], cutoff: float = 0.75) -> str:
    """Return "; did you mean A or B?" with the names that are like this one, "" if none is; `cutoff` says how like, 0 to 1."""
    from difflib import get_close_matches  # noqa: PLC0415 - only for those who mistype

    near = get_close_matches(name, list(names), n=2, cutoff=cutoff) if isinstance(name, str) else []
    return f"; did you mean {' or '.join(near)}?" if near else ""
