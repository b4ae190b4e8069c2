"""The metadata tree in a SQLite file, one blocking call at a time: what a broker starts with before there is an asyncio loop.

`embedded.py` makes a `MetadataStore` of it. The file is in WAL mode with `synchronous=FULL`: a topic that a client was
told exists must exist after a power cut, as Kafka's metadata log is synced too; that costs one fsync a request, however
many topics it names.

Ephemeral nodes are rows like all others, marked; opening the file removes those of the session before. That at most
one broker opens the file for writing is the data directory's lock, which the engine holds.
"""

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from odradek.errors import StorageError
from odradek.metadata import FILE_NAME
from odradek.metadata.store import (
    ANY_VERSION,
    BadVersionError,
    Create,
    Delete,
    Node,
    NodeExistsError,
    NoNodeError,
    NotEmptyError,
    Operation,
    Set,
    parent_of,
)

__all__ = ["SqliteTree"]

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS node (
    parent TEXT NOT NULL, name TEXT NOT NULL, value BLOB NOT NULL, version INTEGER NOT NULL, ephemeral INTEGER NOT NULL,
    PRIMARY KEY (parent, name)
) WITHOUT ROWID
"""


class SqliteTree:
    """An open file. May go from thread to thread, but is used by one at a time.

    Every method but `close` raises StorageError when the file fails; the nodes mean what they mean in `MetadataStore`.
    """

    def __init__(self, directory: str | os.PathLike[str], *, read_only: bool = False) -> None:
        """Open (and make, unless `read_only`) the file in a data directory.

        A read-only tree may be opened beside a running broker or when there is none.

        Raises:
            StorageError: it can't be opened, isn't a database, or (read-only) isn't there.
        """
        path = os.path.join(directory, FILE_NAME)  # noqa: PTH118 - `pathlib` would be loaded for this alone
        try:
            self._connection, self.crashed = _connect_read_only(path) if read_only else _connect(path)
        except sqlite3.Error as error:
            raise StorageError(f"{path}: {error}") from error

    crashed: bool
    """The session before this one ended without `close`."""

    def get(self, path: str) -> Node | None:
        """Return the node, or None if there is none."""
        with _failures_told():
            return _get(self._connection, path)

    def children(self, path: str) -> list[str]:
        """Return the names (not paths) of a node's children, sorted; empty if there is no such node."""
        query = "SELECT name FROM node WHERE parent = ? ORDER BY name"
        with _failures_told():
            return [row[0] for row in self._connection.execute(query, (path,))]

    def subtree(self, path: str) -> list[tuple[str, Node]]:
        """Return (path, node) of everything below `path`, parents before their children."""
        with _failures_told():
            return _subtree(self._connection, path)

    def multi(self, operations: Sequence[Operation]) -> None:
        """Do all of the operations, in order, or none; errors as `MetadataStore.multi`."""
        with _failures_told():
            _apply_all(self._connection, operations)

    def close(self) -> None:
        """Remove the ephemeral nodes and close the file. Idempotent."""
        try:
            self._connection.execute("DELETE FROM node WHERE ephemeral")
        except sqlite3.OperationalError:  # read-only: the nodes are the broker's
            pass
        except sqlite3.ProgrammingError:  # closed before
            return
        finally:
            self._connection.close()


@contextmanager
def _failures_told() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise StorageError(f"metadata store: {error}") from error


def _connect(path: str) -> tuple[sqlite3.Connection, bool]:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode=WAL")
    # What these two write is synced with the first commit after them; a power cut before it takes them along, no harm done.
    connection.execute("PRAGMA synchronous=NORMAL")
    connection.execute(_SCHEMA)
    left_over = connection.execute("DELETE FROM node WHERE ephemeral").rowcount
    connection.execute("PRAGMA synchronous=FULL")
    return connection, left_over > 0


def _connect_read_only(path: str) -> tuple[sqlite3.Connection, bool]:
    from pathlib import Path  # noqa: PLC0415 - a broker does without it

    if not Path(path).exists():
        raise sqlite3.OperationalError("no such file")
    # Beside a live broker the WAL must be read too; with none, SQLite may not make one, so the file is taken as it is.
    live = Path(f"{path}-wal").exists()
    how = "mode=ro" if live else "immutable=1"
    connection = sqlite3.connect(
        f"{Path(path).absolute().as_uri()}?{how}", uri=True, isolation_level=None, check_same_thread=False
    )
    connection.execute("SELECT 1 FROM node LIMIT 1")
    return connection, False


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
