"""`odradek configs`: the settings of topics and brokers, and the two calls that other commands use for them."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import click

from odradek.cli.cluster import Cluster, connection_options
from odradek.cli.command import Group
from odradek.cli.output import json_option, print_columns, print_json
from odradek.cli.parameters import KEY_VALUE

if TYPE_CHECKING:
    from odradek.client.admin.admin import Admin
    from odradek.client.admin.values import ConfigChange, ConfigEntry, ResourceKind

__all__ = ["alter_configs", "configs", "read_configs"]


@dataclass(frozen=True)
class Setting:
    """One setting as the broker describes it. `value` is None if it is a secret."""

    name: str
    value: str | None
    source: str
    """topic, broker (dynamic, this one), cluster (dynamic, all brokers), file (static), default, or group."""
    read_only: bool
    sensitive: bool


_SOURCES = {"broker_default": "cluster", "static": "file"}
"""The client's words for where a value comes from, in those of the tables where they differ."""


def _setting(entry: "ConfigEntry") -> Setting:
    source = _SOURCES.get(entry.source, entry.source)
    return Setting(entry.name, entry.value, source, entry.read_only, entry.sensitive)


def read_configs(
    cluster: Cluster, admin: "Admin", kind: "ResourceKind", names: Sequence[str]
) -> dict[str, list[Setting]]:
    """Return the settings of topics or brokers, by resource and sorted by name.

    Args:
        cluster: turns errors into lines.
        admin: asks.
        kind: topic or broker.
        names: of the topics, or broker ids as text.

    Raises:
        CommandError: one of them does not exist, or no answer.
    """
    from odradek.client.admin.values import ConfigResource

    if not names:
        return {}
    with cluster.doing(f"describe the settings of {kind} {', '.join(names)}"):
        found = admin.describe_configs([ConfigResource(kind, name) for name in names])
    return {resource.name: [_setting(entries[name]) for name in sorted(entries)] for resource, entries in found.items()}


def alter_configs(
    cluster: Cluster,
    admin: "Admin",
    kind: "ResourceKind",
    name: str,
    settings: Sequence[tuple[str, str]],
    removals: Sequence[str],
) -> None:
    """Set and unset some settings of one topic or broker, leaving its others alone.

    Raises:
        CommandError: the broker refused; nothing was changed.
    """
    from odradek.client.admin.values import ConfigResource

    changes: dict[str, ConfigChange] = {**dict(settings), **dict.fromkeys(removals)}
    with cluster.doing(f"change the settings of {kind} {name or 'defaults'}"):
        admin.alter_configs({ConfigResource(kind, name): changes})


@click.group(
    cls=Group,
    examples=(
        "odradek configs describe --topic orders --all",
        "odradek configs alter --topic orders --add-config retention.ms=86400000",
    ),
)
def configs() -> None:
    """Describe and alter the settings of topics and brokers."""


def _target(topic: str | None, broker: int | None) -> "tuple[ResourceKind, str]":
    if (topic is None) == (broker is None):
        raise click.UsageError("give either --topic or --broker")
    return ("topic", topic) if topic is not None else ("broker", str(broker))


@configs.command(
    examples=(
        "odradek configs describe --topic orders",
        "odradek configs describe --topic orders --all",
        "odradek configs describe --broker 1 --all --json",
    )
)
@click.option("--topic", metavar="NAME", help="The topic to describe.")
@click.option("--broker", type=click.IntRange(min=0), metavar="ID", help="The broker to describe.")
@click.option("--all", "everything", is_flag=True, help="Show settings that are at their default too.")
@json_option
@connection_options
def describe(
    cluster: Cluster,
    topic: str | None,
    broker: int | None,
    everything: bool,
    as_json: bool,
) -> None:
    """Show the settings of a topic or broker, and where each value comes from."""
    kind, name = _target(topic, broker)
    found = read_configs(cluster, cluster.admin(), kind, [name])[name]
    shown = [setting for setting in found if everything or setting.source == kind or _is_changed(kind, setting)]
    if as_json:
        print_json([asdict(setting) for setting in shown])
        return
    rows = [
        (
            setting.name,
            "(secret)" if setting.sensitive else setting.value,
            setting.source,
            "yes" if setting.read_only else "no",
        )
        for setting in shown
    ]
    print_columns(("NAME", "VALUE", "SOURCE", "READ-ONLY"), rows)


def _is_changed(kind: str, setting: Setting) -> bool:
    """Tell whether somebody made this setting for the described resource: for a broker, in its file counts too."""
    return kind == "broker" and setting.source in ("cluster", "file")


@configs.command(
    examples=(
        "odradek configs alter --topic orders --add-config retention.ms=86400000",
        "odradek configs alter --topic orders --delete-config retention.ms",
        "odradek configs alter --broker 1 --add-config log.cleaner.threads=2",
    )
)
@click.option("--topic", metavar="NAME", help="The topic to change.")
@click.option("--broker", type=click.IntRange(min=0), metavar="ID", help="The broker to change.")
@click.option("--add-config", "settings", type=KEY_VALUE, multiple=True, help="Set this; may be repeated.")
@click.option("--delete-config", "removals", multiple=True, metavar="NAME", help="Back to the default.")
@connection_options
def alter(
    cluster: Cluster,
    topic: str | None,
    broker: int | None,
    settings: Sequence[tuple[str, str]],
    removals: Sequence[str],
) -> None:
    """Change settings of a topic or broker; those not named stay as they are."""
    kind, name = _target(topic, broker)
    if not settings and not removals:
        raise click.UsageError("nothing to alter: give --add-config or --delete-config")
    alter_configs(cluster, cluster.admin(), kind, name, settings, removals)
    click.echo(f"changed settings of {kind} {name}")
