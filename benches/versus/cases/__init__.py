"""What is measured. A family is a file; a case is one function that a session is handed to.

`LIFE` cases start and stop the broker themselves and run with no other broker up; `LOAD` cases meet brokers that have been
running, both of them, and are handed one after the other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from benches.versus.cases import (
    crash,
    groups,
    in_process,
    java,
    latency,
    partitions,
    python_clients,
    raw,
    requests,
    start,
    storms,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from benches.versus.session import Session

    Case = Callable[[Session], None]

__all__ = ["LIFE", "LOAD"]

LIFE: dict[str, Case] = {
    "start": start.run,
    "in-process": in_process.run,
    "partitions": partitions.run,
    "crash": crash.run,
}
LOAD: dict[str, Case] = {
    "groups": groups.run,
    "requests": requests.run,
    "raw-produce": raw.produce,
    "raw-fetch": raw.fetch,
    "small-fetch": raw.small_fetch,
    "latency": latency.run,
    "python": python_clients.run,
    "java": java.run,
    "storms": storms.run,
}
