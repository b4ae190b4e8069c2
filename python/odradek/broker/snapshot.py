"""Snapshots of a stopped broker's data directory: taken and put back as plain files.

Nothing here stops or starts a broker (`embedded.py` does), and a snapshot is no backup: it lives in the temporary
directory and goes with the broker it was taken of. Segments that a log no longer appends to never change, so they are
linked instead of copied where the file system allows it; everything else is copied, without copying blocks where the
file system can share them.
"""

import fcntl
import os
import shutil
import tempfile
from pathlib import Path
from typing import Final

from odradek.errors import OdradekError
from odradek.metadata import tree
from odradek.metadata.embedded import EmbeddedStore
from odradek.metadata.store import Create, Operation, Set

__all__ = ["Snapshot", "put_back", "take"]

_LOCK_FILE: Final = ".lock"
"""Held by the engine for the directory itself; no part of what is kept."""
_FICLONE: Final = 0x40049409
"""ioctl(2): share a file's blocks with another file."""


class Snapshot:
    """What `Broker.snapshot` has kept. Opaque; give it to `restore` of the same broker, any number of times."""

    def __init__(self, owner: object, path: Path) -> None:
        self._owner = owner
        self._path: Path | None = path

    def path_for(self, owner: object) -> Path:
        """Return where the files are.

        Raises:
            OdradekError: it was taken of another broker, or discarded.
        """
        if self._owner is not owner:
            raise OdradekError("the snapshot was taken of another broker; restore it there")
        if self._path is None:
            raise OdradekError("the snapshot was discarded, or its broker was closed meanwhile")
        return self._path

    def discard(self) -> None:
        """Remove the files. Again is no error; closing the broker does it, too."""
        path, self._path = self._path, None
        if path is not None:
            shutil.rmtree(path, ignore_errors=True)


def take(data_dir: Path) -> Path:
    """Keep the files of a data directory that nobody writes to; return where."""
    kept = Path(tempfile.mkdtemp(prefix="odradek-snapshot-"))
    try:
        _copy_tree(data_dir, kept)
    except BaseException:
        shutil.rmtree(kept, ignore_errors=True)
        raise
    return kept


async def put_back(kept: Path, data_dir: Path) -> None:
    """Make a data directory that nobody writes to what it was; only producer ids are never given out twice.

    A producer that outlives the restore would otherwise share its id with a new one, and records of one of them would
    be taken for repetitions of the other's.
    """
    block = await _producer_ids(data_dir)
    _replace_files(kept, data_dir)
    if block is not None and block != await _producer_ids(data_dir):
        await _set_producer_ids(data_dir, block)


def _replace_files(kept: Path, data_dir: Path) -> None:
    for entry in list(data_dir.iterdir()):
        if entry.name == _LOCK_FILE:
            continue
        if entry.is_dir():
            shutil.rmtree(entry)
        else:
            entry.unlink()
    _copy_tree(kept, data_dir)


async def _producer_ids(data_dir: Path) -> bytes | None:
    store = await EmbeddedStore.open(data_dir, read_only=True)
    try:
        node = await store.get(tree.PRODUCER_ID_BLOCK)
    finally:
        await store.close()
    return None if node is None else node.value


async def _set_producer_ids(data_dir: Path, block: bytes) -> None:
    store = await EmbeddedStore.open(data_dir)
    try:
        path = tree.PRODUCER_ID_BLOCK
        operation: Operation = Create(path, block) if await store.get(path) is None else Set(path, block)
        await store.multi([operation])
    finally:
        await store.close()


def _copy_tree(source: Path, target: Path) -> None:
    shares = True
    for folder, _, names in os.walk(source):
        into = target / Path(folder).relative_to(source)
        into.mkdir(exist_ok=True)
        # Of a partition's segments only the last one is still appended to.
        finished = set(sorted(name for name in names if name.endswith(".log"))[:-1])
        for name in names:
            if name == _LOCK_FILE:
                continue
            old, new = os.path.join(folder, name), os.path.join(into, name)  # noqa: PTH118 - hundreds of files, quickly
            if name in finished and _link(old, new):
                continue
            shares = shares and _share(old, new)
            if not shares:
                shutil.copyfile(old, new)


def _link(old: str, new: str) -> bool:
    try:
        os.link(old, new)
    except OSError:  # another file system, or one without links
        return False
    return True


def _share(old: str, new: str) -> bool:
    """Make `new` a file of its own on `old`'s blocks; False where the file system can't."""
    with open(old, "rb") as source, open(new, "wb") as target:  # noqa: PTH123 - as above
        try:
            fcntl.ioctl(target.fileno(), _FICLONE, source.fileno())
        except OSError:
            return False
    return True
