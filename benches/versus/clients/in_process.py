"""How soon `odradek.Broker()` is ready in a fresh interpreter, and then again and again.   ADDRESS ROUNDS; ADDRESS is unused.

Ready is what a test waits for: the constructor and `start` are through and a request is answered. That is ApiVersions, which
Rust answers, as it does Produce and Fetch; Python is up somewhat later, so the time until a topic is created is told, too.
Kafka has no such thing.
"""

from __future__ import annotations

import json
import socket
import statistics
import struct
import sys
import time

API_VERSIONS_0 = struct.pack(">ihhih", 10, 18, 0, 7, -1)
_TOPIC = struct.pack(">ih1sihiii?", 1, 1, b"t", 1, 1, 0, 0, 10_000, False)  # noqa: FBT003  # not to validate only
CREATE_TOPICS_2 = struct.pack(">ihhih", 10 + len(_TOPIC), 19, 2, 8, -1) + _TOPIC


def _answered(connection: socket.socket) -> None:
    connection.sendall(API_VERSIONS_0)
    answer = connection.recv(1 << 16)
    if answer[4:10] != struct.pack(">ih", 7, 0):
        raise SystemExit(f"ApiVersions was answered {answer[:10]!r}")


def _created(connection: socket.socket) -> None:
    connection.sendall(CREATE_TOPICS_2)
    answer = connection.recv(1 << 16)
    if answer[4:] != struct.pack(">iiih1shh", 8, 0, 1, 1, b"t", 0, -1):
        raise SystemExit(f"CreateTopics was answered {answer!r}")


def main(rounds: int) -> None:
    """Print the first time, and the median and slowest of the others, in ms."""
    since = time.perf_counter()
    import odradek  # noqa: PLC0415  # it is timed

    imported_s = time.perf_counter() - since
    taken, decided = [], []
    for _ in range(rounds + 1):
        since = time.perf_counter()
        with odradek.Broker() as broker:
            host, port = broker.bootstrap_servers.rsplit(":", 1)
            with socket.create_connection((host, int(port)), 10) as connection:
                _answered(connection)
                taken.append(time.perf_counter() - since)
                _created(connection)
                decided.append(time.perf_counter() - since)
    warm = taken[1:]
    figures = {
        "import": imported_s,
        "first": taken[0],
        "first_control": decided[0],
        "warm": statistics.median(warm),
        "warm_control": statistics.median(decided[1:]),
        "slowest_warm": max(warm),
    }
    print(json.dumps({f"{name}_ms": 1000 * seconds for name, seconds in figures.items()}), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[2]))
