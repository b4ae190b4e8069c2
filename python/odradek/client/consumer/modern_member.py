"""A member of a group of KIP-848: heartbeats, and owns what the coordinator says. All its I/O is awaited; no threads here.

There is no leader and no barrier: the coordinator assigns, each member works towards its own target when it hears of it,
and partitions come only after whoever had them has told that it gave them up. A heartbeat is all there is:

    join (epoch 0, everything said) ─► every interval the coordinator names, and at once when something is new ─► leave (-1, -2)
              ▲                                       │
              └── lost: FENCED_MEMBER_EPOCH, UNKNOWN_MEMBER_ID: poll drops all; then again ──┘

`_take_part` runs until the coordinator does not know us any more: `_beat`, and the `Reconciliation` of what is owned,
which waits for poll while heartbeats go on. The member id is made here, once. Requests: `modern_calls.py`.
Source: Kafka `ConsumerHeartbeatRequestManager`, `ConsumerMembershipManager`, `AbstractMembershipManager`.
"""

import asyncio
import contextlib
import logging
import uuid
from collections.abc import Mapping
from typing import Any, ClassVar, Final

from odradek.client.consumer.first_of import first_of
from odradek.client.consumer.group_calls import Identity
from odradek.client.consumer.membership import CURES, TRY_AGAIN, Membership
from odradek.client.consumer.modern_calls import JOIN_EPOCH, Answer, Beat, ModernCalls
from odradek.client.consumer.reconciliation import Reconciliation
from odradek.client.consumer.subscribed import Subscribed
from odradek.client.consumer.transport import passes
from odradek.client.consumer.wanted import Wanted
from odradek.errors import ErrorCode, KafkaError, NoBrokersAvailableError, OdradekError, UnsupportedVersionError

__all__ = ["ModernMember"]

_log = logging.getLogger("odradek.client.consumer")

_UNKNOWN: Final = frozenset({ErrorCode.FENCED_MEMBER_EPOCH, ErrorCode.UNKNOWN_MEMBER_ID, ErrorCode.GROUP_ID_NOT_FOUND})
"""The coordinator does not count on this member, or on this epoch of it."""
_LEAST_INTERVAL_S: Final = 0.01
_FIRST_INTERVAL_S: Final = 5.0
"""Until the coordinator names one; Kafka's default."""
_DOUBT_BEATS: Final = 2
"""After so many intervals without an answer the group may go on without us soon; how long a session is, the broker knows."""


class ModernMember(Membership):
    """A member of a group with `group.protocol=consumer`."""

    cures: ClassVar[Mapping[int, str]] = {
        **CURES,
        ErrorCode.UNSUPPORTED_VERSION: "the broker does not serve the consumer group protocol (KIP-848); set "
        "group_protocol='classic', or use a broker that does, such as Apache Kafka 4.0",
        ErrorCode.UNRELEASED_INSTANCE_ID: "another consumer has this group_instance_id, or one that died has it until its "
        "session ends; give each its own, or wait: the next poll tries again",
        ErrorCode.GROUP_ID_NOT_FOUND: "the group is of another kind and its members can't go on in a consumer group; use "
        "another group_id, group_protocol='classic', or let the others leave first",
    }

    def __init__(self, *parts: Any, **more: Any) -> None:
        super().__init__(*parts, **more)
        self.identity = Identity(str(uuid.uuid4()))
        self._requests = ModernCalls(self._calls, self._settings)
        self._topics = Subscribed(self._transport, self._wanted)
        self._due = asyncio.Event()
        """Set when a heartbeat should not wait for its time."""
        self._assignment = Reconciliation(self._transport, self._handover, self._clock, self._due.set)
        self._told: Beat | None = None
        """What the coordinator knows of us; None = it has to be told everything."""
        self._interval = _FIRST_INTERVAL_S
        self._one_at_a_time = asyncio.Lock()
        """Heartbeats, so that a join never overtakes the leave before it."""

    @property
    def rebalances(self) -> int:
        """How many times this member's assignment has changed."""
        return self._assignment.done

    @property
    def reader(self) -> Identity:
        """The member; nobody while it is not in the group."""
        return self.identity if self.identity.generation > JOIN_EPOCH else Identity()

    def subscribe(self, wanted: Wanted) -> None:
        """Be subscribed to something else, and tell the coordinator at once."""
        self._topics.want(wanted)
        self._due.set()

    def heard(self, who: Identity, code: int) -> None:
        """Ask the coordinator at once what it thinks of us: a heartbeat's answer brings the new epoch, or that we are out."""
        if code != ErrorCode.NONE and who == self.identity:
            self._due.set()

    async def _take_part(self) -> None:
        self._assignment.start_over()
        await self._give_up_lost()
        self._told = None
        self._topics.ask_again()
        self._heard_at = self._clock.now()
        await first_of(self._beat(), self._assignment.run(), self._doubt_in_silence())
        _log.warning(
            "group %s: the coordinator does not know this member any more; joining anew", self._settings.group_id
        )
        self._forget(keep_member_id=True)

    async def _beat(self) -> None:
        """Heartbeat until the coordinator does not know us any more."""
        failures = 0
        while True:
            self._due.clear()
            asked_at = self._clock.now()
            try:
                answer = await self._say()
            except UnsupportedVersionError as error:
                raise self._explained(ErrorCode.UNSUPPORTED_VERSION, "heartbeat") from error
            except OdradekError as error:
                if not passes(error) or (isinstance(error, NoBrokersAvailableError) and not self._reached):
                    raise
                obstacle: OdradekError = error
            else:
                self._reached = True
                if answer.error == ErrorCode.NONE:
                    failures = 0
                    self._heard_at = asked_at  # what it says was true then, or later
                    await first_of(self._due.wait(), self._clock.sleep(self._interval))
                    continue
                if answer.error in _UNKNOWN and self.identity.generation > JOIN_EPOCH:
                    return
                obstacle = self._passing(answer)
            self._told = None
            _log.info("group %s: heartbeat: %s; trying again", self._settings.group_id, obstacle)
            failures += 1
            await self._clock.sleep(self._backoff(failures))

    def _passing(self, answer: Answer) -> KafkaError:
        """Return the error of an answer if it may be gone the next time; raise one that the user has to know."""
        if answer.error in TRY_AGAIN or answer.error in {ErrorCode.FENCED_MEMBER_EPOCH, ErrorCode.UNKNOWN_MEMBER_ID}:
            return KafkaError.of(answer.error)
        raise self._explained(answer.error, "heartbeat", answer.message)

    async def _say(self) -> Answer:
        """Send one heartbeat with what is new, and take over what the answer says."""
        topics, owned, told = await self._topics.names(), self._assignment.owned, self._told
        full, doubts = told is None, self._assignment.doubts
        beat = Beat(
            self._as_who(),
            topics if told is None or told.topics != topics else None,
            owned if told is None or told.owned != owned else None,
            full,
        )
        if beat.owned is not None:
            self._assignment.quiet.clear()
        async with self._one_at_a_time:
            answer = await self._requests.heartbeat(beat)
        if answer.error == ErrorCode.NONE:
            self._assignment.quiet.set()
            if answer.who.generation != self.identity.generation:
                _log.info("group %s: member %s, epoch %d", self._settings.group_id, *answer.who)
            self.identity = answer.who
            self._interval = max(answer.interval, _LEAST_INTERVAL_S)
            if doubts == self._assignment.doubts:  # else it has to be told everything, for this answer came too late
                self._told = Beat(answer.who, topics, owned)
            if answer.target is not None:
                self._assignment.aim(answer.target)
        return answer

    def _as_who(self) -> Identity:
        return Identity(self.identity.member_id, max(self.identity.generation, JOIN_EPOCH))

    async def _doubt_in_silence(self) -> None:
        """Take back an assignment that poll has not seen, when the group may soon go on without us.

        What poll has is left to it: while nobody answers, nobody can say whose it is.
        """
        while True:
            left = self._heard_at + _DOUBT_BEATS * self._interval - self._clock.now()
            if left <= 0 and self._assignment.handing:
                self._assignment.doubt()
                self._told = None  # the answer to everything has the assignment in it
                self._due.set()
            await self._clock.sleep(left if left > 0 else self._interval)

    def _forget(self, *, keep_member_id: bool) -> None:  # noqa: ARG002  one id for life (KIP-848)
        self._lost = self._lost or self._assignment.entrusted
        self._assignment.start_over()
        self.identity = Identity(self.identity.member_id)

    def _begin_anew(self, reason: str) -> None:
        _log.info("group %s: joining: %s", self._settings.group_id, reason)

    def _stopped(self) -> None:
        self._assignment.start_over()
        self._topics.unwatch()

    async def _leave(self, who: Identity, reason: str) -> None:
        if not self._requests.sent:
            return
        _log.info("group %s: leaving: %s", self._settings.group_id, reason)
        with contextlib.suppress(OdradekError):  # the session will end by itself
            async with self._one_at_a_time:
                code = await self._requests.leave(who.member_id)
            if code:
                _log.debug("group %s: leaving was answered with %d", self._settings.group_id, code)
