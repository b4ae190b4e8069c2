"""From subscribe to the first record of every member."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benches.versus.session import Session


def run(session: Session) -> None:
    """A new classic group of 1 and of 10 members (librdkafka)."""
    prefix = session.new_topic(10)
    session.client("join", f"{prefix}0", 1)  # the broker's first group makes the offsets topic
    for members in (1, 10):
        found = session.client("join", f"{prefix}0", members)
        session.report(f"first record of a new group, {members} members", found.json(), found.usage)
    session.delete(prefix)
