"""The metadata store of a single broker: a SQLite file in its data directory, no other process.

SQLite runs on one thread of its own ("odradek-metadata"), so that a sync to disk never stops the broker's loop. The
file is in WAL mode with `synchronous=FULL`: a topic that a client was told exists must exist after a power cut, as
Kafka's metadata log is synced too; that costs one fsync a request, however many topics it names.

Ephemeral nodes are rows like all others, marked; opening the file removes those of the session before. That at most
one broker opens the file for writing is the data directory's lock, which the engine holds.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, TypeVar

from odradek.errors import StorageError
from odradek.metadata.store import (
    ANY_VERSION,
    BadVersionError,
    Check,
    Create,
    Delete,
    MetadataStore,
    Node,
    NodeExistsError,
    NoNodeError,
    NotEmptyError,
    Operation,
    SessionState,
    Set,
    parent_of,
)

__all__ = ["FILE_NAME", "EmbeddedStore"]

FILE_NAME: Final = "metadata.db"

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS node (
    parent TEXT NOT NULL, name TEXT NOT NULL, value BLOB NOT NULL, version INTEGER NOT NULL, ephemeral INTEGER NOT NULL,
    PRIMARY KEY (parent, name)
) WITHOUT ROWID
"""
_MOST_PENDING: Final = 10_000
"""Changed paths kept for a watcher that doesn't read; beyond it is told to read everything again."""

T = TypeVar("T")


class EmbeddedStore(MetadataStore):
    """A session with the SQLite file. Make one with `open`."""

    def __init__(self, connection: sqlite3.Connection, executor: ThreadPoolExecutor, *, crashed: bool) -> None:
        self._connection = connection
        self._executor = executor
        self._watchers: list[_Watcher] = []
        self._state = SessionState.CONNECTED
        self.crashed: Final = crashed
        """The session before this one ended without `close`."""

    @classmethod
    async def open(cls, directory: Path, *, read_only: bool = False) -> "EmbeddedStore":
        """Open (and make, unless `read_only`) the store in a data directory.

        A read-only store may be opened beside a running broker or when there is none.

        Raises:
            StorageError: it can't be opened, isn't a database, or (read-only) isn't there.
        """
        executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="odradek-metadata")
        try:
            connection, crashed = await asyncio.get_running_loop().run_in_executor(
                executor, _connect_read_only if read_only else _connect, directory / FILE_NAME
            )
        except sqlite3.Error as error:
            executor.shutdown()
            raise StorageError(f"{directory / FILE_NAME}: {error}") from error
        return cls(connection, executor, crashed=crashed)

    @property
    def session_state(self) -> SessionState:  # noqa: D102 - the contract is documented in MetadataStore
        return self._state

    async def get(self, path: str) -> Node | None:  # noqa: D102
        return await self._run(lambda: _get(self._connection, path))

    async def children(self, path: str) -> list[str]:  # noqa: D102
        query = "SELECT name FROM node WHERE parent = ? ORDER BY name"
        return await self._run(lambda: [row[0] for row in self._connection.execute(query, (path,))])

    async def subtree(self, path: str) -> list[tuple[str, Node]]:  # noqa: D102
        return await self._run(lambda: _subtree(self._connection, path))

    async def multi(self, operations: Sequence[Operation]) -> None:  # noqa: D102
        await self._run(lambda: _apply_all(self._connection, operations))
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
        await asyncio.get_running_loop().run_in_executor(self._executor, _close, self._connection)
        self._executor.shutdown()
        for watcher in self._watchers:
            watcher.resync()

    async def _run(self, work: Callable[[], T]) -> T:
        if self._state is SessionState.LOST:
            raise StorageError("the metadata store is closed")
        try:
            return await asyncio.get_running_loop().run_in_executor(self._executor, work)
        except sqlite3.Error as error:
            raise StorageError(f"metadata store: {error}") from error


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


def _connect(path: Path) -> tuple[sqlite3.Connection, bool]:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute(_SCHEMA)
    left_over = connection.execute("DELETE FROM node WHERE ephemeral").rowcount
    return connection, left_over > 0


def _connect_read_only(path: Path) -> tuple[sqlite3.Connection, bool]:
    if not path.exists():
        raise sqlite3.OperationalError("no such file")
    # Beside a live broker the WAL must be read too; with none, SQLite may not make one, so the file is taken as it is.
    live = path.with_name(path.name + "-wal").exists()
    how = "mode=ro" if live else "immutable=1"
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?{how}", uri=True, isolation_level=None, check_same_thread=False
    )
    connection.execute("SELECT 1 FROM node LIMIT 1")
    return connection, False


def _close(connection: sqlite3.Connection) -> None:
    try:
        connection.execute("DELETE FROM node WHERE ephemeral")
    except sqlite3.OperationalError:  # read-only: the nodes are the broker's
        pass
    finally:
        connection.close()


def _split(path: str) -> tuple[str, str]:
    return parent_of(path), path.rpartition("/")[2]


def _get(connection: sqlite3.Connection, path: str) -> Node | None:
    query = "SELECT value, version FROM node WHERE parent = ? AND name = ?"
    row = connection.execute(query, _split(path)).fetchone()
    return None if row is None else Node(*row)


def _subtree(connection: sqlite3.Connection, path: str) -> list[tuple[str, Node]]:
    top = path.rstrip("/")
    # "0" is the character after "/": all parents that begin with the path and a slash.
    query = "SELECT parent, name, value, version FROM node WHERE parent = ? OR (parent >= ? AND parent < ?) ORDER BY parent, name"
    rows = connection.execute(query, (path, f"{top}/", f"{top}0"))
    return [(f"{parent.rstrip('/')}/{name}", Node(value, version)) for parent, name, value, version in rows]


def _apply_all(connection: sqlite3.Connection, operations: Sequence[Operation]) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        for operation in operations:
            _apply(connection, operation)
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _apply(connection: sqlite3.Connection, operation: Operation) -> None:
    path = operation.path
    parent, name = _split(path)
    if isinstance(operation, Create):
        if parent != "/" and _get(connection, parent) is None:
            raise NoNodeError(f"{parent}: no such node")
        try:
            connection.execute(
                "INSERT INTO node VALUES (?, ?, ?, 0, ?)", (parent, name, operation.value, int(operation.ephemeral))
            )
        except sqlite3.IntegrityError:
            raise NodeExistsError(f"{path}: exists") from None
        return
    node = _get(connection, path)
    if node is None:
        raise NoNodeError(f"{path}: no such node")
    if operation.version not in {ANY_VERSION, node.version}:
        raise BadVersionError(f"{path}: version is {node.version}, expected {operation.version}")
    if isinstance(operation, Set):
        connection.execute(
            "UPDATE node SET value = ?, version = version + 1 WHERE parent = ? AND name = ?",
            (operation.value, parent, name),
        )
    elif isinstance(operation, Delete):
        if connection.execute("SELECT 1 FROM node WHERE parent = ? LIMIT 1", (path,)).fetchone():
            raise NotEmptyError(f"{path}: has children")
        connection.execute("DELETE FROM node WHERE parent = ? AND name = ?", (parent, name))
