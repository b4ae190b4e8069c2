"""What a consumer is subscribed to: topic names, or a pattern of them. Immutable, so threads may share it."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from odradek.client.arguments import several
from odradek.errors import ConfigError

__all__ = ["Wanted"]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Topics by name, or the pattern that their names start with a match of."""

    names: frozenset[str] = frozenset()
    pattern: re.Pattern[str] | None = None

    @classmethod
    def of(cls, topics: "str | re.Pattern[str] | Iterable[str]") -> "Wanted":
        """Read what `subscribe` was given.

        Raises:
            ConfigError: no topic, an empty name, a regular expression that can't be read, or one among names.
        """
        if isinstance(topics, re.Pattern):
            return cls(pattern=topics)
        if isinstance(topics, str):
            return cls(pattern=_compiled(topics)) if topics.startswith("^") else cls.of([topics])
        names = frozenset(several("subscribe: topics", topics, str, "a topic name"))
        wrong = [name for name in names if not name or name.startswith("^")]
        if wrong:
            raise ConfigError(f"subscribe: {wrong[0]!r} is no topic name; a pattern is given alone, not in a list")
        if not names:
            raise ConfigError("subscribe: no topic given; unsubscribe() ends a subscription")
        return cls(names)

    def topics(self, known: Iterable[str]) -> frozenset[str]:
        """Return the topics meant, of those known when there is a pattern."""
        if self.pattern is None:
            return self.names
        match = self.pattern.match
        return frozenset(name for name in known if match(name))


def _compiled(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except re.error as error:
        raise ConfigError(f"subscribe: the pattern {text!r} can't be read: {error}") from error
