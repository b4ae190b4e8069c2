"""`odradek metadata`: look into the metadata tree of a data directory, as ZooKeeper's shell does.

It only reads; the broker may be running or not. What lies where in the tree: `odradek.metadata.tree`.
"""

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from odradek.cli.command import Group
from odradek.cli.failures import CommandError
from odradek.cli.output import json_option, print_json

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from odradek.metadata.store import MetadataStore, Node

__all__ = ["metadata"]

T = TypeVar("T")

_data_dir = click.option(
    "--data-dir",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    required=True,
    envvar="ODRADEK_DATA_DIR",
    show_envvar=True,
    help="The broker's data directory.",
)


@click.group(
    cls=Group,
    examples=(
        "odradek metadata ls /brokers/topics --data-dir data",
        "odradek metadata get /brokers/topics/orders/partitions/0/state --data-dir data",
    ),
)
def metadata() -> None:
    """List and read the nodes of a broker's metadata tree."""


def _normal(path: str) -> str:
    """Return an absolute path without a slash at its end."""
    if not path.startswith("/"):
        raise click.UsageError(f"a path starts with /, {path!r} does not")
    return path.rstrip("/") or "/"


def _with_store(data_dir: Path, use: "Callable[[MetadataStore], Awaitable[T]]") -> T:
    from odradek.metadata.embedded import EmbeddedStore

    async def run() -> T:
        store = await EmbeddedStore.open(data_dir, read_only=True)
        try:
            return await use(store)
        finally:
            await store.close()

    return asyncio.run(run())


def _value(node: "Node") -> object:
    """Return a node's value: JSON as such, other text as text, other bytes as hexadecimal digits."""
    try:
        text = node.value.decode()
    except UnicodeDecodeError:
        return node.value.hex()
    try:
        return json.loads(text)
    except ValueError:
        return text


@metadata.command(
    examples=(
        "odradek metadata ls / --data-dir data",
        "odradek metadata ls /brokers --recursive --data-dir data",
    )
)
@click.argument("path", default="/")
@click.option("--recursive", "-R", is_flag=True, help="Show everything below PATH, as full paths.")
@json_option
@_data_dir
def ls(path: str, data_dir: Path, recursive: bool, as_json: bool) -> None:
    """List the children of the node at PATH (default: the root)."""
    place = _normal(path)

    async def read(store: "MetadataStore") -> list[str]:
        if place != "/" and await store.get(place) is None:
            raise CommandError(f"there is no node {place}; `odradek metadata ls` goes through the tree from /")
        if recursive:
            return [below for below, _ in await store.subtree(place)]
        return await store.children(place)

    names = _with_store(data_dir, read)
    if as_json:
        print_json(names)
        return
    for name in names:
        click.echo(name)


@metadata.command(
    examples=(
        "odradek metadata get /controller --data-dir data",
        "odradek metadata get /config/topics/orders --data-dir data --json",
    )
)
@click.argument("path")
@json_option
@_data_dir
def get(path: str, data_dir: Path, as_json: bool) -> None:
    """Print the value of the node at PATH; with --json its version too."""
    place = _normal(path)

    async def read(store: "MetadataStore") -> "Node":
        node = await store.get(place)
        if node is None:
            raise CommandError(f"there is no node {place}; `odradek metadata ls` goes through the tree from /")
        return node

    node = _with_store(data_dir, read)
    if as_json:
        print_json({"path": place, "version": node.version, "value": _value(node)})
    else:
        value = _value(node)
        click.echo(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
