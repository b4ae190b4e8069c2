"""What the consumer needs of its place in a group, and what both group protocols do alike; no protocol is in here.

`classic_member.py` is the protocol with a leader among the clients, `modern_member.py` the one of KIP-848;
`MEMBERSHIPS` in `protocols.py` has them by `group.protocol`. A member is some tasks on one loop: `_run` takes part in the
group, again and again; `_watch_poll` leaves it when the user does not poll; a protocol may add its own. An exception in
any of them reaches the user's next poll: a consumer never stops silently. What only poll may do goes through
`handover.py`.

A member that the coordinator does not know any more has *lost* its partitions: nothing is committed, `on_lost` is
called, and it joins as a new one.
"""

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, ClassVar, Final

from odradek.client.consumer.group_calls import GroupCalls, Identity
from odradek.client.consumer.handover import Handover
from odradek.client.consumer.settings import GroupSettings
from odradek.client.consumer.transport import Clock, Transport
from odradek.client.consumer.wanted import Wanted
from odradek.errors import (
    ClosedError,
    ErrorCode,
    ForkedError,
    InternalError,
    KafkaError,
    MaxPollExceededError,
    OdradekError,
)

__all__ = ["CURES", "TRY_AGAIN", "Membership"]

_log = logging.getLogger("odradek.client.consumer")

TRY_AGAIN: Final = frozenset(
    {
        ErrorCode.COORDINATOR_LOAD_IN_PROGRESS,
        ErrorCode.COORDINATOR_NOT_AVAILABLE,
        ErrorCode.NOT_COORDINATOR,
        ErrorCode.REQUEST_TIMED_OUT,
    }
)
CURES: Final[Mapping[int, str]] = {
    ErrorCode.FENCED_INSTANCE_ID: "another consumer has joined with the same group_instance_id; give each its own",
    ErrorCode.GROUP_MAX_SIZE_REACHED: "the broker allows no more members (group.max.size)",
    ErrorCode.GROUP_AUTHORIZATION_FAILED: "this client may not read with the group",
}
"""What the user can do about errors that either protocol may bring."""


class Membership(ABC):
    """One consumer's place in its group. Belongs to one asyncio loop.

    `identity` is what commits go under. After `stop` the object is done with; a new subscription makes a new one.
    """

    cures: ClassVar[Mapping[int, str]] = CURES

    def __init__(
        self,
        calls: GroupCalls,
        transport: Transport,
        handover: Handover,
        settings: GroupSettings,
        wanted: Wanted,
        *,
        clock: Clock,
        poll_age: Callable[[], float],
    ) -> None:
        self._calls = calls
        self._transport = transport
        self._handover = handover
        self._settings = settings
        self._wanted = wanted
        self._clock = clock
        self._poll_age = poll_age
        self.identity = Identity()
        self._lost = False
        self._lost_error: OdradekError | None = None
        self._telling = False
        """True while poll has yet to hear that everything is lost; until then we don't join."""
        self._heard_at = 0.0
        """When the coordinator last answered, by the clock."""
        self._reached = False
        """True once a broker answered; before that an unreachable cluster is the user's to know."""
        self._attempt: asyncio.Task[None] | None = None
        self._tasks: list[asyncio.Task[None]] = []

    # what the consumer uses

    @property
    @abstractmethod
    def rebalances(self) -> int:
        """How many the member has completed."""

    @property
    def reader(self) -> Identity:
        """Who asks for committed offsets; nobody in particular, unless the protocol checks it."""
        return Identity()

    def start(self) -> None:
        """Begin to be a member."""
        for work in (self._run(), self._watch_poll(), *self._works()):
            self._tasks.append(asyncio.ensure_future(self._surfaced(work)))

    @abstractmethod
    def subscribe(self, wanted: Wanted) -> None:
        """Be subscribed to something else from the next rebalance on, which this starts."""

    @abstractmethod
    def heard(self, who: Identity, code: int) -> None:
        """React to what a request sent under `who` was answered."""

    async def stop(self, reason: str) -> None:
        """End the tasks and leave the group; a static member stays until its session ends (KIP-345)."""
        await asyncio.gather(*self.abandon(), return_exceptions=True)
        self._handover.clear()
        who, self.identity = self.identity, Identity()
        self._stopped()
        await self._leave(who, reason)

    def abandon(self) -> list[asyncio.Task[None]]:
        """End the tasks without a word to the group; return them."""
        tasks = [*self._tasks, *([self._attempt] if self._attempt else [])]
        for task in tasks:
            task.cancel()
        return tasks

    # what a protocol is

    @abstractmethod
    async def _take_part(self) -> None:
        """Do what the group asks for until something has to begin anew. May be cancelled at any point."""

    def _works(self) -> tuple[Coroutine[Any, Any, None], ...]:
        """Return what else runs all the time."""
        return ()

    def _outside(self) -> bool:
        """Return whether the member is not in the group and waits for poll."""
        return False

    @abstractmethod
    def _forget(self, *, keep_member_id: bool) -> None:
        """Be nobody in the group; what we owned is somebody else's. Poll hears of it in `_give_up_lost`."""

    @abstractmethod
    def _begin_anew(self, reason: str) -> None:
        """Have `_take_part` join again, after `_forget`."""

    @abstractmethod
    def _stopped(self) -> None:
        """All tasks have ended for good."""

    @abstractmethod
    async def _leave(self, who: Identity, reason: str) -> None:
        """Tell the coordinator, as far as it can be reached, that `who` goes."""

    # the tasks

    async def _surfaced(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a task; whatever ends it is raised by every poll from then on."""
        try:
            await work
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001  handed to the user
            bug = InternalError(f"the membership of group {self._settings.group_id!r} stopped: {error!r}")
            bug.__cause__ = error
            while True:
                await self._handover.lost(bug)

    async def _run(self) -> None:
        while True:
            self._attempt = asyncio.ensure_future(self._take_part())
            try:
                await asyncio.wait({self._attempt})
            except asyncio.CancelledError:
                self._attempt.cancel()
                raise
            if self._attempt.cancelled():
                continue  # the poll watch did it, and wants a new attempt
            error = self._attempt.exception()
            if isinstance(error, ClosedError | ForkedError):
                return  # whoever uses the consumer from now on is told that
            if isinstance(error, OdradekError):
                await self._fail(error)
            elif error is not None:
                raise error

    async def _watch_poll(self) -> None:
        limit = self._settings.max_poll_interval_ms / 1000
        while True:
            age = self._poll_age()
            if age < limit:
                await self._clock.sleep(max(limit - age, 0.001))
            elif self._lost or self._telling or self._outside():
                await self._clock.sleep(limit)  # poll is what it waits for
            else:
                await self._expire(age)

    async def _expire(self, age: float) -> None:
        """Leave because the user does not poll: others can take over, and the next poll says why."""
        limit = self._settings.max_poll_interval_ms
        error = MaxPollExceededError(
            f"{age:.1f} s passed between two polls, max_poll_interval_ms is {limit}: the consumer left group "
            f"{self._settings.group_id!r} and its partitions went to others. The next poll joins again. Handle fewer records "
            "a poll (max_poll_records), handle them faster, or raise max_poll_interval_ms"
        )
        _log.warning("%s", error)
        if self._attempt is not None:
            self._attempt.cancel()
            await asyncio.wait({self._attempt})
        self._handover.clear()
        who = self.identity
        self._forget(keep_member_id=False)
        self._lost, self._lost_error = True, error
        self._begin_anew("max.poll.interval.ms was exceeded")
        await self._leave(who, "consumer poll timeout has expired")

    # losing

    async def _give_up_lost(self) -> None:
        """Have poll hear of what was lost; return when it has."""
        while self._lost:
            error, self._lost_error, self._lost = self._lost_error, None, False
            await self._tell_lost(error)

    async def _fail(self, error: OdradekError) -> None:
        """Have poll raise an error that waiting won't cure, then try again; after fencing there is no again."""
        _log.error("group %s: %s", self._settings.group_id, error)
        self._forget(keep_member_id=True)
        self._lost = self._lost_error is not None  # what is lost beside that, the next line says
        await self._tell_lost(error)
        while isinstance(error, KafkaError) and error.error_code == ErrorCode.FENCED_INSTANCE_ID:
            await self._tell_lost(error)  # two that fence each other for ever help nobody
        self._begin_anew("trying again after an error")

    async def _tell_lost(self, error: OdradekError | None) -> None:
        self._telling = True
        try:
            await self._handover.lost(error)
        finally:
            self._telling = False

    def _explained(self, code: int, what: str, told: str | None = None) -> KafkaError:
        """Return an answer's error with what to do about it, or else what the broker has told."""
        row = KafkaError.of(code)
        cure = self.cures.get(code) or told or str(row)
        return KafkaError.of(code, f"{what} of group {self._settings.group_id!r}: {row.error_code.name}: {cure}")

    def _backoff(self, failures: int) -> float:
        settings = self._settings
        return min(settings.retry_backoff_ms << min(failures - 1, 16), settings.retry_backoff_max_ms) / 1000
