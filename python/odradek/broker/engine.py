"""The engine as handlers and coordinators see it: a Protocol that `odradek._native.Engine` fulfils.

Only `server.py` imports the native module; everything else is written against this, and unit tests bring their own.
The meaning of each call is documented in `_native.pyi`.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

__all__ = ["Engine", "FaultTable", "PublishedPartition", "PublishedTopic"]

PublishedPartition = tuple[int, int, int, Sequence[int], Sequence[int], Sequence[int]]
"""(index, leader, leader epoch, replicas, isr, offline replicas)."""
PublishedTopic = tuple[str, bytes, bool, Sequence[PublishedPartition]]
"""(name, 16-byte id, internal, partitions)."""


class FaultTable(Protocol):
    """What tests ask the engine to do wrong. Thread-safe."""

    def add(self, api_key: int, effect: str, value: int, times: int | None) -> int: ...  # noqa: D102
    def remove(self, rule: int) -> None: ...  # noqa: D102
    def clear(self) -> None: ...  # noqa: D102
    def set_paused(self, paused: bool) -> None: ...  # noqa: D102, FBT001
    def hits(self, rule: int) -> int | None: ...  # noqa: D102
    def wait_for_hits(self, rule: int, hits: int, timeout_ms: int) -> bool: ...  # noqa: D102


class Engine(Protocol):
    """The broker's Rust side. Thread-safe."""

    @property
    def cluster_id(self) -> str: ...  # noqa: D102
    def partitions_on_disk(self) -> list[tuple[str, int, bytes | None]]: ...  # noqa: D102
    def host_partitions(  # noqa: D102
        self,
        topic: str,
        topic_id: bytes,
        config: Mapping[str, str],
        partitions: Sequence[tuple[int, int, int]],
    ) -> None: ...
    def configure_topic(self, topic: str, config: Mapping[str, str]) -> None: ...  # noqa: D102
    def delete_partitions(self, topic: str, partitions: Sequence[int]) -> None: ...  # noqa: D102
    def publish_brokers(  # noqa: D102
        self,
        brokers: Sequence[tuple[int, str, int, str | None]],
        controller_id: int,
    ) -> None: ...
    def publish_topics(self, topics: Sequence[PublishedTopic]) -> None: ...  # noqa: D102
    def withdraw_topics(self, names: Sequence[str]) -> None: ...  # noqa: D102
    def reroute(self, token: int) -> None: ...  # noqa: D102
    def append(self, topic: str, partition: int, batches: bytes) -> tuple[int, int]: ...  # noqa: D102
    def read(self, topic: str, partition: int, offset: int, max_bytes: int) -> bytes: ...  # noqa: D102
    def offsets(self, topic: str, partition: int) -> tuple[int, int, int]: ...  # noqa: D102
    def log_sizes(self) -> list[tuple[str, int, int]]: ...  # noqa: D102
