"""A member of a classic group: joins, is assigned, heartbeats, joins again. All its I/O is awaited; no threads here.

    IDLE ─ subscribed ─► PREPARING ─ poll has given up what must go ─► JOINING ─► SYNCING ─► HANDING ─ poll has it ─► STABLE
               ▲             ▲                                          │ error       │ error                          │
               │             └──────────────── back off ────────────────┴─────────────┘                                │
               └── rejoin wanted: heartbeat says so, subscription or topics changed, partitions given up ──────────────┘

Three tasks: `_run` walks the states, `_beat` heartbeats and looks at the topics, `_watch_poll` leaves the group when the
user does not poll. An exception in any of them reaches the user's next poll: a consumer never stops silently.

Eager: everything is given up before joining. Cooperative (KIP-429): members go on with what they own while they join;
what the new assignment lacks is given up then, and the group rebalances once more. A member that the coordinator does
not know any more has *lost* its partitions: nothing is committed, `on_lost` is called, and it joins as a new one.

What poll does with the hand-overs: `core.py`. Requests: `group_calls.py`. Source: Kafka `AbstractCoordinator`,
`ConsumerCoordinator`.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine, Mapping
from enum import Enum, auto
from typing import Any, Final

from odradek.client.consumer.blobs import (
    NO_GENERATION,
    Subscription,
    decode_assignment,
    encode_assignment,
    encode_subscription,
)
from odradek.client.consumer.group_calls import GroupCalls, Identity, Joined
from odradek.client.consumer.handover import Handover
from odradek.client.consumer.settings import GroupSettings
from odradek.client.consumer.topic_watch import TopicWatch
from odradek.client.consumer.transport import Clock, Transport, passes
from odradek.client.consumer.wanted import Wanted
from odradek.errors import (
    ClosedError,
    ErrorCode,
    ForkedError,
    InternalError,
    KafkaError,
    MaxPollExceededError,
    NoBrokersAvailableError,
    OdradekError,
)
from odradek.types import TopicPartition

__all__ = ["Membership", "Phase"]

_log = logging.getLogger("odradek.client.consumer")

_TRY_AGAIN: Final = frozenset(
    {
        ErrorCode.COORDINATOR_LOAD_IN_PROGRESS,
        ErrorCode.COORDINATOR_NOT_AVAILABLE,
        ErrorCode.NOT_COORDINATOR,
        ErrorCode.REBALANCE_IN_PROGRESS,
        ErrorCode.REQUEST_TIMED_OUT,
    }
)
_CURES: Final[Mapping[int, str]] = {
    ErrorCode.FENCED_INSTANCE_ID: "another consumer has joined with the same group_instance_id; give each its own",
    ErrorCode.INCONSISTENT_GROUP_PROTOCOL: "the group's other members offer no assignor of ours; align "
    "partition_assignment_strategy, or use another group_id",
    ErrorCode.INVALID_SESSION_TIMEOUT: "session_timeout_ms is outside the broker's group.min.session.timeout.ms and "
    "group.max.session.timeout.ms",
    ErrorCode.GROUP_MAX_SIZE_REACHED: "the broker allows no more members (group.max.size)",
    ErrorCode.GROUP_AUTHORIZATION_FAILED: "this client may not read with the group",
}


class Phase(Enum):
    """Where a member stands; the picture is at the top of the file."""

    IDLE = auto()
    PREPARING = auto()
    JOINING = auto()
    SYNCING = auto()
    HANDING = auto()
    STABLE = auto()


class Membership:
    """One consumer's place in its group. Belongs to one asyncio loop.

    `identity` is what commits go under. After `stop` the object is done with; a new subscription makes a new one.
    """

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
        self._clock = clock
        self._poll_age = poll_age
        self._topics = TopicWatch(transport, wanted)
        self.phase = Phase.IDLE
        self.identity = Identity()
        self.owned: frozenset[TopicPartition] = frozenset()
        """What the group thinks is ours and we have not given up."""
        self._owned_generation = NO_GENERATION
        self._rejoin = asyncio.Event()
        self._reason = "the consumer subscribed"
        self._lost = False
        self._lost_error: OdradekError | None = None
        self._fatal: OdradekError | None = None
        self._heard_at = 0.0
        """When the coordinator last answered, by the clock."""
        self._reached = False
        """True once a broker answered; before that an unreachable cluster is the user's to know."""
        self._attempt: asyncio.Task[None] | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self.rebalances = 0
        """Completed ones."""

    def start(self) -> None:
        """Begin to be a member."""
        self._want_rejoin(self._reason)
        for work in (self._run(), self._beat(), self._watch_poll()):
            self._tasks.append(asyncio.ensure_future(self._surfaced(work)))

    def subscribe(self, wanted: Wanted) -> None:
        """Be subscribed to something else from the next rebalance on, which this starts."""
        self._topics.want(wanted)
        self._want_rejoin("the subscription changed")

    async def stop(self, reason: str) -> None:
        """End the tasks and leave the group; a static member stays until its session ends (KIP-345)."""
        await asyncio.gather(*self.abandon(), return_exceptions=True)
        self._handover.clear()
        who, self.identity = self.identity, Identity()
        self.owned = frozenset()
        self.phase = Phase.IDLE
        self._topics.unwatch()
        await self._leave(who, reason)

    def abandon(self) -> list[asyncio.Task[None]]:
        """End the tasks without a word to the group; return them."""
        tasks = [*self._tasks, *([self._attempt] if self._attempt else [])]
        for task in tasks:
            task.cancel()
        return tasks

    # the three tasks

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
            await self._rejoin.wait()
            self._attempt = asyncio.ensure_future(self._rebalance())
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

    async def _beat(self) -> None:
        while True:
            await self._clock.sleep(self._settings.heartbeat_interval_ms / 1000)
            if self.phase in {Phase.STABLE, Phase.HANDING} and self._topics.changed():
                self._want_rejoin("the topics changed")
            if self.identity.generation == NO_GENERATION or self.phase is Phase.JOINING:
                continue  # a member whose join is waiting can't expire
            who = self.identity
            try:
                code = await self._calls.heartbeat(who)
            except OdradekError as error:
                self._doubt_assignment()
                _log.debug("group %s: heartbeat failed: %s", self._settings.group_id, error)
            else:
                self._heard_at = self._clock.now()
                self.heard(who, code)

    async def _watch_poll(self) -> None:
        limit = self._settings.max_poll_interval_ms / 1000
        while True:
            age = self._poll_age()
            if age < limit:
                await self._clock.sleep(max(limit - age, 0.001))
            elif self.phase in {Phase.IDLE, Phase.PREPARING} and self.identity.generation == NO_GENERATION:
                await self._clock.sleep(limit)  # not in the group: poll is what it waits for
            else:
                await self._expire(age)

    # rebalance

    async def _rebalance(self) -> None:
        """Join until it works. Transport errors and what the coordinator says in passing end here."""
        failures = 0
        while True:
            self.phase = Phase.PREPARING
            if self._fatal is not None:
                error, self._fatal = self._fatal, None
                raise error
            await self._give_up()
            try:
                if await self._join_and_sync():
                    return
            except OdradekError as error:
                if not passes(error) or (isinstance(error, NoBrokersAvailableError) and not self._reached):
                    raise
                _log.info("group %s: %s; trying again", self._settings.group_id, error)
            failures += 1
            await self._clock.sleep(self._backoff(failures))

    async def _give_up(self) -> None:
        """Before joining: what was lost, everything (eager), or what is not subscribed to any more (cooperative)."""
        if self._lost:
            error, self._lost_error, self._lost = self._lost_error, None, False
            self.owned = frozenset()
            await self._handover.lost(error)
        elif self._settings.cooperative:
            wanted = await self._topics.subscribed()
            gone = {one for one in self.owned if one.topic not in wanted}
            if gone:
                await self._handover.revoke(sorted(gone))
                self.owned -= gone
        elif self.owned:
            await self._handover.revoke(sorted(self.owned))
            self.owned = frozenset()
        if self._lost:  # meanwhile
            await self._give_up()

    async def _join_and_sync(self) -> bool:
        topics = await self._topics.subscribed()
        self._rejoin.clear()
        self.phase = Phase.JOINING
        joined = await self._calls.join(self.identity.member_id, self._protocols(topics), self._reason)
        self._reached = True
        if joined.error == ErrorCode.MEMBER_ID_REQUIRED:
            self.identity = Identity(joined.member_id)
            joined = await self._calls.join(joined.member_id, self._protocols(topics), self._reason)
        if joined.error:
            return self._judge(joined.error, "join")
        self.identity = Identity(joined.member_id, joined.generation)
        self.phase = Phase.SYNCING
        assignments = await self._assignments(joined)
        error, blob = await self._calls.sync(self.identity, joined.protocol, assignments)
        if error:
            return self._judge(error, "sync")
        self._heard_at = self._clock.now()
        self.phase = Phase.HANDING
        await self._take_over(frozenset(decode_assignment(blob)))
        self.phase = Phase.STABLE
        self.rebalances += 1
        return True

    def _protocols(self, topics: frozenset[str]) -> list[tuple[str, bytes]]:
        owned = tuple(sorted(self.owned))
        blobs = []
        for assignor in self._settings.assignors:
            data = assignor.user_data(self._topics.last_owned(), self._owned_generation)
            subscription = Subscription(tuple(sorted(topics)), data, owned, self._owned_generation, self._settings.rack)
            blobs.append((assignor.name, encode_subscription(subscription)))
        return blobs

    async def _assignments(self, joined: Joined) -> dict[str, bytes]:
        """Return what the leader sends: everybody's blob; nobody else sends any."""
        self._topics.led = None
        if joined.members is None:
            return {}
        counts = await self._topics.counts_for(joined.members)
        if joined.skip_assignment:
            return {}
        assignor = next((one for one in self._settings.assignors if one.name == joined.protocol), None)
        if assignor is None:
            raise KafkaError.of(
                ErrorCode.INCONSISTENT_GROUP_PROTOCOL,
                f"the coordinator chose {joined.protocol!r}, which we never offered",
            )
        assigned = assignor.assign(joined.members, counts)
        return {member: encode_assignment(partitions) for member, partitions in assigned.items()}

    async def _take_over(self, target: frozenset[TopicPartition]) -> None:
        who, gone = self.identity, self.owned - target
        if gone:
            await self._handover.revoke(sorted(gone))
        if who != self.identity:  # meanwhile the coordinator has thrown us out, and everything is lost
            return
        self.owned = target
        self._owned_generation = self.identity.generation
        self._topics.remember_owned(target)
        if gone:  # whoever gets them waits for us to say that we have given them up
            self._want_rejoin("partitions were given up")
        await self._handover.assign(sorted(target))

    # judging answers

    def _judge(self, code: int, what: str) -> bool:
        """React to a join's or sync's error; return False, for another try, or raise what the user has to know."""
        if code in {ErrorCode.UNKNOWN_MEMBER_ID, ErrorCode.ILLEGAL_GENERATION}:
            self._forget(keep_member_id=code == ErrorCode.ILLEGAL_GENERATION)
        elif code not in _TRY_AGAIN:
            raise self._explained(code, what)
        return False

    def heard(self, who: Identity, code: int) -> None:
        """React to what a heartbeat or commit sent under `who` was answered."""
        if code == ErrorCode.NONE or who != self.identity:
            return
        if code == ErrorCode.REBALANCE_IN_PROGRESS:
            if self.phase in {Phase.STABLE, Phase.HANDING}:
                self._want_rejoin("the group is rebalancing")
        elif code in {ErrorCode.UNKNOWN_MEMBER_ID, ErrorCode.ILLEGAL_GENERATION}:
            _log.warning(
                "group %s: the coordinator does not know this member any more; joining anew", self._settings.group_id
            )
            self._forget(keep_member_id=code == ErrorCode.ILLEGAL_GENERATION)
            self._want_rejoin("the member was not known any more")
        elif code not in _TRY_AGAIN:
            self._fatal = self._explained(code, "heartbeat")
            self._want_rejoin("a heartbeat was refused")

    def _doubt_assignment(self) -> None:
        """Take back an assignment that poll has not seen, when the group may have gone on without us meanwhile.

        What poll has is left to it: while nobody answers, nobody can say whose it is.
        """
        silence = self._clock.now() - self._heard_at
        if self.phase is Phase.HANDING and silence * 1000 > self._settings.session_timeout_ms:
            self._handover.clear()
            self._want_rejoin("the coordinator has been silent for longer than a session")

    def _explained(self, code: int, what: str) -> KafkaError:
        row = KafkaError.of(code)
        cure = _CURES.get(code, str(row))
        return KafkaError.of(code, f"{what} of group {self._settings.group_id!r}: {row.error_code.name}: {cure}")

    def _forget(self, *, keep_member_id: bool) -> None:
        """Be nobody in the group; what we owned is somebody else's."""
        self._lost = self._lost or bool(self.owned)
        self._handover.clear()  # an assignment that poll has not seen yet is not ours any more
        self._owned_generation = NO_GENERATION
        self.identity = Identity(self.identity.member_id if keep_member_id else "")

    async def _fail(self, error: OdradekError) -> None:
        """Have poll raise an error that waiting won't cure, then try again; after fencing there is no again."""
        _log.error("group %s: %s", self._settings.group_id, error)
        self.owned = frozenset()
        self._forget(keep_member_id=True)
        self.phase = Phase.IDLE
        await self._handover.lost(error)
        while isinstance(error, KafkaError) and error.error_code == ErrorCode.FENCED_INSTANCE_ID:
            await self._handover.lost(error)  # two that fence each other for ever help nobody
        self._want_rejoin("trying again after an error")

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
        self.phase = Phase.PREPARING
        self._want_rejoin("max.poll.interval.ms was exceeded")
        await self._leave(who, "consumer poll timeout has expired")

    async def _leave(self, who: Identity, reason: str) -> None:
        if not who.member_id or self._settings.instance_id is not None:
            return
        with contextlib.suppress(OdradekError):  # the session will end by itself
            code = await self._calls.leave(who, reason)
            if code:
                _log.debug("group %s: leaving was answered with %d", self._settings.group_id, code)

    def _want_rejoin(self, reason: str) -> None:
        if not self._rejoin.is_set():
            self._reason = reason
            _log.info("group %s: (re)joining: %s", self._settings.group_id, reason)
        self._rejoin.set()

    def _backoff(self, failures: int) -> float:
        settings = self._settings
        return min(settings.retry_backoff_ms << min(failures - 1, 16), settings.retry_backoff_max_ms) / 1000
