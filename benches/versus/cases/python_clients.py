"""confluent-kafka, aiokafka and kafka-python as users run them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benches.versus.session import Session

LIBRARIES = ("confluent-kafka", "aiokafka", "kafka-python")


def run(session: Session) -> None:
    """Produce with acks=all, then consume what is there; 100 B and 1 KiB."""
    seconds = 2 if session.quick else 4
    for size in (100,) if session.quick else (100, 1024):
        prefix = session.new_topic(6)
        for verb in ("produce", "consume"):
            for library in LIBRARIES:
                found = session.client(verb, f"{prefix}0", library, size, seconds)
                said = found.json()
                said["broker_cpu_s_a_gb"] = found.usage.broker_cpu_s / (said["records"] * size / 1e9)
                session.report(f"{library} {verb} {size} B", said, found.usage)
        session.delete(prefix)
