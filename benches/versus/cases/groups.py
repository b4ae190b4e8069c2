"""From subscribe to the first record of every member.

Of groups of one member the median of several is told: librdkafka takes 50 ms longer whenever its first lookup of the
coordinator finds no connection up, which is the toss of a coin and not the broker's doing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benches.versus.session import Session


def run(session: Session) -> None:
    """A new classic group of 1 and of 10 members (librdkafka)."""
    prefix = session.new_topic(10)
    session.client("join", f"{prefix}0", 1)  # the broker's first group makes the offsets topic
    for members, groups in ((1, 5 if session.quick else 9), (10, 1)):
        runs = [session.client("join", f"{prefix}0", members) for _ in range(groups)]
        found = sorted(runs, key=lambda run: float(run.json()["all_members_s"]))[groups // 2]
        session.report(f"first record of a new group, {members} members", found.json(), found.usage)
    session.delete(prefix)
