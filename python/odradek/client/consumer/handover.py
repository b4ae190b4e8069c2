"""From the membership into the user's poll: what only poll may do (callbacks, giving partitions to the fetcher).

Membership runs on an asyncio loop, poll in the user's thread (for the asyncio consumer: in the same loop). An event is
posted, poll is woken, settles it, and says so; membership goes on. `attention` is the one flag that a poll looks at
when nothing happens. Nothing here blocks.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from odradek.types import TopicPartition

__all__ = ["Assign", "Event", "Handover", "Lost", "Revoke"]


@dataclass(eq=False, slots=True)
class Event:
    """Something that poll has to settle."""

    settled: "asyncio.Future[bool]"
    """True when poll has done with it, False when it was dropped before."""
    begun: bool = field(default=False, init=False)
    """Poll has it in hand."""


@dataclass(eq=False, slots=True)
class Revoke(Event):
    """These partitions go: commit what was polled of them, tell the user, stop fetching them."""

    partitions: tuple[TopicPartition, ...]


@dataclass(eq=False, slots=True)
class Assign(Event):
    """From now on these partitions are ours."""

    target: tuple[TopicPartition, ...]


@dataclass(eq=False, slots=True)
class Lost(Event):
    """All partitions are somebody else's already; `error` is raised by the poll that settles this."""

    error: Exception | None = field(default=None)


class Handover:
    """A queue of events with one reader, poll. `post` belongs to the loop; the rest may be called from any thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop, wake: Callable[[], None]) -> None:
        self.attention = False
        """True when poll has something to do beside fetching."""
        self._loop = loop
        self._wake = wake
        self._events: deque[Event] = deque()

    def alert(self) -> None:
        """Make poll look: set the flag and end a poll that is waiting."""
        self.attention = True
        self._wake()

    async def revoke(self, partitions: Iterable[TopicPartition]) -> bool:
        """Have poll give partitions up; return when it has, or False when `clear` was first."""
        return await self._post(Revoke(self._loop.create_future(), tuple(partitions)))

    async def assign(self, target: Iterable[TopicPartition]) -> bool:
        """Have poll take over an assignment; return when it has, or False when `clear` was first."""
        return await self._post(Assign(self._loop.create_future(), tuple(target)))

    async def lost(self, error: Exception | None = None) -> None:
        """Have poll drop everything and raise `error`; return when it has."""
        await self._post(Lost(self._loop.create_future(), error))

    async def _post(self, event: Event) -> bool:
        self._events.append(event)
        self.alert()
        return await event.settled

    def take(self) -> Event | None:
        """Return the oldest event, None when there is none; give it to `settle` afterwards, whatever happened.

        It stays the oldest until then: Ctrl-C before the caller has it would lose it, and the membership wait for ever.
        No lock here, as a signal handler may close the consumer: `clear` removes and then looks, this marks and then looks.
        """
        while True:
            try:
                event = self._events[0]
            except IndexError:
                return None
            event.begun = True
            if event in self._events:
                return event
            self._let_go_on(event, done=False)  # dropped meanwhile

    def let_go(self) -> None:
        """Leave what was taken and not settled to the next poll."""
        for event in list(self._events):
            event.begun = False

    def settle(self, event: Event) -> None:
        """Let whoever posted the event go on: poll has done with it."""
        with contextlib.suppress(ValueError):  # dropped meanwhile
            self._events.remove(event)
        self._let_go_on(event, done=True)

    def clear(self) -> None:
        """Drop what poll has not begun with, as it is not true any more; whoever posted it goes on."""
        for event in list(self._events):
            with contextlib.suppress(ValueError):  # settled meanwhile
                self._events.remove(event)
            if not event.begun:
                self._let_go_on(event, done=False)

    def _let_go_on(self, event: Event, *, done: bool) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(_resolve, event.settled, done)


def _resolve(future: "asyncio.Future[bool]", done: bool) -> None:  # noqa: FBT001
    if not future.done():
        future.set_result(done)
