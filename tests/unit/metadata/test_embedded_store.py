"""What is particular to the SQLite store: crashes, reading beside a broker, errors of the file."""

import sqlite3

import pytest

from odradek.errors import StorageError
from odradek.metadata import FILE_NAME
from odradek.metadata.embedded import EmbeddedStore
from odradek.metadata.store import Create


def crash_image(tmp_path, name):
    """Copy the files as a kill -9 would leave them."""
    image = tmp_path / name
    image.mkdir()
    for file in tmp_path.glob(f"{FILE_NAME}*"):
        (image / file.name).write_bytes(file.read_bytes())
    return image


async def test_acknowledged_writes_survive_a_crash_and_ephemeral_nodes_do_not(tmp_path):
    store = await EmbeddedStore.open(tmp_path)
    await store.multi([Create("/kept", b"1"), Create("/gone", ephemeral=True)])
    image = crash_image(tmp_path, "image")
    await store.close()
    again = await EmbeddedStore.open(image)
    assert (await again.get("/kept")).value == b"1"
    assert await again.get("/gone") is None
    await again.close()


async def test_read_only_sees_what_a_live_broker_has_written_and_can_not_write(tmp_path):
    store = await EmbeddedStore.open(tmp_path)
    await store.create("/a", b"1", ephemeral=True)
    reader = await EmbeddedStore.open(tmp_path, read_only=True)
    assert (await reader.get("/a")).value == b"1"
    with pytest.raises(StorageError):
        await reader.create("/b")
    await reader.close()
    assert (await store.get("/a")).value == b"1"
    await store.close()


async def test_read_only_works_when_no_broker_runs(tmp_path):
    store = await EmbeddedStore.open(tmp_path)
    await store.create("/a", b"1")
    await store.close()
    reader = await EmbeddedStore.open(tmp_path, read_only=True)
    assert await reader.children("/") == ["a"]
    await reader.close()


async def test_read_only_makes_no_file(tmp_path):
    with pytest.raises(StorageError, match=FILE_NAME):
        await EmbeddedStore.open(tmp_path, read_only=True)
    assert list(tmp_path.iterdir()) == []


async def test_a_file_that_is_no_database_is_refused_by_name(tmp_path):
    (tmp_path / FILE_NAME).write_bytes(b"not a database, but long enough to be looked at" * 100)
    with pytest.raises(StorageError, match=FILE_NAME):
        await EmbeddedStore.open(tmp_path)


async def test_a_closed_store_refuses_to_be_used(tmp_path):
    store = await EmbeddedStore.open(tmp_path)
    await store.close()
    with pytest.raises(StorageError, match="closed"):
        await store.get("/a")


async def test_every_commit_is_synced(tmp_path):
    store = await EmbeddedStore.open(tmp_path)
    connection = store._tree._connection  # private: the setting is invisible from outside until the power fails
    assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    await store.close()
    assert isinstance(connection, sqlite3.Connection)
