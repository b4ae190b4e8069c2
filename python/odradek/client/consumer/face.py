"""What both consumers offer alike, because it asks nobody: looking at and moving positions, pausing, lag, metrics."""

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Self

from odradek.client.arguments import check_offset, function, partition_of
from odradek.client.consumer.arguments import Committable, Named, named, to_commit
from odradek.client.consumer.core import TO_EARLIEST, TO_LATEST, CommitCallback, Core
from odradek.config.client import ClientOptions, resolve, resolve_config
from odradek.errors import UsageError
from odradek.types import OffsetAndMetadata, TopicPartition

if TYPE_CHECKING:
    from typing import Unpack

    from odradek.client.keywords import ConsumerKeywords

__all__ = ["Consumer", "GroupMetadata"]


class GroupMetadata(NamedTuple):
    """Who a consumer is in its group; a transactional producer hands it on with offsets."""

    group_id: str
    generation: int
    """-1 while it is not a member."""
    member_id: str
    instance_id: str | None


class Consumer(ABC):
    """Everything of a consumer that needs no broker. Nothing here waits. Users see its name in errors: it is that of both."""

    _core: Core
    _closed: bool
    _for_asyncio: ClassVar[bool]

    def __init__(self, bootstrap_servers: str | Sequence[str], **options: "Unpack[ConsumerKeywords]") -> None:
        self._begin(resolve("consumer", bootstrap_servers, options))

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Make a consumer from Kafka's dotted names: `{"bootstrap.servers": "localhost:9092", "group.id": "billing"}`.

        Raises:
            ConfigError: as the constructor. Nothing is ignored in silence.
        """
        consumer = cls.__new__(cls)
        cls._begin(consumer, resolve_config("consumer", config))
        return consumer

    def __repr__(self) -> str:
        name = f"odradek.{'aio.' if self._for_asyncio else ''}Consumer"
        return self._core.options.shown(name, closed=self._closed)

    @abstractmethod
    def _begin(self, options: ClientOptions) -> None:
        """Start the fetcher and everything around it."""

    @abstractmethod
    def _mine(self) -> AbstractContextManager[None]:
        """Be in a call. Raises ClosedError, ForkedError, and UsageError while another thread is in one."""

    @abstractmethod
    def _check_fork(self) -> None:
        """Raise ForkedError in a child of the process that made this consumer: a lock may be held there for ever."""

    def assignment(self) -> set[TopicPartition]:
        """Return the partitions that are this consumer's at the moment."""
        with self._mine():
            return set(self._core.holdings.held())

    def subscription(self) -> set[str] | re.Pattern[str] | None:
        """Return the topics or the pattern subscribed to, None without a subscription."""
        with self._mine():
            wanted = self._core.holdings.wanted
        return None if wanted is None else wanted.pattern or set(wanted.names)

    def seek(self, partition: TopicPartition, offset: int | OffsetAndMetadata) -> None:
        """Read on from this offset at the next poll.

        Raises:
            UsageError: the partition is not assigned. ConfigError: no offset, or a negative one.
        """
        one = partition_of(partition)
        at = check_offset("seek", offset, f"for {partition!r}; seek_to_beginning and seek_to_end know the ends")
        with self._mine():
            self._core.seek(one, at.offset, at.leader_epoch)

    def seek_to_beginning(self, partitions: Named = None) -> None:
        """Read on from the first record of these partitions, None = all assigned."""
        self._seek_all(partitions, TO_EARLIEST)

    def seek_to_end(self, partitions: Named = None) -> None:
        """Read on after the last record of these partitions, None = all assigned."""
        self._seek_all(partitions, TO_LATEST)

    def _assigned(self, what: str, partitions: Named) -> list[TopicPartition]:
        held = self._core.holdings.held()
        wanted = named(partitions, held)
        for topic, partition in wanted:
            if (topic, partition) not in held:
                raise UsageError(f"{what}: {topic}-{partition} is not assigned to this consumer")
        return wanted

    def _seek_all(self, partitions: Named, where: int) -> None:
        with self._mine():
            for one in named(partitions, self._core.holdings.held()):
                self._core.seek(one, where)

    def pause(self, partitions: Named = None) -> None:
        """Return no records of these partitions (None = all assigned) until `resume`; membership goes on.

        Raises:
            UsageError: a partition is not assigned.
        """
        with self._mine():
            which = self._assigned("pause", partitions)
            self._core.fetcher.pause(which)
            self._core.unread.put_back(which)

    def resume(self, partitions: Named = None) -> None:
        """Return records of these partitions again, None = of all assigned.

        Raises:
            UsageError: a partition is not assigned.
        """
        with self._mine():
            self._core.fetcher.resume(self._assigned("resume", partitions))

    def paused(self) -> set[TopicPartition]:
        """Return the partitions that are paused."""
        with self._mine():
            return {TopicPartition(*one) for one in self._core.fetcher.paused()}

    def lag(self) -> dict[TopicPartition, int]:
        """Return how many records each partition's end is ahead of the position, of the partitions where it is known.

        The end is the last stable offset with `isolation_level="read_committed"`, else the high watermark.
        """
        with self._mine():
            return {TopicPartition(*one): count for one, count in self._core.fetcher.lag().items()}

    def metrics(self) -> dict[str, float]:
        """Return figures by name: those of the fetcher, `records_lag_max` among them, and of group and commits.

        Callable from any thread.
        """
        self._check_fork()
        core = self._core
        membership = core.membership
        return {
            **core.fetcher.metrics(),
            "assigned_partitions": float(len(core.holdings.held())),
            "commits_total": float(core.commits),
            "commit_failures_total": float(core.failed_commits),
            "rebalances_total": 0.0 if membership is None else float(membership.rebalances),
        }

    def group_metadata(self) -> GroupMetadata:
        """Return who this consumer is in its group.

        Raises:
            ConfigError: it has no `group_id`.
        """
        self._core.need_group("group_metadata")
        with self._mine():
            who = self._core.identity()
        instance_id = self._core.options.text("group.instance.id")
        return GroupMetadata(self._core.group_id or "", who.generation, who.member_id, instance_id)

    def commit_async(self, offsets: Committable | None = None, callback: CommitCallback | None = None) -> None:
        """Commit without waiting, once: a later commit is likely to follow, so a failed one is not repeated.

        Commits reach the group in the order of the calls. Args:
            offsets: as for `commit`.
            callback: called as `callback(offsets, error)` in a later `poll` or `close`, error None when it worked.

        Raises:
            ConfigError: no `group_id`, or something that is no offset.
        """
        self._core.need_group("commit_async")
        function("commit_async: callback", callback)
        with self._mine():
            what = self._core.consumed() if offsets is None else to_commit(offsets)
            self._core.commit_in_background(what, callback)
