"""Commit without waiting while records flow, and once for certain at the end."""

from collections.abc import Mapping

from run_example import run

import odradek
from odradek.types import OffsetAndMetadata, TopicPartition


def main(
    bootstrap_servers: str, topic: str = "orders", group_id: str = "counter", count: int = 6, batch: int = 2
) -> list[dict[TopicPartition, OffsetAndMetadata]]:
    confirmed: list[dict[TopicPartition, OffsetAndMetadata]] = []

    def committed(offsets: Mapping[TopicPartition, OffsetAndMetadata], error: Exception | None) -> None:
        # called within poll or close, so it needs no lock
        if error is not None:
            print(f"not committed, a later commit will do: {error}")
        else:
            confirmed.append(dict(offsets))

    seen = 0
    with odradek.Consumer(
        bootstrap_servers, group_id=group_id, enable_auto_commit=False, auto_offset_reset="earliest"
    ) as consumer:
        consumer.subscribe(topic)
        while seen < count:
            seen += len(consumer.poll(timeout=10, max_records=batch))
            consumer.commit_async(callback=committed)
        consumer.commit()
    print(f"{seen} records, {len(confirmed)} commits confirmed, the last {confirmed[-1]}")
    return confirmed


if __name__ == "__main__":
    run(main, orders=[b"order %d" % number for number in range(6)])
