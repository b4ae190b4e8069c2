"""What the consumer's tests share: quick options, and polling until something holds."""

import time

PATIENCE_S = 40.0
_EITHER = {"auto_offset_reset": "earliest", "metadata_max_age_ms": 1_000}
QUICK = {"heartbeat_interval_ms": 200, "session_timeout_ms": 6_000, **_EITHER}


def quick(protocol, **options):
    """Return options of a consumer that notices soon; what is given goes before.

    With the protocol of KIP-848 heartbeats are the broker's to set: the tests' brokers have the same figures.
    """
    base = QUICK if protocol == "classic" else _EITHER
    return {**base, "group_protocol": protocol, **options}


def until(condition, *consumers, what="the condition"):
    """Poll the consumers in turn until the condition holds; return what they were given."""
    records = []
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end, f"never happened: {what}"
        for one in consumers:
            records += one.poll(0.05)
    return records


def read(one, count):
    """Poll until there are so many records."""
    records = []
    end = time.monotonic() + PATIENCE_S
    while len(records) < count:
        assert time.monotonic() < end, f"{len(records)} of {count} records"
        records += one.poll(0.5)
    return records
