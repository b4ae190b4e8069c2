"""What the consumer's tests share: quick options, and polling until something holds."""

import time

PATIENCE_S = 40.0
QUICK = {
    "heartbeat_interval_ms": 200,
    "session_timeout_ms": 6_000,
    "auto_offset_reset": "earliest",
    "metadata_max_age_ms": 1_000,
}


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
