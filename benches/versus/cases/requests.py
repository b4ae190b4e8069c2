"""One record a request, one request in flight: what a request costs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benches.versus.cases.raw import measure

if TYPE_CHECKING:
    from benches.versus.session import Session

PARTITIONS = 6


def run(session: Session) -> None:
    """1, 8 and 32 connections, acks=1; 8 connections, acks=all."""
    prefix = session.new_topic(PARTITIONS)
    runs = [(1, 1), (8, 1), (32, 1)] + ([] if session.quick else [(8, -1)])
    for connections, acks in runs:
        case = f"1-record requests, {connections} connections, acks={'all' if acks < 0 else acks}"
        measure(
            session, case, "produce", topic=f"{prefix}0", partitions=PARTITIONS, connections=connections, acks=acks,
            seconds=2 if session.quick else 4,
        )  # fmt: skip
    session.delete(prefix)
