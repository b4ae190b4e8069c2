"""What the consumer needs of the cluster: requests and what is known of topics. The tests put a simulated one here."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol
from uuid import UUID

from odradek.errors import DisconnectedError, KafkaError, NoBrokersAvailableError, TimeoutError  # noqa: A004
from odradek.protocol.api_keys import ApiKey
from odradek.types import TopicPartition

__all__ = ["Clock", "Transport", "passes"]


class Transport(Protocol):
    """A cluster, as seen from one asyncio loop. `link.py` is the real one."""

    async def request(
        self,
        api: ApiKey,
        build: Callable[[Any], Any],
        *,
        node: int,
        channel: int,
        versions: tuple[int, int] | None = None,
        timeout: float | None = None,  # noqa: ASYNC109  the transport's own deadline, not a cancellation
    ) -> Any:
        """Ask one broker; return kio's response whatever error codes are in it; raise ClientErrors of the transport."""
        ...

    async def coordinator(self, group_id: str) -> int:
        """Return the node id of a group's coordinator, asking until there is one."""
        ...

    async def partition_counts(self, topics: Iterable[str] | None) -> Mapping[str, int]:
        """Ask for topics, None = all but internal ones; return the partitions of those that exist."""
        ...

    async def missing(self) -> frozenset[str]:
        """Return those of the topics last asked for by name that don't exist."""
        ...

    async def leaders(self, partitions: Iterable[TopicPartition]) -> Mapping[TopicPartition, int]:
        """Ask for partitions' topics; return the node id of each one's leader, leaving out those that have none."""
        ...

    async def topic_names(self, topic_ids: Iterable[UUID]) -> Mapping[UUID, str]:
        """Ask for topics by id; return the names of those that exist."""
        ...

    def silent(self) -> Sequence[str]:
        """Return "HOST:PORT" of servers that have been asked and have not answered yet."""
        ...

    def known_counts(self) -> Mapping[str, int]:
        """Return the partitions of all topics known at the moment, internal ones left out. Asks nobody."""
        ...

    def version(self) -> int:
        """Return a number that changes whenever what is known does."""
        ...

    def watch(self, topics: Iterable[str], *, all_topics: bool) -> None:
        """Keep what is known of these topics (or of all) fresh, and of no others."""
        ...


class Clock(Protocol):
    """Time, so that tests can turn it by hand."""

    def now(self) -> float:
        """Return seconds that only go forward."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        ...


def passes(error: Exception) -> bool:
    """Return whether what went wrong may be gone the next time: the network, or a broker that is not ready."""
    if isinstance(error, KafkaError):
        return error.retriable
    return isinstance(error, DisconnectedError | TimeoutError | NoBrokersAvailableError)
