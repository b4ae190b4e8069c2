"""What the engine does for rebalances, in memory: parks plain joins and syncs of known members, and rings.

The rules are those of `rust/odradek-core/src/net/rounds.rs`, written anew; `test_wire_rounds.py` looks at the real ones.
"""

import itertools
from dataclasses import dataclass, field


@dataclass
class Table:
    """One group's entry."""

    protocol_type: str
    members: dict
    gather: tuple | None = None
    joins: list = field(default_factory=list)
    syncs: list = field(default_factory=list)
    rung: bool = False

    def rings(self):
        generation, _, joins_of, sync_of = self.gather
        joined = [row[2] for row in self.joins]
        synced = [row[2] for row in self.syncs]
        return (
            (joined and (set(joins_of) <= set(joined) or not set(joined) <= set(joins_of)))
            or len(set(joined)) < len(joined)
            or (synced and sync_of in {None, *synced})
            or len(set(synced)) < len(synced)
            or any(row[4] != generation for row in self.syncs)
        )


class FakeRounds:
    """The methods of the engine, `park_join` and `park_sync` for its I/O threads, and what became of tokens."""

    def __init__(self):
        self.tables = {}
        self.rung = []
        self.answered = {}
        self.told = []
        self._tokens = itertools.count(1_000)

    def know_members(self, group, protocol_type, members):
        self.told.append(("know", group, [member_id for member_id, _, _ in members]))
        table = self.tables.setdefault(group, Table(protocol_type, {}))
        table.protocol_type = protocol_type
        table.members = {member_id: (instance_id, list(names)) for member_id, instance_id, names in members}
        self._look(group)

    def gather(self, group, generation, protocol, *, joins_of, sync_of):
        self.told.append(("gather", group, generation, protocol, tuple(joins_of), sync_of))
        self.tables[group].gather = (generation, protocol, joins_of, sync_of)
        self._look(group)

    def take_gathered(self, group):
        table = self.tables.get(group)
        if table is None:
            return [], []
        rows = table.joins, table.syncs
        table.joins, table.syncs, table.rung = [], [], False
        return rows

    def forget_members(self, group):
        self.told.append(("forget", group))
        rows = self.take_gathered(group)
        self.tables.pop(group, None)
        return rows

    def respond_all(self, answers):
        for token, body in answers:
            self.answered.setdefault(token, body)

    def park_join(self, group, request, version):
        """Take a JoinRequest as the network would bring it; return its token, None if it is left to Python."""
        table = self.tables.get(group)
        if table is None or table.gather is None or request.protocol_type != table.protocol_type:
            return None
        if table.members.get(request.member_id) != (request.instance_id, list(request.protocols)):
            return None
        token = next(self._tokens)
        table.joins.append(
            (
                token,
                version,
                request.member_id,
                request.instance_id,
                request.protocol_type,
                list(request.protocols.items()),
                request.session_timeout_ms,
                request.rebalance_timeout_ms,
                request.client_id,
                request.client_host.removeprefix("/"),
            )
        )
        self._look(group)
        return token

    def park_sync(self, group, who, protocol, assignments, version):
        """Take a SyncGroup; see `park_join`."""
        table = self.tables.get(group)
        if table is None or table.gather is None or who.member_id not in table.members:
            return None
        generation, name, *_ = table.gather
        if table.members[who.member_id][0] != who.instance_id or who.generation != generation:
            return None
        if protocol[0] not in {None, table.protocol_type} or protocol[1] not in {None, name}:
            return None
        if version >= 5 and None in protocol:
            return None
        token = next(self._tokens)
        row = (token, version, who.member_id, who.instance_id, who.generation, *protocol, list(assignments.items()))
        table.syncs.append(row)
        self._look(group)
        return token

    def _look(self, group):
        table = self.tables[group]
        if table.gather is not None and not table.rung and table.rings():
            table.rung = True
            self.rung.append(group)
