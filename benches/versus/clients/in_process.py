"""How soon `odradek.Broker()` is ready in a fresh interpreter, and then again and again.   ADDRESS ROUNDS; ADDRESS is unused.

Ready is what a test waits for: the constructor and `start` are through and a request is answered. Kafka has no such thing.
"""

from __future__ import annotations

import json
import socket
import statistics
import struct
import sys
import time

API_VERSIONS_0 = struct.pack(">ihhih", 10, 18, 0, 7, -1)


def _answered(address: str) -> None:
    host, port = address.rsplit(":", 1)
    with socket.create_connection((host, int(port)), 10) as connection:
        connection.sendall(API_VERSIONS_0)
        answer = connection.recv(1 << 16)
    if answer[4:10] != struct.pack(">ih", 7, 0):
        raise SystemExit(f"ApiVersions was answered {answer[:10]!r}")


def main(rounds: int) -> None:
    """Print the first time, and the median and slowest of the others, in ms."""
    since = time.perf_counter()
    import odradek  # noqa: PLC0415  # it is timed

    imported_s = time.perf_counter() - since
    taken = []
    for _ in range(rounds + 1):
        since = time.perf_counter()
        with odradek.Broker() as broker:
            _answered(broker.bootstrap_servers)
            taken.append(time.perf_counter() - since)
    warm = taken[1:]
    figures = {"import": imported_s, "first": taken[0], "warm": statistics.median(warm), "slowest_warm": max(warm)}
    print(json.dumps({f"{name}_ms": 1000 * seconds for name, seconds in figures.items()}), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[2]))
