"""The contract of a metadata store: a tree of versioned nodes, as ZooKeeper has it.

Paths are absolute (`/brokers/ids/1`), values are bytes, a node's parent must exist before it. Every write is durable
when its coroutine returns. Implementations: `embedded.py`. What the nodes mean: `tree.py`. All implementations pass
`tests/unit/metadata/test_store_conformance.py`.
"""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Sequence
from enum import Enum
from typing import NamedTuple

from odradek.errors import OdradekError

__all__ = [
    "ANY_VERSION",
    "BadVersionError",
    "Check",
    "Create",
    "Delete",
    "MetadataError",
    "MetadataStore",
    "NoNodeError",
    "Node",
    "NodeExistsError",
    "NotEmptyError",
    "Operation",
    "SessionState",
    "Set",
    "parent_of",
]

ANY_VERSION = -1


class MetadataError(OdradekError):
    """A write that the tree's present state forbids; nothing of it was done."""


class NodeExistsError(MetadataError):
    """The node to create is there."""


class NoNodeError(MetadataError):
    """The node, or the parent of the node to create, isn't there."""


class BadVersionError(MetadataError):
    """Somebody else has changed the node since it was read."""


class NotEmptyError(MetadataError):
    """The node to delete has children."""


class Node(NamedTuple):
    """What a node holds. The version is 0 when it is made and grows by one with each `Set`."""

    value: bytes
    version: int


class SessionState(Enum):
    """How far what was read can be trusted, and whether this broker's ephemeral nodes still stand."""

    CONNECTED = "connected"
    SUSPENDED = "suspended"
    """Connection lost; the session may or may not be alive."""
    LOST = "lost"
    """The session is over; its ephemeral nodes are gone."""


class Create(NamedTuple):
    """Make a node; an ephemeral one goes when the session that made it ends."""

    path: str
    value: bytes = b""
    ephemeral: bool = False


class Set(NamedTuple):
    """Replace a node's value if it has the version given (or any)."""

    path: str
    value: bytes
    version: int = ANY_VERSION


class Delete(NamedTuple):
    """Remove a node without children if it has the version given (or any)."""

    path: str
    version: int = ANY_VERSION


class Check(NamedTuple):
    """Go on only if the node has the version given."""

    path: str
    version: int = ANY_VERSION


Operation = Create | Set | Delete | Check


def parent_of(path: str) -> str:
    """Return the path above; `/` for a top-level node."""
    return path.rpartition("/")[0] or "/"


class MetadataStore(ABC):
    """One session with a store. Used from one asyncio loop."""

    @property
    @abstractmethod
    def session_state(self) -> SessionState:
        """State of the session now."""

    @abstractmethod
    async def get(self, path: str) -> Node | None:
        """Return the node, or None if there is none."""

    @abstractmethod
    async def children(self, path: str) -> list[str]:
        """Return the names (not paths) of a node's children, sorted; empty if there is no such node."""

    @abstractmethod
    async def subtree(self, path: str) -> list[tuple[str, Node]]:
        """Return (path, node) of everything below `path`, parents before their children. One bulk read."""

    @abstractmethod
    async def multi(self, operations: Sequence[Operation]) -> None:
        """Do all of the operations, in order, or none.

        Raises:
            NodeExistsError, NoNodeError, BadVersionError, NotEmptyError: of the first operation that can't be done;
                the message names its path.
        """

    @abstractmethod
    def watch(self) -> AsyncIterator[frozenset[str] | None]:
        """Yield sets of paths that were made, changed or deleted, in order, from the call on.

        Changes are joined while nobody reads. None means that changes may have been missed: read everything again.
        """

    @abstractmethod
    async def close(self) -> None:
        """End the session; its ephemeral nodes go. Idempotent."""

    async def create(self, path: str, value: bytes = b"", *, ephemeral: bool = False) -> None:
        """Make one node; errors as `multi`."""
        await self.multi([Create(path, value, ephemeral)])

    async def set(self, path: str, value: bytes, version: int = ANY_VERSION) -> None:
        """Replace one node's value by compare-and-set; errors as `multi`."""
        await self.multi([Set(path, value, version)])

    async def delete(self, path: str, version: int = ANY_VERSION) -> None:
        """Remove one node; errors as `multi`."""
        await self.multi([Delete(path, version)])
