"""What a consumer holds at the moment: partitions, and which of them have no position yet.

Shared by the user's thread and the loop that fetches committed offsets, hence the lock. A partition's token says since
when it is held without a break: who waited for something finds out whether it still holds the same.
"""

import itertools
import threading
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, NamedTuple, Self

from odradek.client.arguments import function
from odradek.types import TopicPartition

if TYPE_CHECKING:
    from odradek.client.consumer.wanted import Wanted

__all__ = ["Callbacks", "Holdings", "RebalanceCallback"]

RebalanceCallback = Callable[[list[TopicPartition]], object]
"""Called in `poll` with the partitions concerned. The asyncio consumer awaits what it returns."""


class Callbacks(NamedTuple):
    """What a subscriber wants to be told."""

    on_assigned: RebalanceCallback | None = None
    on_revoked: RebalanceCallback | None = None
    on_lost: RebalanceCallback | None = None

    @classmethod
    def of(cls, **given: RebalanceCallback | None) -> Self:
        """Return those that `subscribe` was given, checked. Raises ConfigError."""
        return cls(**{name: function(f"subscribe: {name}", one) for name, one in given.items()})


class Holdings:
    """Partitions held, by subscription or by hand. Every method is atomic."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tokens = itertools.count(1)
        self._held: dict[TopicPartition, int] = {}
        self._unpositioned: set[TopicPartition] = set()
        self.untold: list[TopicPartition] = []
        """Held, and `on_assigned` has yet to be called with them."""
        self.wanted: Wanted | None = None
        """The subscription; None without one."""
        self.callbacks = Callbacks()

    def held(self) -> frozenset[TopicPartition]:
        """Return all partitions held."""
        return frozenset(self._held)

    def token(self, partition: TopicPartition) -> int | None:
        """Return since when the partition is held, as a number that never comes again; None if it isn't."""
        return self._held.get(partition)

    def replace(self, target: Iterable[TopicPartition], fetch: Callable[[], None]) -> list[TopicPartition]:
        """Hold exactly these and return the new ones, which have no position yet.

        `fetch` has the fetcher take exactly these: before they are held, or the loop could give one a position too soon.
        """
        with self._lock:
            held = {one: self._held.get(one) or next(self._tokens) for one in target}
            added = [one for one in held if one not in self._held]
            fetch()
            self._unpositioned = {one for one in self._unpositioned if one in held} | set(added)
            untold = {*self.untold, *added}
            self.untold = [one for one in held if one in untold]
            self._held = held
            return added

    def unpositioned(self) -> dict[TopicPartition, int]:
        """Return the partitions that wait for a position, with their tokens."""
        with self._lock:
            return {one: self._held[one] for one in self._unpositioned}

    def position(self, partition: TopicPartition, give: Callable[[], None], token: int | None = None) -> bool:
        """Call `give`, which gives the fetcher a position, if the partition is held.

        With a token only if it has been held since and nobody else gave it a position. Return whether it was called.
        """
        with self._lock:
            held = self._held.get(partition)
            if held is None or (token is not None and (token != held or partition not in self._unpositioned)):
                return False
            give()
            self._unpositioned.discard(partition)
            return True
