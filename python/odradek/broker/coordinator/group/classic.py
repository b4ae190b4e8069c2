"""A classic consumer group as a state machine. No I/O, no clock, no randomness but what it is given.

Theory of operation. Events come in as method calls with the monotonic time; what follows from them is left in three
places for the caller (`service.py`) to carry out after each call:
    answers     (waiter, Joined | Synced): who gets what answer now
    records     GroupMetadata to append to the log, and then to hand back through `apply`
    wake_at_ms  call `expire` at this time at the latest; never later than the earliest deadline, perhaps sooner

The life of a generation:

    EMPTY --join--> PREPARING_REBALANCE --all joined, or time is up--> COMPLETING_REBALANCE --leader syncs--> STABLE
      ^                    |    ^                                              |                                 |
      +---- nobody left ---+    +----- a member comes, goes, dies, changes, or never syncs -----------------------+

What is volatile and what is replayed: who is a member and who waits for what is in memory only while a generation is
in the making, as in Kafka. A settled generation (stable with its assignments, or empty) is a GroupMetadata record; the
group becomes STABLE only by `apply(record)`, which is also all that happens when the log is read at start.

Read next: `states.py` (the table), `members.py` (the data), `gathering.py` (the first rebalance), `service.py` (the
caller). Source: Kafka `ClassicGroup`, `GroupMetadataManager`;
KIP-62, KIP-134, KIP-345, KIP-394, KIP-814.
"""

from collections.abc import Callable, Iterable, Mapping
from math import inf
from typing import Final

from odradek.broker.coordinator.group.gathering import Gathering
from odradek.broker.coordinator.group.members import Identity, Joined, JoinRequest, Member, Members, Synced, Waiter
from odradek.broker.coordinator.group.records import GroupMetadata
from odradek.broker.coordinator.group.states import HEARTBEAT, TRANSITIONS, Awaited, Limits, State
from odradek.broker.coordinator.group.subscription import subscribed_topics
from odradek.errors import ErrorCode

__all__ = ["CONSUMER", "ClassicGroup"]

CONSUMER: Final = "consumer"
"""The protocol type of consumers; Kafka Connect's is `connect`."""


class ClassicGroup:
    """One group. Belongs to one event loop; every event leaves it consistent, whatever comes next."""

    __slots__ = (
        "_gathering",
        "_join_deadline_ms",
        "_limits",
        "_pending_sync",
        "_sync_deadline_ms",
        "answers",
        "generation",
        "group_id",
        "lookups",
        "members",
        "protocol",
        "protocol_type",
        "records",
        "state",
        "state_timestamp_ms",
        "subscribed_topics",
        "wake_at_ms",
    )

    type_name = "classic"

    def __init__(self, group_id: str, limits: Limits, state_timestamp_ms: int = -1) -> None:
        self.group_id = group_id
        self.state = State.EMPTY
        self.generation = 0
        self.protocol_type: str | None = None
        """None in a simple group: one that only commits offsets."""
        self.protocol: str | None = None
        self.members = Members()
        self.state_timestamp_ms = state_timestamp_ms
        """Wall-clock time of the last settled generation; offsets of an empty group expire by it."""
        self.subscribed_topics: frozenset[str] | None = None
        """What the members consume; None when that can't be known."""
        self.answers: list[tuple[Waiter, Joined | Synced]] = []
        self.records: list[GroupMetadata] = []
        self.wake_at_ms: float = inf
        self._limits = limits
        self._pending_sync: set[str] = set()
        self._join_deadline_ms: float = inf
        self._sync_deadline_ms: float = inf
        self.lookups = 0
        """On how many connections the coordinator was asked for lately, before there are members; the caller sets it."""
        self._gathering: Gathering | None = None
        """This rebalance left EMPTY: it ends by time, to let more members come."""

    # Joining

    def join(self, request: JoinRequest, waiter: Waiter, now_ms: float, new_member_id: Callable[[], str]) -> None:
        """A member wants to be in the next generation. `new_member_id` makes an id for one that has none."""
        member_id = request.member_id
        if self.state is State.DEAD:
            self._refuse(waiter, ErrorCode.COORDINATOR_NOT_AVAILABLE, member_id)
        elif not self._has_room_for(member_id):
            self._refuse(waiter, ErrorCode.GROUP_MAX_SIZE_REACHED, "")
            self._drop(member_id, ErrorCode.GROUP_MAX_SIZE_REACHED)
            self._complete_join_if_ready(now_ms)
        elif not self._agrees_with(request):
            self._refuse(waiter, ErrorCode.INCONSISTENT_GROUP_PROTOCOL, member_id)
        elif not member_id:
            self._join_without_id(request, waiter, now_ms, new_member_id())
        elif member_id in self.members.pending and request.instance_id is None:
            self._add(request, member_id, waiter, now_ms)
        elif error := self._identify(member_id, request.instance_id):
            self._refuse(waiter, error, member_id)
        else:
            self._rejoin(request, self.members.by_id[member_id], waiter, now_ms)

    def _join_without_id(self, request: JoinRequest, waiter: Waiter, now_ms: float, new_id: str) -> None:
        existing = None if request.instance_id is None else self.members.static_ids.get(request.instance_id)
        if existing is not None:
            self._replace_static(request, self.members.by_id[existing], new_id, waiter, now_ms)
        elif request.instance_id is None and request.needs_member_id:
            self.members.pending[new_id] = self._arm(now_ms + request.session_timeout_ms)
            self._refuse(waiter, ErrorCode.MEMBER_ID_REQUIRED, new_id)
            self._look_around(now_ms)
        else:
            self._add(request, new_id, waiter, now_ms)

    def _rejoin(self, request: JoinRequest, member: Member, waiter: Waiter, now_ms: float) -> None:
        """A member joins again: a rebalance, or (it may have missed the answer) the generation as it stands."""
        unchanged = member.protocols == request.protocols and list(member.protocols) == list(request.protocols)
        leads = self.members.leader == member.member_id
        if (self.state is State.COMPLETING_REBALANCE and unchanged) or (
            # The leader of a stable group joins to have it rebalanced, because topics changed for instance.
            self.state is State.STABLE and unchanged and not leads
        ):
            self.answers.append((waiter, self._joined(member)))
            return
        self.members.update(member, request)
        self._supersede(self.members.await_join(member, waiter), member)
        self._rebalance_or_complete(now_ms)

    def _add(self, request: JoinRequest, member_id: str, waiter: Waiter, now_ms: float) -> None:
        if not self.members:
            self.protocol_type = request.protocol_type
        if self._gathering is not None:
            self._gathering.grow()
        self.members.add(
            Member(
                member_id,
                request.instance_id,
                request.client_id,
                request.client_host,
                request.rebalance_timeout_ms,
                request.session_timeout_ms,
                request.protocols,
                # It knows its id only from the answer, so it can't send heartbeats until then.
                deadline_ms=self._arm(now_ms + self._limits.new_member_timeout_ms),
                is_new=True,
                join_waiter=waiter,
            )
        )
        self._rebalance_or_complete(now_ms)

    def _replace_static(self, request: JoinRequest, member: Member, new_id: str, waiter: Waiter, now_ms: float) -> None:
        """A static member came back: it takes the place of its old self, which is fenced."""
        self._answer_waiters(member, ErrorCode.FENCED_INSTANCE_ID)
        old_leader = self.members.leader or ""
        self._pending_sync.discard(member.member_id)
        self.members.rename(member, new_id)
        self.members.update(member, request)
        member.deadline_ms = self._arm(now_ms + member.session_timeout_ms)
        if self.state is State.STABLE and self.members.select_protocol() == self.protocol:
            # The assignment stands: store the new id, no rebalance. A leader that can't be told to skip the
            # assignment is told of its old id as leader, so that it doesn't make one.
            self.records.append(self._metadata())
            leads = self.members.leader == new_id
            if request.can_skip_assignment:
                self.answers.append((waiter, self._joined(member, skip_assignment=leads)))
            else:
                self.answers.append((waiter, self._joined(member, leader=old_leader)))
            return
        self.members.await_join(member, waiter)
        self._rebalance_or_complete(now_ms)

    def _has_room_for(self, member_id: str) -> bool:
        member = self.members.by_id.get(member_id)
        if self.state is State.EMPTY:
            return True
        if self.state is State.PREPARING_REBALANCE:
            # Counted are those who wait, so that a group larger than the (lowered) limit sheds who comes last.
            waits = member is not None and member.join_waiter is not None
            return waits or self.members.awaiting_join < self._limits.max_size
        return member is not None or len(self.members) < self._limits.max_size

    def _agrees_with(self, request: JoinRequest) -> bool:
        if not self.members:
            return bool(request.protocol_type and request.protocols)
        return request.protocol_type == self.protocol_type and self.members.support_any(request.protocols)

    # Rebalancing

    def _rebalance_or_complete(self, now_ms: float) -> None:
        if State.PREPARING_REBALANCE in TRANSITIONS[self.state]:
            self.rebalance(now_ms)
        else:
            self._complete_join_if_ready(now_ms)

    def rebalance(self, now_ms: float) -> None:
        """Start the next generation: everybody has to join again."""
        if self.state is State.COMPLETING_REBALANCE:
            for member in self.members.by_id.values():
                member.assignment = b""
                self._answer_sync(member, Synced(ErrorCode.REBALANCE_IN_PROGRESS))
                self._extend(member, now_ms)
        self._pending_sync.clear()
        self._sync_deadline_ms = inf
        was_empty = self.state is State.EMPTY
        self._move_to(State.PREPARING_REBALANCE)
        if was_empty:
            delay_ms = self._limits.initial_rebalance_delay_ms
            self._gathering = Gathering(delay_ms, self.members.rebalance_timeout_ms(), self.lookups, now_ms)
            self._look_around(now_ms)
        elif self.members.all_joined():
            self._complete_join(now_ms)
        else:
            self._join_deadline_ms = self._arm(now_ms + self.members.rebalance_timeout_ms())

    def _complete_join_if_ready(self, now_ms: float) -> None:
        if self._gathering is not None:
            self._look_around(now_ms)
        elif self.state is State.PREPARING_REBALANCE and self.members.all_joined():
            self._complete_join(now_ms)

    def _look_around(self, now_ms: float) -> None:
        if self._gathering is not None:
            members = self.members
            self._join_deadline_ms = self._arm(self._gathering.look(len(members), len(members.pending), now_ms))

    def _join_time_is_up(self, now_ms: float) -> None:
        if self._gathering is not None and self._gathering.prolong(now_ms):
            self._join_deadline_ms = self._arm(self._gathering.deadline_ms)
        else:
            self._complete_join(now_ms)

    def _complete_join(self, now_ms: float) -> None:
        """End the joining: who has not joined is out (static members keep their place until their session ends)."""
        self._join_deadline_ms = inf
        members = self.members
        late = [m.member_id for m in members.by_id.values() if m.join_waiter is None and m.instance_id is None]
        for member_id in late:
            members.remove(member_id)
        if not members.elect_leader() and members:
            # Only static members, none of them back: wait on, until one is or their sessions end.
            self._join_deadline_ms = self._arm(now_ms + max(members.rebalance_timeout_ms(), 1_000))
            return
        self._gathering = None
        self.generation += 1
        if not members:
            self.protocol = None
            self.subscribed_topics = self._compute_subscribed_topics()
            self._move_to(State.EMPTY)
            self.records.append(self._metadata())
            return
        self.protocol = members.select_protocol()
        self.subscribed_topics = self._compute_subscribed_topics()
        self._move_to(State.COMPLETING_REBALANCE)
        for member in members.by_id.values():
            waiter = members.take_join_waiter(member)
            if waiter is not None:
                self.answers.append((waiter, self._joined(member)))
            member.is_new = False
            self._extend(member, now_ms)
        self._pending_sync = set(members.by_id)
        self._sync_deadline_ms = self._arm(now_ms + members.rebalance_timeout_ms())

    # Syncing

    def sync(
        self,
        who: Identity,
        protocol: tuple[str | None, str | None],
        assignments: Mapping[str, bytes],
        waiter: Waiter,
        now_ms: float,
    ) -> None:
        """A member asks for its assignment; the leader brings all of them.

        Args:
            who: the member.
            protocol: (protocol type, protocol) it believes in; None = it does not say.
            assignments: by member id; empty unless the member leads.
            waiter: comes back with the answer.
            now_ms: monotonic time.
        """
        error = self._check(who)
        kind, name = protocol
        if not error and (kind not in (None, self.protocol_type) or name not in (None, self.protocol)):
            error = ErrorCode.INCONSISTENT_GROUP_PROTOCOL
        if not error and self.state is State.PREPARING_REBALANCE:
            error = ErrorCode.REBALANCE_IN_PROGRESS
        if error:
            self.answers.append((waiter, Synced(error)))
            return
        member = self.members.by_id[who.member_id]
        self._pending_sync.discard(member.member_id)
        if not self._pending_sync:
            self._sync_deadline_ms = inf
        if self.state is State.STABLE:
            self._extend(member, now_ms)
            self.answers.append((waiter, self._synced(member)))
            return
        self._answer_sync(member, Synced(ErrorCode.REBALANCE_IN_PROGRESS))  # a retry: the earlier one is given up
        member.sync_waiter = waiter
        if member.member_id == self.members.leader:
            # Its retry may be gathered with it: only one of both decides, or what others are told would change later.
            self.records = [self._metadata(assignments)]

    def apply(self, settled: GroupMetadata, now_ms: float) -> None:
        """Replay a record of this group: at run time the one just appended, at start what the log holds.

        While a generation is in the making only its own record counts; one that was overtaken changes nothing.
        """
        if self.state in {State.PREPARING_REBALANCE, State.DEAD}:
            return
        if self.state is State.COMPLETING_REBALANCE and settled.generation != self.generation:
            return
        if settled.generation != self.generation or {m.member_id for m in settled.members} != self.members.by_id.keys():
            self._adopt(settled, now_ms)
            return
        self.state_timestamp_ms = settled.state_timestamp_ms
        for stored in settled.members:
            self.members.by_id[stored.member_id].assignment = stored.assignment
        if self.state is State.COMPLETING_REBALANCE:
            self._move_to(State.STABLE)
            for member in self.members.by_id.values():
                if self._answer_sync(member, self._synced(member)):
                    self._extend(member, now_ms)

    def append_failed(self, error: ErrorCode, now_ms: float) -> None:
        """The record could not be written: nobody is told of a generation that is not in the log."""
        self._retract(error)
        if self.state is State.COMPLETING_REBALANCE:
            for member in self.members.by_id.values():
                self._answer_sync(member, Synced(error))
            self.rebalance(now_ms)

    def _adopt(self, settled: GroupMetadata, now_ms: float) -> None:
        self.state = State.STABLE if settled.members else State.EMPTY
        self.generation = settled.generation
        self.protocol_type = settled.protocol_type or None
        self.protocol = settled.protocol
        self.state_timestamp_ms = settled.state_timestamp_ms
        revision = self.members.revision
        self.members = Members.from_metadata(settled)
        self.members.revision += revision
        for member in self.members.by_id.values():
            self._extend(member, now_ms)
        self.subscribed_topics = self._compute_subscribed_topics()

    # Heartbeats, commits, leaving, dying

    def heartbeat(self, who: Identity, now_ms: float) -> ErrorCode:
        """Keep a member alive and tell it whether it has to join again."""
        error = self._check(who)
        if not error:
            member = self.members.by_id[who.member_id]
            member.deadline_ms = now_ms + member.session_timeout_ms  # only ever later: wake_at_ms still holds
            error = HEARTBEAT[self.state]
        return error

    def hear(self, silences: Mapping[str, int], now_ms: float) -> None:
        """Count signs of life that were seen elsewhere: by member id, how many ms ago."""
        for member_id, silent_ms in silences.items():
            member = self.members.by_id.get(member_id)
            if member is not None:
                member.deadline_ms = max(member.deadline_ms, now_ms - silent_ms + member.session_timeout_ms)

    def check_commit(self, who: Identity, now_ms: float) -> ErrorCode:
        """Return whether this member, or a simple consumer (-1, ""), may commit offsets; a commit is a sign of life."""
        if self.state is State.DEAD:
            return ErrorCode.COORDINATOR_NOT_AVAILABLE
        if who.generation < 0 and self.state is State.EMPTY:
            return ErrorCode.NONE
        if who.generation < 0 and not who.member_id and who.instance_id is None:
            return ErrorCode.UNKNOWN_MEMBER_ID
        error = self._check(who)
        if not error and self.state is State.COMPLETING_REBALANCE:
            return ErrorCode.REBALANCE_IN_PROGRESS  # it has joined, but does not know yet what it owns
        if not error:
            member = self.members.by_id[who.member_id]
            member.deadline_ms = now_ms + member.session_timeout_ms
        return error

    def leave(self, who: Iterable[tuple[str, str | None]], now_ms: float) -> list[ErrorCode]:
        """Remove members by (member id, instance id); an empty member id removes a static member by instance id."""
        if self.state is State.DEAD:
            return [ErrorCode.COORDINATOR_NOT_AVAILABLE for _ in who]
        errors = []
        size = len(self.members)
        for member_id, instance_id in who:
            if not member_id and instance_id is not None:
                member_id = self.members.static_ids.get(instance_id, "")  # noqa: PLW2901
            error = ErrorCode.NONE if member_id in self.members.pending else self._identify(member_id, instance_id)
            if not error:
                self._drop(member_id, ErrorCode.UNKNOWN_MEMBER_ID)
            errors.append(error)
        if ErrorCode.NONE in errors:
            self._after_losses(size, now_ms)
        return errors

    def expire(self, now_ms: float) -> None:
        """Do what is due: drop members whose session is over, end the joining, drop members that never sync."""
        members = self.members
        lapsed = [member_id for member_id, deadline_ms in members.pending.items() if deadline_ms <= now_ms]
        size = len(members)
        for member in members.by_id.values():
            if member.deadline_ms <= now_ms:
                waits = member.join_waiter is not None or member.sync_waiter is not None
                if waits and not member.is_new:
                    member.deadline_ms = inf  # it can do nothing but wait; the answer starts a new session
                else:
                    lapsed.append(member.member_id)
        for member_id in lapsed:
            self._drop(member_id, ErrorCode.UNKNOWN_MEMBER_ID)
        if lapsed:
            self._after_losses(size, now_ms)
        if self._join_deadline_ms <= now_ms:
            self._join_time_is_up(now_ms)
        if self._sync_deadline_ms <= now_ms:
            self._sync_deadline_ms = inf
            silent = self._pending_sync & members.by_id.keys()
            for member_id in silent:
                self._drop(member_id, ErrorCode.UNKNOWN_MEMBER_ID)
            if silent:
                self.rebalance(now_ms)
        self.wake_at_ms = min(
            self._join_deadline_ms,
            self._sync_deadline_ms,
            min(members.pending.values(), default=inf),
            min((member.deadline_ms for member in members.by_id.values()), default=inf),
        )

    def kill(self, error: ErrorCode) -> None:
        """The group is deleted, or moves to another coordinator: everybody who waits gets the error."""
        self._retract(error)
        self._move_to(State.DEAD)
        for member in self.members.by_id.values():
            self._answer_waiters(member, error)
        self.members = Members()
        self.wake_at_ms = self._join_deadline_ms = self._sync_deadline_ms = inf

    def awaits(self) -> Awaited | None:
        """Return what the members are waiting for; None = each request may be answered, or change what is waited for."""
        members = self.members
        if not members or self._gathering is not None:
            return None
        if self.state is State.STABLE:
            return Awaited()
        if self.state is State.COMPLETING_REBALANCE:
            return Awaited(sync_of=members.leader)
        if self.state is not State.PREPARING_REBALANCE or members.pending:
            return None
        if len(members) > self._limits.max_size:
            return Awaited()  # who comes last finds no room, and hears of it
        return Awaited(tuple([member.member_id for member in members.by_id.values() if member.join_waiter is None]))

    @property
    def is_dead(self) -> bool:
        """True once it is deleted, or another coordinator's."""
        return self.state is State.DEAD

    @property
    def is_empty(self) -> bool:
        """True without members; one that is given an id but has not joined is none."""
        return self.state is State.EMPTY

    @property
    def is_consumer_group(self) -> bool:
        """True when the members speak the consumer protocol, so that what they subscribe to can be read."""
        return self.protocol_type == CONSUMER

    def consumes(self, topic: str) -> bool:
        """Return whether offsets of this topic are in use; a consumer group that can't be read might use any."""
        if self.subscribed_topics is None:
            return self.protocol_type == CONSUMER
        return topic in self.subscribed_topics

    # Small parts

    def _check(self, who: Identity) -> ErrorCode:
        if self.state is State.DEAD:
            return ErrorCode.COORDINATOR_NOT_AVAILABLE
        error = self._identify(who.member_id, who.instance_id)
        if not error and who.generation != self.generation:
            return ErrorCode.ILLEGAL_GENERATION
        return error

    def _identify(self, member_id: str, instance_id: str | None) -> ErrorCode:
        if instance_id is not None:
            known = self.members.static_ids.get(instance_id)
            if known is not None and known != member_id:
                return ErrorCode.FENCED_INSTANCE_ID
            if known is None:
                return ErrorCode.UNKNOWN_MEMBER_ID
        return ErrorCode.NONE if member_id in self.members.by_id else ErrorCode.UNKNOWN_MEMBER_ID

    def _after_losses(self, size: int, now_ms: float) -> None:
        """Go on without some of `size` members, or without ids that were given out: they have no part in a generation.

        Apache Kafka does have a settled group rebalance when such an id leaves, as it does not when one lapses.
        """
        if len(self.members) < size and self.state in {State.STABLE, State.COMPLETING_REBALANCE}:
            self.rebalance(now_ms)
        else:
            self._complete_join_if_ready(now_ms)

    def _drop(self, member_id: str, error: ErrorCode) -> None:
        member = self.members.by_id.get(member_id)
        if member is not None:
            self._answer_waiters(member, error)
        self.members.remove(member_id)
        self._pending_sync.discard(member_id)

    def _retract(self, error: ErrorCode) -> None:
        """Take back what was said on the strength of a record that is not in the log."""
        self.records.clear()
        self.answers = [
            (waiter, Joined(error) if isinstance(answer, Joined) and not answer.error else answer)
            for waiter, answer in self.answers
        ]

    def _refuse(self, waiter: Waiter, error: ErrorCode, member_id: str) -> None:
        self.answers.append((waiter, Joined(error, member_id)))

    def _answer_waiters(self, member: Member, error: ErrorCode) -> None:
        waiter = self.members.take_join_waiter(member)
        if waiter is not None:
            self._refuse(waiter, error, member.member_id if error is ErrorCode.FENCED_INSTANCE_ID else "")
        self._answer_sync(member, Synced(error))

    def _answer_sync(self, member: Member, answer: Synced) -> bool:
        waiter, member.sync_waiter = member.sync_waiter, None
        if waiter is not None:
            self.answers.append((waiter, answer))
        return waiter is not None

    def _supersede(self, waiter: Waiter | None, member: Member) -> None:
        if waiter is not None:  # the member gave up waiting and asked again
            self._refuse(waiter, ErrorCode.REBALANCE_IN_PROGRESS, member.member_id)

    def _joined(self, member: Member, *, skip_assignment: bool = False, leader: str | None = None) -> Joined:
        leader = self.members.leader or "" if leader is None else leader
        everybody = self.members.subscriptions(self.protocol or "") if leader == member.member_id else ()
        return Joined(
            ErrorCode.NONE,
            member.member_id,
            self.generation,
            self.protocol_type,
            self.protocol,
            leader,
            everybody,
            skip_assignment,
        )

    def _synced(self, member: Member) -> Synced:
        return Synced(ErrorCode.NONE, self.protocol_type, self.protocol, member.assignment)

    def _metadata(self, assignments: Mapping[str, bytes] | None = None) -> GroupMetadata:
        """Return this generation as a record, whose time the service fills in."""
        members = self.members.as_metadata(self.protocol or "", assignments)
        return GroupMetadata(self.protocol_type or "", self.generation, self.protocol, self.members.leader, -1, members)

    def _compute_subscribed_topics(self) -> frozenset[str] | None:
        if self.protocol_type != CONSUMER:
            return None
        return subscribed_topics(blob for _, _, blob in self.members.subscriptions(self.protocol or ""))

    def _extend(self, member: Member, now_ms: float) -> None:
        member.deadline_ms = self._arm(now_ms + member.session_timeout_ms)

    def _arm(self, deadline_ms: float) -> float:
        self.wake_at_ms = min(self.wake_at_ms, deadline_ms)
        return deadline_ms

    def _move_to(self, state: State) -> None:
        if state not in TRANSITIONS[self.state]:
            raise AssertionError(f"group {self.group_id!r}: {self.state.value} -> {state.value}")
        self.state = state
