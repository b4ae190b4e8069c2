"""What is measured: which workload each library runs in a case, on what topic, and what our client has to reach.

A case's first peer is the one that our figures are held against; the others are shown. `limit` is a raw socket's rate on
the same topic, capped at what the issue asks for: no client can be faster than its broker.
"""

from __future__ import annotations

import dataclasses

from benches.versus.targets import Figure

KEY_BYTES = 8
PARTITIONS = 6
WIDE = 1000
BOUND = 64 << 20
LIMIT = "limit"
LIMIT_RECORDS_S = 10e6


@dataclasses.dataclass(frozen=True)
class Case:
    """One comparison. `reads`: the topic is filled before it; `codec` is the producers', also of what fills the topic."""

    name: str
    size: int
    workloads: dict[str, str]
    codec: str = "none"
    reads: bool = False
    partitions: int = PARTITIONS
    writes: bool = True


def _all(workload: str, *libraries: str) -> dict[str, str]:
    return dict.fromkeys(("odradek", *libraries), workload)


CASES = {
    "send": Case("send() of 100 B", 100, _all("send", "confluent-kafka", "kafka-python")),
    "send-many": Case("send_many() of 100 B", 100, {"odradek": "send-many", "confluent-kafka": "send"}),
    "send-arrow": Case("send_arrow() of 100 B", 100, {"odradek": "send-arrow", "confluent-kafka": "send"}, reads=True),
    "poll": Case("poll() of 100 B", 100, _all("poll", "confluent-kafka", "kafka-python"), reads=True, writes=False),
    "poll-arrow": Case(
        "poll_arrow() of 100 B", 100, {"odradek": "poll-arrow", LIMIT: LIMIT}, reads=True, writes=False
    ),
    "aio-send": Case("asyncio send() of 100 B", 100, _all("aio-send", "aiokafka")),
    "aio-poll": Case("asyncio poll() of 100 B", 100, _all("aio-poll", "aiokafka"), reads=True, writes=False),
    **{
        f"{verb}-{codec}": Case(
            f"{verb}() of 1 KiB, {codec}", 1024, _all(verb, "confluent-kafka"), codec, verb == "poll", writes=verb == "send"
        )
        for codec in ("lz4", "zstd")
        for verb in ("send", "poll")
    },
    "round-trip": Case("send().result() of 100 B, one at a time", 100, _all("round-trip", "confluent-kafka", "kafka-python")),
    "memory": Case(
        f"slow consumer of {WIDE:,} partitions held to {BOUND >> 20} MiB", 1024, _all("memory", "confluent-kafka"),
        reads=True, partitions=WIDE, writes=False,
    ),
}  # fmt: skip

_CONFLUENT = "confluent-kafka"

FIGURES = (
    Figure(r"send\(\) of 100 B", "records_s", "records/s", bar=2.0, higher=True, peer=_CONFLUENT),
    Figure(r"send\(\) of 100 B", "client_us_a_record", "client CPU, us a record", bar=0.5, peer=_CONFLUENT),
    Figure(r"send_(many|arrow)\(\).*", "records_s", "records/s", bar=5.0, higher=True, peer=_CONFLUENT),
    Figure(r"send_(many|arrow)\(\).*", "client_us_a_record", "client CPU, us a record", peer=_CONFLUENT),
    Figure(r"poll\(\) of 100 B", "records_s", "records/s", bar=2.0, higher=True, peer=_CONFLUENT),
    Figure(r"poll\(\) of 100 B", "client_us_a_record", "client CPU, us a record", peer=_CONFLUENT),
    Figure(r"poll_arrow\(\).*", "records_s", "records/s", bar=1.0, higher=True, peer=LIMIT),
    Figure(r"poll_arrow\(\).*", "client_us_a_record", "client CPU, us a record", peer=LIMIT),
    Figure(r"asyncio send\(\).*", "records_s", "records/s", bar=3.0, higher=True, peer="aiokafka"),
    Figure(r"asyncio poll\(\).*", "records_s", "records/s", bar=2.0, higher=True, peer="aiokafka"),
    Figure(r"asyncio .*", "client_us_a_record", "client CPU, us a record", peer="aiokafka"),
    Figure(r"(send|poll)\(\) of 1 KiB, .*", "records_s", "records/s", bar=1.0, higher=True, peer=_CONFLUENT),
    Figure(r"(send|poll)\(\) of 1 KiB, .*", "client_us_a_record", "client CPU, us a record", peer=_CONFLUENT),
    Figure(r"send\(\)\.result\(\).*", "p50_us", "p50, us", bar=1.0, peer=_CONFLUENT),
    Figure(r"send\(\)\.result\(\).*", "p99_us", "p99, us", bar=1.0, peer=_CONFLUENT),
    Figure(
        r"slow consumer .*",
        "growth_mb",
        "anonymous memory above that of an idle one, MB",
        bar_limit=64,
        peer=_CONFLUENT,
    ),
)
