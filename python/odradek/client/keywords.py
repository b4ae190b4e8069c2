"""The options of `Producer`, `Consumer` and `Admin` as types, for editors and type checkers; nothing imports this to run.

Written by `python -m odradek.config.client_keywords` from the tables in `odradek/config/client_*.py`; None = not set.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypedDict

__all__ = ["AdminKeywords", "ConsumerKeywords", "ProducerKeywords"]


class _CommonKeywords(TypedDict, total=False):
    """Options of producer, consumer, admin."""

    client_id: str | None
    connections_max_idle_ms: int | None
    metadata_max_age_ms: int | None
    receive_buffer_bytes: int | None
    reconnect_backoff_max_ms: int | None
    reconnect_backoff_ms: int | None
    request_timeout_ms: int | None
    retry_backoff_max_ms: int | None
    retry_backoff_ms: int | None
    security_protocol: str | None
    send_buffer_bytes: int | None
    socket_connection_setup_timeout_max_ms: int | None
    socket_connection_setup_timeout_ms: int | None


class AdminKeywords(_CommonKeywords, total=False):
    """Options of consumer, admin."""

    default_api_timeout_ms: int | None


class ProducerKeywords(_CommonKeywords, total=False):
    """Options of producer."""

    acks: str | int | None
    batch_size: int | None
    buffer_memory: int | None
    compression_gzip_level: int | None
    compression_lz4_level: int | None
    compression_type: str | None
    compression_zstd_level: int | None
    delivery_timeout_ms: int | None
    enable_idempotence: bool | None
    key_serializer: str | Callable[..., Any] | None
    linger_ms: int | None
    max_block_ms: int | None
    max_in_flight_requests_per_connection: int | None
    max_request_size: int | None
    partitioner: str | Callable[..., Any] | None
    retries: int | None
    value_serializer: str | Callable[..., Any] | None


class ConsumerKeywords(AdminKeywords, total=False):
    """Options of consumer."""

    allow_auto_create_topics: bool | None
    auto_commit_interval_ms: int | None
    auto_offset_reset: str | None
    buffer_max_bytes: int | None
    check_crcs: bool | None
    client_rack: str | None
    enable_auto_commit: bool | None
    exclude_internal_topics: bool | None
    fetch_max_bytes: int | None
    fetch_max_wait_ms: int | None
    fetch_min_bytes: int | None
    group_id: str | None
    group_instance_id: str | None
    group_protocol: str | None
    group_remote_assignor: str | None
    heartbeat_interval_ms: int | None
    isolation_level: str | None
    key_deserializer: str | Callable[..., Any] | None
    max_partition_fetch_bytes: int | None
    max_poll_interval_ms: int | None
    max_poll_records: int | None
    partition_assignment_strategy: str | Sequence[str] | None
    session_timeout_ms: int | None
    value_deserializer: str | Callable[..., Any] | None
