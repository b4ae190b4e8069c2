"""From what a member owns to what the coordinator wants it to own (KIP-848): names for topic ids, revoke, tell, assign.

What goes is given up first, in poll: committed if that is automatic, the user told. Then the coordinator hears of it and
may give it to others; and what comes is handed to poll. A target that comes meanwhile is next. Partitions whose topic
has no name here yet wait for one. No request to the group in here: `modern_member.py`.

The coordinator gives to others what a member is not to have any more and does not claim. So what poll may take is
claimed before poll can see it, and nothing new is taken while a claim without it has no answer yet (`quiet`).
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Final

from odradek.client.consumer.first_of import first_of
from odradek.client.consumer.handover import Handover
from odradek.client.consumer.modern_calls import Place
from odradek.client.consumer.transport import Clock, Transport, passes
from odradek.errors import OdradekError
from odradek.types import TopicPartition

if TYPE_CHECKING:
    from uuid import UUID

__all__ = ["Reconciliation"]

_log = logging.getLogger("odradek.client.consumer")

_ASK_AGAIN_S: Final = 0.25
"""After so long topics that had no name are asked for again."""

Places = frozenset[Place]


class Reconciliation:
    """One member's assignment. Belongs to one asyncio loop."""

    def __init__(self, transport: Transport, handover: Handover, clock: Clock, changed: Callable[[], None]) -> None:
        self._transport = transport
        self._handover = handover
        self._clock = clock
        self._changed = changed
        """Called whenever `owned` is another."""
        self._names: dict[UUID, str] = {}
        self._target: Places | None = None
        self._aimed = asyncio.Event()
        self.doubts = 0
        """Goes up when what waits for poll does not hold any more."""
        self.handing = False
        """Poll has yet to settle something."""
        self.entrusted = False
        """Poll may have partitions, those of an assignment among them that it has in hand."""
        self.owned: Places = frozenset()
        """What poll has, or may take at any moment: what the coordinator is told."""
        self.quiet = asyncio.Event()
        """Set while every claim that was sent has been answered."""
        self.done = 0
        """How often `owned` came to be what was wanted."""

    def aim(self, target: Places) -> None:
        """From now on work towards this."""
        if target != self._target:
            self._target = target
            self._aimed.set()

    def doubt(self) -> None:
        """Take back what poll has not seen yet; the next `aim` tells what holds. What poll has is left to it."""
        self.doubts += 1
        self._target = None
        self._aimed.clear()
        self._handover.clear()

    def start_over(self) -> None:
        """Own nothing."""
        self.doubt()
        self.owned = frozenset()
        self.entrusted = False

    async def run(self) -> None:
        """Reconcile, for ever. Cancelled when the member is not in the group any more; then `start_over` is due."""
        while True:
            await self._aimed.wait()
            self._aimed.clear()
            target = self._target
            if target is not None and not await self._reconcile(target):
                await first_of(self._aimed.wait(), self._clock.sleep(_ASK_AGAIN_S))
                self._aimed.set()

    async def _reconcile(self, target: Places) -> bool:
        """Come as close to the target as there are names; return whether there is nothing to wait for."""
        await self._learn_names(target)
        nameable = frozenset(place for place in target if place.topic_id in self._names)
        doubts = self.doubts
        gone = self.owned - nameable
        if gone:
            if await self._hand(self._handover.revoke, gone):
                self.owned -= gone
                self._changed()
            if doubts != self.doubts:
                return True
        if gone or nameable != self.owned:
            await self.quiet.wait()
            if self._target is not target:  # a newer one: nothing that it does not want is taken over
                return True
            before, self.owned = self.owned, nameable
            self.entrusted = True
            self._changed()
            if not await self._hand(self._handover.assign, nameable):
                self.owned = before
                self._changed()
                return True
            self.done += 1
        return nameable == target

    async def _hand(self, to_poll: Callable[[Iterable[TopicPartition]], Awaitable[bool]], places: Places) -> bool:
        self.handing = True
        try:
            return await to_poll(
                sorted(TopicPartition(self._names[place.topic_id], place.partition) for place in places)
            )
        finally:
            self.handing = False

    async def _learn_names(self, target: Places) -> None:
        """Ask for the names of topics that have none yet; a topic that is deleted has no name any more."""
        unknown = {place.topic_id for place in target} - self._names.keys()
        if not unknown:
            return
        try:
            self._names.update(await self._transport.topic_names(sorted(unknown)))
        except OdradekError as error:
            if not passes(error):
                raise
            _log.info("the names of %d assigned topics are not known yet: %s", len(unknown), error)
        needed = {place.topic_id for place in self.owned | target}
        self._names = {one: name for one, name in self._names.items() if one in needed}
