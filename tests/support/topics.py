"""Topics and records through the raw client: what a test needs around the thing it tests.

Every call checks its own error codes, so a test that uses them fails where the trouble is.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from kio.schema.errors import ErrorCode

from . import batches
from .wire import Wire

METADATA = 12
PRODUCE = 9
FETCH = 12
LIST_OFFSETS = 7
T = TypeVar("T")
EARLIEST, LATEST, MAX_TIMESTAMP = -2, -1, -3


def until(probe: Callable[[], T], *, seconds: float = 20.0) -> T:
    """Call `probe` until it returns something true; each call is a round trip or a blocking poll, which paces the loop."""
    deadline = time.monotonic() + seconds
    while not (found := probe()):
        if time.monotonic() > deadline:
            raise AssertionError(f"nothing true within {seconds} s of {probe}")
    return found


def create_topic(wire: Wire, name: str, *, partitions: int = 1, **configs: str | int) -> uuid.UUID:
    """Create a topic, wait until every partition has a leader, and return its id. Underscores in config names mean dots."""
    rows = [{"name": key.replace("_", "."), "value": str(value)} for key, value in configs.items()]
    topic = {"name": name, "num_partitions": partitions, "replication_factor": 1, "assignments": [], "configs": rows}
    response = wire.call("create_topics", 5, {"topics": [topic], "timeout": 20_000, "validate_only": False})
    assert response.topics[0].error_code is ErrorCode.none, response.topics[0]
    until(lambda: all(_is_led(wire, name, partition) for partition in range(partitions)))
    topic_id = describe_topic(wire, name).topic_id
    assert topic_id is not None
    return uuid.UUID(int=topic_id.int)


def _is_led(wire: Wire, name: str, partition: int) -> bool:
    return list_offset_row(wire, name, LATEST, partition=partition).error_code is ErrorCode.none


def describe_topic(wire: Wire, name: str) -> Any:
    """Return one topic's row of a Metadata answer."""
    response = wire.call("metadata", METADATA, metadata_fields([name]))
    return response.topics[0]


def metadata_fields(names: Sequence[str] | None, *, auto_create: bool = False) -> dict[str, Any]:
    """Return a Metadata request for every version; None means all topics."""
    return {
        "topics": None if names is None else [{"name": name, "topic_id": None} for name in names],
        "allow_auto_topic_creation": auto_create,
        "include_cluster_authorized_operations": False,
        "include_topic_authorized_operations": False,
    }


def produce_fields(
    name: str, records: bytes | None, *, partition: int = 0, acks: int = -1, topic_id: uuid.UUID | None = None
) -> dict[str, Any]:
    """Return a Produce request for every version."""
    rows = [{"index": partition, "records": records}]
    return {
        "transactional_id": None,
        "acks": acks,
        "timeout": 20_000,
        "topic_data": [{"name": name, "topic_id": topic_id, "partition_data": rows}],
    }


def try_produce(wire: Wire, name: str, records: bytes | None, *, partition: int = 0, acks: int = -1) -> Any:
    """Produce and return the partition's row, whatever its error code."""
    response = wire.call("produce", PRODUCE, produce_fields(name, records, partition=partition, acks=acks))
    return response.responses[0].partition_responses[0]


def produce(wire: Wire, name: str, records: bytes, *, partition: int = 0, acks: int = -1) -> int:
    """Produce and return the base offset."""
    row = try_produce(wire, name, records, partition=partition, acks=acks)
    assert row.error_code is ErrorCode.none, row
    return int(row.base_offset)


def fetch_fields(
    name: str,
    offset: int,
    *,
    partition: int = 0,
    topic_id: uuid.UUID | None = None,
    max_wait: int = 0,
    min_bytes: int = 1,
    max_bytes: int = 64 << 20,
    partition_max_bytes: int = 64 << 20,
    isolation_level: int = 0,
) -> dict[str, Any]:
    """Return a Fetch request without session for every version."""
    row = {"partition": partition, "fetch_offset": offset, "partition_max_bytes": partition_max_bytes}
    return {
        "replica_id": -1,
        "max_wait": max_wait,
        "min_bytes": min_bytes,
        "max_bytes": max_bytes,
        "isolation_level": isolation_level,
        "topics": [{"topic": name, "topic_id": topic_id, "partitions": [row]}],
        "forgotten_topics_data": [],
    }


def try_fetch(wire: Wire, name: str, offset: int, **how: Any) -> Any:
    """Fetch and return the partition's row, whatever its error code."""
    response = wire.call("fetch", FETCH, fetch_fields(name, offset, **how))
    assert response.error_code is ErrorCode.none, response
    return response.responses[0].partitions[0]


def fetch(wire: Wire, name: str, offset: int = 0, **how: Any) -> list[batches.Entry]:
    """Fetch once and return the records, which may begin before `offset`: whole batches are served."""
    row = try_fetch(wire, name, offset, **how)
    assert row.error_code is ErrorCode.none, row
    return batches.records_of(row.records)


def read_all(wire: Wire, name: str, *, partition: int = 0) -> list[batches.Entry]:
    """Return every record of a partition."""
    end = list_offset(wire, name, LATEST, partition=partition)[0]
    position = list_offset(wire, name, EARLIEST, partition=partition)[0]
    found: list[batches.Entry] = []
    while position < end:
        part = [entry for entry in fetch(wire, name, position, partition=partition) if entry.offset >= position]
        if not part:
            break
        found += part
        position = part[-1].offset + 1
    return found


def list_offset_row(wire: Wire, name: str, timestamp: int, *, partition: int = 0, isolation_level: int = 0) -> Any:
    """Return the partition's row of a ListOffsets answer, whatever its error code."""
    rows = [{"partition_index": partition, "timestamp": timestamp}]
    fields = {"replica_id": -1, "isolation_level": isolation_level, "topics": [{"name": name, "partitions": rows}]}
    return wire.call("list_offsets", LIST_OFFSETS, fields).topics[0].partitions[0]


def list_offset(
    wire: Wire, name: str, timestamp: int, *, partition: int = 0, isolation_level: int = 0
) -> tuple[int, int]:
    """Return (offset, timestamp) of a ListOffsets question."""
    row = list_offset_row(wire, name, timestamp, partition=partition, isolation_level=isolation_level)
    assert row.error_code is ErrorCode.none, row
    return int(row.offset), int(row.timestamp)
