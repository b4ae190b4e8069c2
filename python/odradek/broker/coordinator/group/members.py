"""The members of a classic group as data: who they are, what they support, who leads, who waits for what.

Not here: when the group rebalances (`classic.py`). Nothing here knows time or answers anybody; `waiter` objects are
opaque, the service gives and takes them back.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import inf
from typing import NamedTuple, Self

from odradek.broker.coordinator.group.records import GroupMetadata, MemberMetadata
from odradek.errors import ErrorCode

__all__ = ["Identity", "JoinRequest", "Joined", "Member", "Members", "Synced", "Waiter"]

Waiter = object
"""Whatever the service wants back together with the answer."""


class Identity(NamedTuple):
    """Who a member says it is."""

    member_id: str
    instance_id: str | None = None
    """None for a dynamic member."""
    generation: int = -1
    """The generation it joined; -1 with an empty member id: not a member, but a simple consumer or a tool."""


class JoinRequest(NamedTuple):
    """What a member asks when it joins, whatever the version of the request."""

    member_id: str
    """Empty for a member that has none yet."""
    protocol_type: str
    protocols: dict[str, bytes]
    """Assignment strategies by preference, each with the member's subscription in that strategy's form."""
    session_timeout_ms: int
    rebalance_timeout_ms: int
    client_id: str = ""
    client_host: str = ""
    instance_id: str | None = None
    """Names a static member (KIP-345)."""
    needs_member_id: bool = True
    """The member must come back with the id it is given before it counts (KIP-394; JoinGroup 4 and later)."""
    can_skip_assignment: bool = True
    """The leader may be told to keep the present assignment (KIP-814; JoinGroup 9 and later)."""

    @classmethod
    def of(  # noqa: PLR0917 - a row of the engine's, in its order
        cls,
        version: int,
        member_id: str,
        instance_id: str | None,
        protocol_type: str,
        protocols: Iterable[tuple[str, bytes]],
        session_timeout_ms: int,
        rebalance_timeout_ms: int,
        client_id: str | None,
        peer_host: str,
    ) -> Self:
        """Return what a JoinGroup request of this version asks; before version 1 both time-outs are the session's."""
        return cls(
            member_id,
            protocol_type,
            dict(protocols),
            session_timeout_ms,
            max(rebalance_timeout_ms, 0),
            client_id or "",
            f"/{peer_host}",  # as Java prints an address: tools expect the slash
            instance_id,
            version >= 4,
            version >= 9,
        )


class Joined(NamedTuple):
    """The answer to a join; with an error the rest is empty but for the member id."""

    error: ErrorCode
    member_id: str = ""
    generation: int = -1
    protocol_type: str | None = None
    protocol: str | None = None
    leader: str = ""
    members: tuple[tuple[str, str | None, bytes], ...] = ()
    """(member id, instance id, subscription) of all members, for the leader only."""
    skip_assignment: bool = False


class Synced(NamedTuple):
    """The answer to a sync."""

    error: ErrorCode
    protocol_type: str | None = None
    protocol: str | None = None
    assignment: bytes = b""


@dataclass(slots=True, eq=False)
class Member:
    """One member. `deadline_ms` is on the monotonic clock: without a sign of life before it the member is dead."""

    member_id: str
    instance_id: str | None
    client_id: str
    client_host: str
    rebalance_timeout_ms: int
    session_timeout_ms: int
    protocols: dict[str, bytes]
    assignment: bytes = b""
    deadline_ms: float = inf
    is_new: bool = False
    """Its first join is not answered yet: it can't send heartbeats, and the session time-out does not apply."""
    join_waiter: Waiter | None = None
    sync_waiter: Waiter | None = None


@dataclass(slots=True, eq=False)
class Members:
    """All members of one group.

    Invariants: `awaiting_join` counts the members with a join waiter; `static_ids` maps the instance id of each static
    member to its member id; `leader` is a member or None; an id is a member or pending, never both.
    """

    by_id: dict[str, Member] = field(default_factory=dict)
    static_ids: dict[str, str] = field(default_factory=dict)
    pending: dict[str, float] = field(default_factory=dict)
    """Ids given out but not come back yet, with the monotonic time at which they lapse."""
    leader: str | None = None
    awaiting_join: int = 0
    revision: int = 0
    """Moves with every change of who is a member, or of the names of what one supports."""
    _supporters: Counter[str] = field(default_factory=Counter)
    """How many members support each protocol."""

    def __len__(self) -> int:
        return len(self.by_id)

    def all_joined(self) -> bool:
        """Return whether everybody waits for the next generation."""
        return self.awaiting_join == len(self.by_id) and not self.pending

    def rebalance_timeout_ms(self) -> int:
        """Return the longest time that a member asked for."""
        return max((member.rebalance_timeout_ms for member in self.by_id.values()), default=0)

    def add(self, member: Member) -> None:
        """Take in a new member; the first one leads."""
        self.revision += 1
        self.pending.pop(member.member_id, None)
        self.by_id[member.member_id] = member
        if member.instance_id is not None:
            self.static_ids[member.instance_id] = member.member_id
        if self.leader is None:
            self.leader = member.member_id
        if member.join_waiter is not None:
            self.awaiting_join += 1
        self._supporters.update(member.protocols.keys())

    def remove(self, member_id: str) -> None:
        """Forget a member, or an id given out; the longest-standing member leads if the leader goes."""
        self.pending.pop(member_id, None)
        member = self.by_id.pop(member_id, None)
        if member is None:
            return
        self.revision += 1
        if member.instance_id is not None:
            del self.static_ids[member.instance_id]
        if member.join_waiter is not None:
            self.awaiting_join -= 1
        self._withdraw(member)
        if self.leader == member_id:
            self.leader = next(iter(self.by_id), None)

    def rename(self, member: Member, member_id: str) -> None:
        """Give a static member a new id; place in the order, leadership and assignment stay."""
        self.revision += 1
        old = member.member_id
        member.member_id = member_id
        self.by_id = {other.member_id: other for other in self.by_id.values()}
        if member.instance_id is not None:
            self.static_ids[member.instance_id] = member_id
        if self.leader == old:
            self.leader = member_id

    def update(self, member: Member, request: JoinRequest) -> None:
        """Take over what a member says when it joins again."""
        if list(member.protocols) != list(request.protocols):
            self.revision += 1
            self._withdraw(member)
            self._supporters.update(request.protocols.keys())
        member.protocols = request.protocols
        member.rebalance_timeout_ms = request.rebalance_timeout_ms
        member.session_timeout_ms = request.session_timeout_ms

    def await_join(self, member: Member, waiter: Waiter) -> Waiter | None:
        """Let a member wait for the next generation; return the waiter this one supersedes."""
        superseded = member.join_waiter
        if superseded is None:
            self.awaiting_join += 1
        member.join_waiter = waiter
        return superseded

    def take_join_waiter(self, member: Member) -> Waiter | None:
        """Return who waits for this member's join, who then waits no more."""
        waiter = member.join_waiter
        if waiter is not None:
            member.join_waiter = None
            self.awaiting_join -= 1
        return waiter

    def elect_leader(self) -> bool:
        """Keep the leader if it has joined, else make another that has joined the leader; False if nobody has."""
        leader = None if self.leader is None else self.by_id[self.leader]
        if leader is None or leader.join_waiter is None:
            leader = next((member for member in self.by_id.values() if member.join_waiter is not None), None)
            if leader is None:
                return False
            self.leader = leader.member_id
        return True

    def support_any(self, protocols: dict[str, bytes]) -> bool:
        """Return whether all members support at least one of these protocols."""
        supporters, everybody = self._supporters, len(self.by_id)
        for name in protocols:  # noqa: SIM110 - any() takes twice as long, once a join
            if supporters[name] == everybody:
                return True
        return False

    def select_protocol(self) -> str:
        """Return the protocol most members prefer among those that all support; each votes for its first.

        There is one: every join is refused that shares no protocol with all others (`support_any`).
        """
        common = {name for name, count in self._supporters.items() if count == len(self.by_id)}
        if len(common) == 1:  # as nearly always
            return common.pop()
        votes = Counter(next(name for name in member.protocols if name in common) for member in self.by_id.values())
        return votes.most_common(1)[0][0]

    def subscriptions(self, protocol: str) -> tuple[tuple[str, str | None, bytes], ...]:
        """Return (member id, instance id, subscription) of everybody, as the leader needs them."""
        return tuple((m.member_id, m.instance_id, m.protocols.get(protocol, b"")) for m in self.by_id.values())

    def as_metadata(self, protocol: str, assignments: Mapping[str, bytes] | None) -> tuple[MemberMetadata, ...]:
        """Return the members as they are stored, with these assignments by member id; None = the present ones."""
        return tuple(
            MemberMetadata(
                member.member_id,
                member.instance_id,
                member.client_id,
                member.client_host,
                member.rebalance_timeout_ms,
                member.session_timeout_ms,
                member.protocols.get(protocol, b""),
                member.assignment if assignments is None else assignments.get(member.member_id, b""),
            )
            for member in self.by_id.values()
        )

    @classmethod
    def from_metadata(cls, stored: GroupMetadata) -> Self:
        """Return the members of a stored generation; of what they support only the protocol in use is known."""
        members = cls()
        for one in stored.members:
            members.add(
                Member(
                    one.member_id,
                    one.instance_id,
                    one.client_id,
                    one.client_host,
                    one.rebalance_timeout_ms,
                    one.session_timeout_ms,
                    {stored.protocol or "": one.subscription},
                    one.assignment,
                )
            )
        if stored.leader in members.by_id:
            members.leader = stored.leader
        return members

    def _withdraw(self, member: Member) -> None:
        for name in member.protocols:
            self._supporters[name] -= 1
            if not self._supporters[name]:
                del self._supporters[name]  # names come from clients: keep none that nobody supports
