"""Which topics members' regular expressions match: worked out on a thread of its own, never on the broker's loop.

Expressions come from clients, who may be hostile: one of 64 KiB takes seconds over a thousand long names. So whoever needs
one waits for it here, and looks at the group anew then; meanwhile the loop serves everybody else. The thread is one, and
takes expressions in the order they come, so that hostile ones cost a core at most.

Apache Kafka resolves expressions off its coordinator's thread too, but answers at once and lets the member have its
topics with a later heartbeat; here the first answer has them. Source: Kafka `GroupMetadataManager`, `RegexRefresher`.
"""

import asyncio
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import NamedTuple

from odradek.broker.coordinator.group.settings import Names
from odradek.broker.coordinator.group.target import ClusterTopics
from odradek.errors import NotCoordinatorError

__all__ = ["Expressions", "Matches"]


class Matches(NamedTuple):
    """What expressions match, of the topics there were at one time."""

    revision: int
    """Of the cluster's topics."""
    found: dict[str, "frozenset[str] | ValueError"]
    """By expression: the topics, or why it can't be read."""

    def of(self, expression: str) -> frozenset[str]:
        """Return the topics. Raises ValueError: the expression can't be read."""
        found = self.found[expression]
        if isinstance(found, ValueError):
            raise found
        return found


class Expressions:
    """Resolves expressions against the cluster's topics. Belongs to one event loop."""

    def __init__(self, names: Names, topics: ClusterTopics) -> None:
        self._names = names
        self._topics = topics
        self._thread: ThreadPoolExecutor | None = None
        self._under_way: dict[tuple[str, int], asyncio.Future[frozenset[str] | ValueError]] = {}
        """By expression and revision: all members of a group ask for the same when topics change."""
        self._stopped = False

    def none(self) -> Matches:
        """Return what is known without asking: nothing, of the topics as they are."""
        return Matches(self._topics.revision, {})

    async def resolve(self, expressions: Iterable[str]) -> Matches:
        """Match them; the topics may have changed when this returns, so compare the revision.

        Raises:
            NotCoordinatorError: the broker is stopping.
        """
        revision = self._topics.revision
        waits = {expression: self._match(expression, revision) for expression in expressions}
        found = {}
        for expression, future in waits.items():
            try:
                found[expression] = await asyncio.shield(future)  # others may wait for it, too
            except asyncio.CancelledError:
                if self._stopped and future.cancelled():
                    raise NotCoordinatorError("the broker is stopping") from None
                raise
        return Matches(revision, found)

    def stop(self) -> None:
        """Have who waits told so, and begin nothing any more; what the thread is at it ends by itself."""
        self._stopped = True
        for future in self._under_way.values():
            future.cancel()
        if self._thread is not None:
            self._thread.shutdown(wait=False, cancel_futures=True)

    def _match(self, expression: str, revision: int) -> "asyncio.Future[frozenset[str] | ValueError]":
        if self._stopped:
            raise NotCoordinatorError("the broker is stopping")
        key = expression, revision
        future = self._under_way.get(key)
        if future is None:
            if self._thread is None:
                self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="odradek-expressions")
            work = partial(_matching, self._names, expression, self._topics.names())
            future = self._under_way[key] = asyncio.get_running_loop().run_in_executor(self._thread, work)
            future.add_done_callback(lambda _: self._under_way.pop(key, None))
        return future


def _matching(names: Names, expression: str, topics: list[str]) -> "frozenset[str] | ValueError":
    try:
        return frozenset(names.matching_names(expression, topics))
    except ValueError as error:
        return error
