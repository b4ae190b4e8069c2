"""What an option of a client is: an `Option` that also takes Python's values and, some of them, callables.

No option is defined here (see `client_common.py`, `client_producer.py`, `client_consumer.py`) and none is combined
with another (see `client.py`).
"""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from odradek.config.definition import Kind, Option, Valid, Value
from odradek.errors import ConfigError

__all__ = ["SERIALIZERS", "ClientOption", "not_empty", "some_of_at_least_one"]

SERIALIZERS = ("none", "str", "int", "float", "json")
"""Serializers and deserializers that have a name; `none` hands bytes through."""

_BUILTIN_NAMES: dict[Any, str] = {bytes: "none", str: "str", int: "int", float: "float"}
_INTEGERS = frozenset({Kind.SHORT, Kind.INT, Kind.LONG})


def not_empty() -> Valid:
    """Allow any text but the empty one."""
    return Valid("text that isn't empty", lambda value: isinstance(value, str) and value != "")


def some_of_at_least_one(*words: str) -> Valid:
    """Allow a list of one or more of these words, none of them twice."""
    return Valid(
        f"one or more of {', '.join(words)}, each once",
        lambda value: isinstance(value, tuple) and 0 < len(value) == len(set(value)) and set(value) <= set(words),
    )


class ClientOption(Option):
    """One option of a client."""

    def __init__(  # noqa: PLR0917 - the rows of a table are read by place
        self,
        name: str,
        kind: Kind,
        default: Value,
        doc: str,
        valid: Valid | None = None,
        unit: str = "",
        *,
        inert: bool = False,
        aliases: Mapping[str, str] = MappingProxyType({}),
        callables: bool = False,
    ) -> None:
        super().__init__(name, kind, default, doc, valid, unit, inert=inert)
        self.aliases: Final = aliases
        """Other spellings of a value; numbers are spelled as text."""
        self.callables: Final = callables
        """A callable is a value too; `doc` says how it is called."""

    def accept(self, value: object, spelled: str) -> Value | Callable[..., Any]:
        """Turn what a caller gave into a value.

        Args:
            value: text, or a Python value of the option's kind, or a callable where `callables` allows it.
            spelled: the option's name as the caller wrote it, for the error.

        Raises:
            ConfigError: of the wrong type or outside what is allowed; names option, value and what is allowed.
        """
        if self.kind is Kind.CLASS:
            return self._accept_class(value, spelled)
        if isinstance(value, str):
            return self._accept_text(value, spelled)
        if isinstance(value, bool):
            accepted = self.kind is Kind.BOOLEAN
        elif isinstance(value, int):
            if self.aliases or self.kind is Kind.DOUBLE:
                return self._accept_text(str(value), spelled)
            accepted = self.kind in _INTEGERS
        elif isinstance(value, float):
            accepted = self.kind is Kind.DOUBLE
        elif isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
            accepted = self.kind is Kind.LIST and all(isinstance(word, str) for word in value)
            value = tuple(self.aliases.get(word, word) for word in value) if accepted else value
        else:
            accepted = False
        if not accepted:
            raise self.refuse(value, spelled)
        if isinstance(value, tuple):
            return self._checked(value, spelled)
        # Through text, so that one place knows how wide an integer may be.
        return self._accept_text("true" if value is True else "false" if value is False else str(value), spelled)

    def _accept_text(self, text: str, spelled: str) -> Value:
        text = self.aliases.get(text.strip(), text)
        try:
            value = self.parse(text) if self.kind is not Kind.LIST else self._words(text)
        except ConfigError:
            raise self.refuse(text, spelled) from None
        return self._checked(value, spelled)

    def _words(self, text: str) -> tuple[str, ...]:
        words = (word.strip() for word in text.split(",")) if text.strip() else ()
        return tuple(self.aliases.get(word, word) for word in words)

    def _checked(self, value: Value, spelled: str) -> Value:
        if self.valid is not None and not self.valid.test(value):
            java = [word for word in (value if isinstance(value, tuple) else (value,)) if _is_java_class(word)]
            raise self.refuse(value, spelled, f" ({java[0]} is a Java class)" if java else "")
        return value

    def _accept_class(self, value: object, spelled: str) -> Value | Callable[..., Any]:
        value = _BUILTIN_NAMES.get(value, value) if isinstance(value, type) else value
        if isinstance(value, str):
            name = self.aliases.get(value, value)
            if self.valid is not None and self.valid.test(name):
                return name
            raise self.refuse(value, spelled, " (it names a Java class)" if _is_java_class(value) else "")
        if self.callables and callable(value):
            return value
        raise self.refuse(value, spelled)

    def refuse(self, value: object, spelled: str, note: str = "") -> ConfigError:
        """Return the error for a value that isn't allowed."""
        return ConfigError(f"{spelled}: {value!r} is not allowed{note}; allowed: {self.allowed()}")

    def allowed(self) -> str:
        """Say in words what values are allowed."""
        text = super().allowed()
        return f"{text}, or a callable" if self.callables else text


def _is_java_class(word: object) -> bool:
    return isinstance(word, str) and word.count(".") >= 2 and word.rpartition(".")[2][:1].isupper()
