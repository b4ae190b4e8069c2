"""Runs an example: `python examples/NAME.py` with a broker of its own, `python examples/NAME.py HOST:PORT` with yours."""

import sys
from collections.abc import Callable, Iterable

import odradek

__all__ = ["run"]


def run(main: Callable[[str], object], *, partitions: int = 1, orders: Iterable[bytes] = ()) -> None:
    """Call `main(bootstrap_servers)`.

    Args:
        main: what the example does.
        partitions: of the topics in the example's own broker.
        orders: records that are in the topic "orders" of that broker beforehand.
    """
    if len(sys.argv) > 1:
        main(sys.argv[1])
        return
    with odradek.Broker(num_partitions=partitions) as broker:
        with odradek.Producer(broker.bootstrap_servers) as producer:
            producer.send_many("orders", orders).result(30)
        main(broker.bootstrap_servers)
