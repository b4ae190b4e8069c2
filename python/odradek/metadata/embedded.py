"""The metadata store of a single broker: a SQLite file in its data directory, no other process.

The file itself is in `sqlite_tree.py`; here it runs on one thread of its own ("odradek-metadata"), so that a sync to
disk never stops the broker's loop.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, TypeVar

from odradek.errors import StorageError
from odradek.metadata.sqlite_tree import SqliteTree
from odradek.metadata.store import Check, MetadataStore, Node, Operation, SessionState

__all__ = ["EmbeddedStore"]

_MOST_PENDING: Final = 10_000
"""Changed paths kept for a watcher that doesn't read; beyond it is told to read everything again."""

T = TypeVar("T")


class EmbeddedStore(MetadataStore):
    """A session with the SQLite file. Make one with `open`, or of a tree that is open."""

    def __init__(self, tree: SqliteTree) -> None:
        """Take over a tree: from now on nobody else may use it, but to close it after `close`."""
        self._tree = tree
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="odradek-metadata")
        self._watchers: list[_Watcher] = []
        self._state = SessionState.CONNECTED

    @classmethod
    async def open(cls, directory: Path, *, read_only: bool = False) -> "EmbeddedStore":
        """Open (and make, unless `read_only`) the store in a data directory.

        A read-only store may be opened beside a running broker or when there is none.

        Raises:
            StorageError: it can't be opened, isn't a database, or (read-only) isn't there.
        """
        return cls(await asyncio.to_thread(SqliteTree, directory, read_only=read_only))

    @property
    def session_state(self) -> SessionState:  # noqa: D102 - the contract is documented in MetadataStore
        return self._state

    async def get(self, path: str) -> Node | None:  # noqa: D102
        return await self._run(lambda: self._tree.get(path))

    async def children(self, path: str) -> list[str]:  # noqa: D102
        return await self._run(lambda: self._tree.children(path))

    async def subtree(self, path: str) -> list[tuple[str, Node]]:  # noqa: D102
        return await self._run(lambda: self._tree.subtree(path))

    async def multi(self, operations: Sequence[Operation]) -> None:  # noqa: D102
        await self._run(lambda: self._tree.multi(operations))
        changed = frozenset(operation.path for operation in operations if not isinstance(operation, Check))
        for watcher in self._watchers:
            watcher.add(changed)

    def watch(self) -> AsyncIterator[frozenset[str] | None]:  # noqa: D102
        watcher = _Watcher()
        self._watchers.append(watcher)
        return self._changes(watcher)

    async def _changes(self, watcher: "_Watcher") -> AsyncIterator[frozenset[str] | None]:
        try:
            while self._state is not SessionState.LOST:
                yield await watcher.take()
        finally:
            self._watchers.remove(watcher)

    async def close(self) -> None:  # noqa: D102
        if self._state is SessionState.LOST:
            return
        self._state = SessionState.LOST
        # No executor is asked: at the interpreter's end none takes work any more, and a broker is closed then, too.
        self._executor.shutdown()
        self._tree.close()
        for watcher in self._watchers:
            watcher.resync()

    async def _run(self, work: Callable[[], T]) -> T:
        if self._state is SessionState.LOST:
            raise StorageError("the metadata store is closed")
        return await asyncio.get_running_loop().run_in_executor(self._executor, work)


class _Watcher:
    """Changes on their way to one reader of `watch`."""

    def __init__(self) -> None:
        self._pending: set[str] | None = set()
        self._wake = asyncio.Event()

    def add(self, changed: frozenset[str]) -> None:
        if self._pending is not None:
            self._pending |= changed
            if len(self._pending) > _MOST_PENDING:
                self._pending = None
        self._wake.set()

    def resync(self) -> None:
        self._pending = None
        self._wake.set()

    async def take(self) -> frozenset[str] | None:
        await self._wake.wait()
        self._wake.clear()
        pending, self._pending = self._pending, set()
        return None if pending is None else frozenset(pending)
