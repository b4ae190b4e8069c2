"""Lying counts and lengths in every API: each four bytes of each request are overwritten with large numbers.

Whatever the four bytes were (an array's count, a string's length, a number), the broker answers or closes; it never hangs, allocates
what was claimed, or dies. (Apache Kafka 4.3.1 passes all but one: it leaves a Produce whose records are null unanswered.)
"""

from __future__ import annotations

import struct
from collections import Counter

import pytest
import samples
from support import batches, hostile, messages, protocol_table, topics
from support.broker import Broker
from support.canary import Canary
from support.wire import Wire

pytestmark = pytest.mark.brokers("odradek", "kafka")

LIES = {"int_max": 2**31 - 1, "minus_two": -2, "hundred_million": 100_000_000}
GROWTH_BYTES = 64 << 20


def versions(row: protocol_table.Promise) -> list[int]:
    """Return the lowest and the highest version: one with the old encoding, if there is one, and one with the new."""
    low, high = messages.kio_versions(row.api)
    return sorted({max(low, row.low), min(high, row.high)})


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES)
@pytest.mark.parametrize("row", protocol_table.rows(), ids=lambda row: row.api)
def test_lying_numbers_anywhere_in_a_request_hurt_nobody(
    row: protocol_table.Promise, lie: int, bootstrap: str, broker: Broker, wire: Wire, topic: str, canary: Canary
) -> None:
    topics.produce(wire, topic, batches.batch([b"something to fetch, so that no lie makes a Fetch wait"]))
    topic_id = topics.describe_topic(wire, topic).topic_id
    fields = samples.requests(topic, topic_id)[row.api]
    before = broker.resident_bytes()
    outcomes: Counter[str] = Counter()
    for version in versions(row):
        whole = messages.encode_request(row.api, version, fields)
        header = len(
            messages.header_of(type(messages.request(row.api, version, fields)), correlation_id=1, client_id="wire")
        )
        for position in range(header, len(whole) + 1, 1 if len(whole) < 100 else 3):
            bent = whole[:position] + struct.pack(">i", lie) + whole[position + 4 :]
            outcomes[hostile.provoke(bootstrap, bent)] += 1
    after = broker.resident_bytes()
    assert outcomes.total() > 0
    if before is not None and after is not None:
        assert after - before < GROWTH_BYTES
