"""`odradek.Admin`: the admin calls for programs that block. A twin of `aio.py`, which does the work on a thread of its own.

`tests/unit/client/test_admin_twins.py` holds the two in step; the full text of each call is that of the twin's.
"""

import threading
import uuid
import warnings
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar

from odradek.client.admin import aio
from odradek.client.admin.values import (
    ConfigChange,
    ConfigEntry,
    ConfigResource,
    CreatedTopic,
    GroupDescription,
    GroupListing,
    LogDir,
    MemberToRemove,
    NewPartitions,
    NewTopic,
    OffsetSpec,
    Reassignment,
    ResourceKind,
)
from odradek.client.loop_thread import LoopThread
from odradek.client.metadata import ClusterInfo, TopicInfo
from odradek.errors import ClosedError
from odradek.types import OffsetAndMetadata, OffsetAndTimestamp, TopicPartition

if TYPE_CHECKING:
    from typing import Unpack

    from odradek.client.keywords import AdminKeywords

__all__ = ["Admin"]

T = TypeVar("T")


class Admin:
    """Looks after topics, settings, groups and offsets of a cluster. Thread-safe.

    One rule for errors: a call about several things does all it can; if any of them failed, it raises the `KafkaError`
    of the first, whose `errors` and `results` are dicts of what failed and what did not, by item.

    A call is retried while brokers are away or the cluster is changing, until its `timeout` in seconds (by default
    `default_api_timeout_ms`) is over. Ctrl-C ends it at once; what was sent may still be carried out.

    `with odradek.Admin("localhost:9092") as admin: admin.create_topics(odradek.NewTopic("orders", partitions=3))`
    """

    def __init__(self, bootstrap_servers: str | Sequence[str], **options: "Unpack[AdminKeywords]") -> None:
        """Check the options; nothing is connected before the first call.

        Args:
            bootstrap_servers: "HOST:PORT,HOST:PORT" or a sequence of "HOST:PORT".
            options: see docs/client-options.md.

        Raises:
            ConfigError: an unknown option or a bad value.
        """
        self._begin(aio.Admin(bootstrap_servers, **options))

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Make one from Kafka's dotted names, `bootstrap.servers` among them."""
        admin = cls.__new__(cls)
        admin._begin(aio.Admin.from_config(config))  # noqa: SLF001  its own
        return admin

    def _begin(self, twin: aio.Admin) -> None:
        self._twin = twin
        self._lock = threading.Lock()
        self._thread: LoopThread | None = None
        self._closed = False

    def __repr__(self) -> str:
        return self._twin._options.shown("odradek.Admin", closed=self._closed)  # noqa: SLF001  its own

    def close(self) -> None:
        """Close all connections; calls under way in other threads fail with ClosedError. Again is no error."""
        with self._lock:
            self._closed = True
            thread, self._thread = self._thread, None
        if thread is not None and not thread.forked:
            thread.run(self._twin.close)
            thread.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        thread = getattr(self, "_thread", None)
        if thread is not None:
            self._twin._closed = True  # noqa: SLF001  one warning is enough
            if thread.forked:
                return  # the parent's to close
            thread.abandon()
            warnings.warn(
                f"{self!r} was not closed; use `with`, or close it", ResourceWarning, source=self, stacklevel=2
            )

    def _run(self, call: Callable[[aio.Admin], Coroutine[Any, Any, T]]) -> T:
        with self._lock:
            if self._closed:
                raise ClosedError("the admin client is closed")
            if self._thread is None:
                self._thread = LoopThread("odradek-admin")
            thread = self._thread
        thread.check_fork()
        return thread.run(lambda: call(self._twin))

    def create_topics(
        self,
        topics: NewTopic | str | Iterable[NewTopic | str],
        *,
        validate_only: bool = False,
        timeout: float | None = None,
    ) -> dict[str, CreatedTopic]:
        """Make topics."""
        return self._run(lambda admin: admin.create_topics(topics, validate_only=validate_only, timeout=timeout))

    def delete_topics(
        self, topics: str | uuid.UUID | Iterable[str | uuid.UUID], *, timeout: float | None = None
    ) -> dict[str | uuid.UUID, None]:
        """Delete topics with all their records."""
        return self._run(lambda admin: admin.delete_topics(topics, timeout=timeout))

    def list_topics(self, *, include_internal: bool = False, timeout: float | None = None) -> dict[str, TopicInfo]:
        """Return all topics by name, with their partitions; the cluster's own only if asked for."""
        return self._run(lambda admin: admin.list_topics(include_internal=include_internal, timeout=timeout))

    def describe_topics(
        self, topics: str | uuid.UUID | Iterable[str | uuid.UUID], *, timeout: float | None = None
    ) -> dict[str | uuid.UUID, TopicInfo]:
        """Return topics with their partitions, leaders and replicas."""
        return self._run(lambda admin: admin.describe_topics(topics, timeout=timeout))

    def create_partitions(
        self, totals: Mapping[str, int | NewPartitions], *, validate_only: bool = False, timeout: float | None = None
    ) -> dict[str, None]:
        """Give topics more partitions."""
        return self._run(lambda admin: admin.create_partitions(totals, validate_only=validate_only, timeout=timeout))

    def delete_records(
        self, before: Mapping[TopicPartition, int], *, timeout: float | None = None
    ) -> dict[TopicPartition, int]:
        """Delete the records below an offset."""
        return self._run(lambda admin: admin.delete_records(before, timeout=timeout))

    def describe_configs(
        self,
        resources: ConfigResource | Iterable[ConfigResource],
        *,
        names: Iterable[str] | None = None,
        include_synonyms: bool = False,
        include_documentation: bool = False,
        timeout: float | None = None,
    ) -> dict[ConfigResource, dict[str, ConfigEntry]]:
        """Return the settings of topics, brokers and the like."""
        return self._run(
            lambda admin: admin.describe_configs(
                resources,
                names=names,
                include_synonyms=include_synonyms,
                include_documentation=include_documentation,
                timeout=timeout,
            )
        )

    def alter_configs(
        self,
        changes: Mapping[ConfigResource, Mapping[str, ConfigChange]],
        *,
        validate_only: bool = False,
        timeout: float | None = None,
    ) -> dict[ConfigResource, None]:
        """Change some settings; those that are not named stay as they are (KIP-339)."""
        return self._run(lambda admin: admin.alter_configs(changes, validate_only=validate_only, timeout=timeout))

    def list_config_resources(
        self, kinds: Iterable[ResourceKind] = (), *, timeout: float | None = None
    ) -> list[ConfigResource]:
        """Return what has settings, sorted; of the kinds given, or of all that the broker lists (KIP-1142)."""
        return self._run(lambda admin: admin.list_config_resources(kinds, timeout=timeout))

    def list_groups(
        self, *, states: Iterable[str] = (), types: Iterable[str] = (), timeout: float | None = None
    ) -> list[GroupListing]:
        """Return the groups of all brokers, sorted by id."""
        return self._run(lambda admin: admin.list_groups(states=states, types=types, timeout=timeout))

    def describe_groups(
        self, groups: str | Iterable[str], *, timeout: float | None = None
    ) -> dict[str, GroupDescription]:
        """Return groups with their members and what those are assigned."""
        return self._run(lambda admin: admin.describe_groups(groups, timeout=timeout))

    def delete_groups(self, groups: str | Iterable[str], *, timeout: float | None = None) -> dict[str, None]:
        """Delete groups with their committed offsets. They must have no members."""
        return self._run(lambda admin: admin.delete_groups(groups, timeout=timeout))

    def remove_group_members(
        self,
        group: str,
        members: Iterable[MemberToRemove] | None = None,
        *,
        reason: str | None = None,
        timeout: float | None = None,
    ) -> dict[MemberToRemove, None]:
        """Remove members from a group; the others rebalance."""
        return self._run(lambda admin: admin.remove_group_members(group, members, reason=reason, timeout=timeout))

    def list_offsets(
        self, specs: Mapping[TopicPartition, OffsetSpec], *, read_committed: bool = False, timeout: float | None = None
    ) -> dict[TopicPartition, OffsetAndTimestamp | None]:
        """Return offsets of partitions."""
        return self._run(lambda admin: admin.list_offsets(specs, read_committed=read_committed, timeout=timeout))

    def list_group_offsets(
        self,
        group: str,
        partitions: Iterable[TopicPartition] | None = None,
        *,
        require_stable: bool = False,
        timeout: float | None = None,
    ) -> dict[TopicPartition, OffsetAndMetadata]:
        """Return the offsets that a group has committed; partitions without one are left out."""
        return self._run(
            lambda admin: admin.list_group_offsets(group, partitions, require_stable=require_stable, timeout=timeout)
        )

    def alter_group_offsets(
        self, group: str, offsets: Mapping[TopicPartition, OffsetAndMetadata | int], *, timeout: float | None = None
    ) -> dict[TopicPartition, None]:
        """Commit offsets for a group that has no members; makes the group if there is none."""
        return self._run(lambda admin: admin.alter_group_offsets(group, offsets, timeout=timeout))

    def delete_group_offsets(
        self, group: str, partitions: Iterable[TopicPartition], *, timeout: float | None = None
    ) -> dict[TopicPartition, None]:
        """Delete what a group has committed for partitions; no member may be subscribed to their topics."""
        return self._run(lambda admin: admin.delete_group_offsets(group, partitions, timeout=timeout))

    def describe_cluster(self, *, timeout: float | None = None) -> ClusterInfo:
        """Return cluster id, controller and brokers (no topics)."""
        return self._run(lambda admin: admin.describe_cluster(timeout=timeout))

    def api_versions(self, node: int | None = None, *, timeout: float | None = None) -> dict[str, tuple[int, int]]:
        """Return the lowest and highest version of each API that a broker serves, by Kafka's name in capitals."""
        return self._run(lambda admin: admin.api_versions(node, timeout=timeout))

    def describe_log_dirs(
        self,
        brokers: Iterable[int] | None = None,
        *,
        partitions: Iterable[TopicPartition] | None = None,
        timeout: float | None = None,
    ) -> dict[int, dict[str, LogDir]]:
        """Return the log directories of brokers and how large the replicas in them are."""
        return self._run(lambda admin: admin.describe_log_dirs(brokers, partitions=partitions, timeout=timeout))

    def elect_leaders(
        self,
        partitions: Iterable[TopicPartition] | None = None,
        *,
        election: Literal["preferred", "unclean"] = "preferred",
        timeout: float | None = None,
    ) -> dict[TopicPartition, None]:
        """Have leaders elected (KIP-460)."""
        return self._run(lambda admin: admin.elect_leaders(partitions, election=election, timeout=timeout))

    def alter_partition_reassignments(
        self, replicas: Mapping[TopicPartition, Sequence[int] | None], *, timeout: float | None = None
    ) -> dict[TopicPartition, None]:
        """Begin to move partitions to other brokers (KIP-455)."""
        return self._run(lambda admin: admin.alter_partition_reassignments(replicas, timeout=timeout))

    def list_partition_reassignments(
        self, partitions: Iterable[TopicPartition] | None = None, *, timeout: float | None = None
    ) -> dict[TopicPartition, Reassignment]:
        """Return the partitions that are being moved to other brokers: of those given, or all."""
        return self._run(lambda admin: admin.list_partition_reassignments(partitions, timeout=timeout))


def _take_docs() -> None:
    """Give each call the twin's whole text: `help(admin.create_topics)` tells everything."""
    for name, method in vars(Admin).items():
        twin = getattr(aio.Admin, name, None)
        if not name.startswith("_") and callable(method) and twin is not None and twin.__doc__:
            method.__doc__ = twin.__doc__


_take_docs()
