"""Rests between attempts: doubled each time up to a limit, and spread, so that clients don't come in step."""

import random

__all__ = ["Backoff"]

_SPREAD = 0.2


class Backoff:
    """One series of rests."""

    def __init__(self, first: float, longest: float) -> None:
        """Begin.

        Args:
            first: seconds of the first rest.
            longest: seconds no rest is longer than, before the spread of a fifth.
        """
        self._next = first
        self._longest = longest

    def next(self) -> float:
        """Return the next rest in seconds."""
        rest = min(self._next, self._longest)
        self._next = rest * 2
        return rest * random.uniform(1 - _SPREAD, 1 + _SPREAD)
