"""A member of a classic group: joins, is assigned, heartbeats, joins again. All its I/O is awaited; no threads here.

    IDLE ─ subscribed ─► PREPARING ─ poll has given up what must go ─► JOINING ─► SYNCING ─► HANDING ─ poll has it ─► STABLE
               ▲             ▲                                          │ error       │ error                          │
               │             └──────────────── back off ────────────────┴─────────────┘                                │
               └── rejoin wanted: heartbeat says so, subscription or topics changed, partitions given up ──────────────┘

Its tasks: `_take_part` walks the states, `_beat` heartbeats and looks at the topics; the others are `membership.py`'s.

Eager: everything is given up before joining. Cooperative (KIP-429): members go on with what they own while they join;
what the new assignment lacks is given up then, and the group rebalances once more.

What poll does with the hand-overs: `settling.py`. Requests: `classic_calls.py`. Source: Kafka `AbstractCoordinator`,
`ConsumerCoordinator`.
"""

import asyncio
import contextlib
import logging
from collections.abc import Coroutine, Mapping
from enum import Enum, auto
from typing import Any, ClassVar, Final

from odradek.client.consumer.blobs import (
    NO_GENERATION,
    Subscription,
    decode_assignment,
    encode_assignment,
    encode_subscription,
)
from odradek.client.consumer.classic_calls import ClassicCalls, Joined
from odradek.client.consumer.group_calls import Identity
from odradek.client.consumer.membership import CURES, TRY_AGAIN, Membership
from odradek.client.consumer.topic_watch import TopicWatch
from odradek.client.consumer.transport import passes
from odradek.client.consumer.wanted import Wanted
from odradek.errors import ErrorCode, KafkaError, NoBrokersAvailableError, OdradekError
from odradek.types import TopicPartition

__all__ = ["ClassicMember", "Phase"]

_log = logging.getLogger("odradek.client.consumer")

_TRY_AGAIN: Final = TRY_AGAIN | {ErrorCode.REBALANCE_IN_PROGRESS}


class Phase(Enum):
    """Where a member stands; the picture is at the top of the file."""

    IDLE = auto()
    PREPARING = auto()
    JOINING = auto()
    SYNCING = auto()
    HANDING = auto()
    STABLE = auto()


class ClassicMember(Membership):
    """A member of a classic group."""

    cures: ClassVar[Mapping[int, str]] = {
        **CURES,
        ErrorCode.INCONSISTENT_GROUP_PROTOCOL: "the group's other members offer no assignor of ours, or are of "
        "group_protocol='consumer'; align partition_assignment_strategy or group_protocol, or use another group_id",
        ErrorCode.INVALID_SESSION_TIMEOUT: "session_timeout_ms is outside the broker's group.min.session.timeout.ms and "
        "group.max.session.timeout.ms",
    }

    def __init__(self, *parts: Any, **more: Any) -> None:
        super().__init__(*parts, **more)
        self._requests = ClassicCalls(self._calls, self._settings)
        self._topics = TopicWatch(self._transport, self._wanted)
        self.phase = Phase.IDLE
        self.owned: frozenset[TopicPartition] = frozenset()
        """What the group thinks is ours and we have not given up."""
        self._owned_generation = NO_GENERATION
        self._rejoin = asyncio.Event()
        self._reason = ""
        self._fatal: OdradekError | None = None
        self._rebalances = 0
        self._want_rejoin("the consumer subscribed")

    @property
    def rebalances(self) -> int:
        """How many the member has completed."""
        return self._rebalances

    def subscribe(self, wanted: Wanted) -> None:
        """Be subscribed to something else from the next rebalance on, which this starts."""
        self._topics.want(wanted)
        self._want_rejoin("the subscription changed")

    def _works(self) -> tuple[Coroutine[Any, Any, None], ...]:
        return (self._beat(),)

    def _outside(self) -> bool:
        return self.phase in {Phase.IDLE, Phase.PREPARING} and self.identity.generation == NO_GENERATION

    def _stopped(self) -> None:
        self.owned = frozenset()
        self.phase = Phase.IDLE
        self._topics.unwatch()

    # tasks

    async def _take_part(self) -> None:
        await self._rejoin.wait()
        await self._rebalance()

    async def _beat(self) -> None:
        while True:
            await self._clock.sleep(self._settings.heartbeat_interval_ms / 1000)
            if self.phase in {Phase.STABLE, Phase.HANDING} and self._topics.changed():
                self._want_rejoin("the topics changed")
            if self.identity.generation == NO_GENERATION or self.phase is Phase.JOINING:
                continue  # a member whose join is waiting can't expire
            who = self.identity
            try:
                code = await self._requests.heartbeat(who)
            except OdradekError as error:
                self._doubt_assignment()
                _log.debug("group %s: heartbeat failed: %s", self._settings.group_id, error)
            else:
                self._heard_at = self._clock.now()
                self.heard(who, code)

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
            await self._give_up_lost()
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
        joined = await self._requests.join(self.identity.member_id, self._protocols(topics), self._reason)
        self._reached = True
        if joined.error == ErrorCode.MEMBER_ID_REQUIRED:
            self.identity = Identity(joined.member_id)
            joined = await self._requests.join(joined.member_id, self._protocols(topics), self._reason)
        if joined.error:
            return self._judge(joined.error, "join")
        self.identity = Identity(joined.member_id, joined.generation)
        self.phase = Phase.SYNCING
        assignments = await self._assignments(joined)
        error, blob = await self._requests.sync(self.identity, joined.protocol, assignments)
        if error:
            return self._judge(error, "sync")
        self._heard_at = self._clock.now()
        self.phase = Phase.HANDING
        await self._take_over(frozenset(decode_assignment(blob)))
        self.phase = Phase.STABLE
        self._rebalances += 1
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
        if gone and not await self._handover.revoke(sorted(gone)):
            return  # in doubt, and to be told anew: poll has them still
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
        settings, silence = self._settings, self._clock.now() - self._heard_at
        # After the next heartbeat it may be too late.
        if (
            self.phase is Phase.HANDING
            and silence * 1000 + settings.heartbeat_interval_ms >= settings.session_timeout_ms
        ):
            self._handover.clear()
            self._want_rejoin("the coordinator has been silent for almost a session")

    def _forget(self, *, keep_member_id: bool) -> None:
        """Be nobody in the group; what we owned is somebody else's."""
        self._lost = self._lost or bool(self.owned)
        self.owned = frozenset()
        self._handover.clear()  # an assignment that poll has not seen yet is not ours any more
        self._owned_generation = NO_GENERATION
        self.identity = Identity(self.identity.member_id if keep_member_id else "")

    def _begin_anew(self, reason: str) -> None:
        self.phase = Phase.PREPARING
        self._want_rejoin(reason)

    async def _leave(self, who: Identity, reason: str) -> None:
        if not who.member_id or self._settings.instance_id is not None:
            return
        with contextlib.suppress(OdradekError):  # the session will end by itself
            code = await self._requests.leave(who, reason)
            if code:
                _log.debug("group %s: leaving was answered with %d", self._settings.group_id, code)

    def _want_rejoin(self, reason: str) -> None:
        if not self._rejoin.is_set():
            self._reason = reason
            _log.info("group %s: (re)joining: %s", self._settings.group_id, reason)
        self._rejoin.set()
