"""`odradek metadata` on a tree made here."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from cli_support import Outcome

from odradek.metadata.embedded import EmbeddedStore

Run = Callable[..., Outcome]


@pytest.fixture
def data_dir(tmp_path: Path) -> str:
    """A data directory whose tree holds /shop with two children."""

    async def fill() -> None:
        store = await EmbeddedStore.open(tmp_path)
        await store.create("/shop", b'{"open":true}')
        await store.create("/shop/a", b"\xff")
        await store.create("/shop/b", b"7")
        await store.set("/shop/b", b"8")
        await store.close()

    asyncio.run(fill())
    return str(tmp_path)


def test_ls_shows_children_and_with_recursive_all_paths(offline: Run, data_dir: str) -> None:
    assert offline("metadata", "ls", "/shop/", "--data-dir", data_dir).out == "a\nb\n"
    paths = offline("metadata", "ls", "--recursive", "--data-dir", data_dir, "--json").json
    assert {"/shop", "/shop/a", "/shop/b"} <= set(paths)


def test_get_shows_value_and_version(offline: Run, data_dir: str) -> None:
    assert offline("metadata", "get", "/shop", "--data-dir", data_dir).out == '{"open": true}\n'
    assert offline("metadata", "get", "/shop/a", "--data-dir", data_dir).out == "ff\n"
    got = offline("metadata", "get", "/shop/b", "--json", "--data-dir", data_dir).json
    assert got == {"path": "/shop/b", "version": 1, "value": 8}


@pytest.mark.parametrize("command", ["ls", "get"])
def test_a_node_that_is_not_there_is_an_error(offline: Run, data_dir: str, command: str) -> None:
    failed = offline("metadata", command, "/nowhere", "--data-dir", data_dir)
    assert failed.code == 1
    assert "there is no node /nowhere" in failed.error_line


def test_a_directory_without_tree_is_an_error_and_stays_empty(offline: Run, tmp_path: Path) -> None:
    failed = offline("metadata", "ls", "--data-dir", str(tmp_path))
    assert failed.code == 1
    assert "metadata.db" in failed.error_line
    assert list(tmp_path.iterdir()) == []
