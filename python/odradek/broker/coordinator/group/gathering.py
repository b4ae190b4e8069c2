"""When the first rebalance of a group without members ends: the rule that lets members which start together share it.

With `group.initial.rebalance.delay.ms` above 0 it is Kafka's: that long after the first member, and again as long as
others keep coming. With 0 Kafka ends it at once, and who comes a millisecond later makes a second generation, of which
the members of the first hear only at their next heartbeat, some 3 s later. Here 0 means: as soon as nobody more is in
sight. In sight is who was given a member id and is not back with it, and who asked for the group's coordinator and has
not joined yet: clients ask before they join, librdkafka perhaps twice, on two connections. A member that is alone waits
for nothing, or for DOUBT_MS when a second connection asked.

Pure: `classic.py` tells what happened and asks when to end, `service.py` keeps the `Lookups`. Source: Kafka
`GroupMetadataManager.tryCompleteInitialRebalanceElseSchedule`; the rule for 0 is ours.
"""

from collections import deque
from typing import Final

__all__ = ["DOUBT_MS", "LONGEST_MS", "LOOKUP_MS", "PATIENCE_MS", "QUIET_MS", "Gathering", "Lookups"]

LOOKUP_MS: Final = 200
"""How long who asked for the coordinator is expected to join."""
PATIENCE_MS: Final = 100
"""How long after the last newcomer those that must be coming are waited for."""
QUIET_MS: Final = 50
"""How long after the last newcomer several members look out for one more."""
DOUBT_MS: Final = 8
"""How long a single member is kept when it may be alone or not."""
LONGEST_MS: Final = 1_000
"""What no run of newcomers can prolong."""

_LOOKUPS_KEPT: Final = 4_096


class Lookups:
    """Who asked for the coordinator of a group without members lately: one a connection."""

    def __init__(self) -> None:
        self._kept: deque[tuple[float, str, int]] = deque(maxlen=_LOOKUPS_KEPT)

    def add(self, group_id: str, connection_id: int, now_ms: float) -> None:
        """Take note of one; of very many, the latest are kept."""
        self._kept.append((now_ms, group_id, connection_id))

    def count(self, group_id: str, now_ms: float) -> int:
        """Return how many connections asked for this group within LOOKUP_MS."""
        while self._kept and self._kept[0][0] <= now_ms - LOOKUP_MS:
            self._kept.popleft()
        return len({connection for _, asked, connection in self._kept if asked == group_id})


class Gathering:
    """One first rebalance. `deadline_ms` is when it ends, as far as is known now."""

    __slots__ = ("_again_ms", "_delay_ms", "_ends_ms", "_grew", "_left_ms", "_lookups", "deadline_ms")

    def __init__(self, delay_ms: int, rebalance_timeout_ms: int, lookups: int, now_ms: float) -> None:
        """Begin, with the first member.

        Args:
            delay_ms: `group.initial.rebalance.delay.ms`.
            rebalance_timeout_ms: the first member's; the whole takes no longer.
            lookups: on how many connections the coordinator was asked for lately, the first member's among them.
            now_ms: monotonic time.
        """
        self._delay_ms = delay_ms
        self._lookups = lookups
        self._grew = False
        self._again_ms = delay_ms
        self._left_ms = max(rebalance_timeout_ms - delay_ms, 0)
        self._ends_ms = now_ms + min(LONGEST_MS, rebalance_timeout_ms)
        self.deadline_ms = now_ms + delay_ms

    def grow(self) -> None:
        """Take note of a member after the first."""
        self._grew = True

    def look(self, members: int, pending: int, now_ms: float) -> float:
        """Think over the deadline, as somebody came, went or was given an id; return it.

        Args:
            members: how many have joined.
            pending: how many ids are given out and not back.
            now_ms: monotonic time.
        """
        if not self._delay_ms:
            if pending or self._lookups > 2 * members:
                wait_ms = PATIENCE_MS
            elif members > 1:
                wait_ms = QUIET_MS
            else:
                wait_ms = DOUBT_MS if self._lookups > members else 0
            self.deadline_ms = min(now_ms + wait_ms, self._ends_ms)
        return self.deadline_ms

    def prolong(self, now_ms: float) -> bool:
        """At the deadline: return whether it was moved on, as members came since it was set."""
        if not self._delay_ms or not self._grew or not self._left_ms:
            return False
        self._grew = False
        delay_ms = min(self._delay_ms, self._left_ms)
        self._left_ms = max(self._left_ms - self._again_ms, 0)
        self._again_ms = delay_ms
        self.deadline_ms = now_ms + delay_ms
        return True
