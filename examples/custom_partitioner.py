"""Choose partitions yourself: one large customer has partition 0 alone, all others share the rest."""

import zlib
from collections.abc import Sequence

from run_example import run

import odradek

LARGE_CUSTOMER = b"acme"


def own_lane(topic: str, key: bytes | None, value: bytes | None, partition_count: int) -> int:  # noqa: ARG001
    if partition_count == 1 or key == LARGE_CUSTOMER:
        return 0
    return 1 + zlib.crc32(key or b"") % (partition_count - 1)


def main(
    bootstrap_servers: str, topic: str = "orders", customers: Sequence[bytes] = (b"acme", b"bolt", b"coil", b"acme")
) -> dict[bytes, set[int]]:
    partitions: dict[bytes, set[int]] = {}
    with odradek.Producer(bootstrap_servers, partitioner=own_lane) as producer:
        futures = [(customer, producer.send(topic, b"an order", key=customer)) for customer in customers]
        for customer, future in futures:
            partitions.setdefault(customer, set()).add(future.result(timeout=30).partition)
    for customer, numbers in partitions.items():
        print(f"{customer.decode()}: partition {sorted(numbers)}")
    return partitions


if __name__ == "__main__":
    run(main, partitions=4)
