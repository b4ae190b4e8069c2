"""`odradek topics`: create, list, describe, alter and delete topics."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from odradek.cli.cluster import Cluster, connection_options
from odradek.cli.command import Group
from odradek.cli.configs import alter_configs, read_configs
from odradek.cli.failures import CommandError
from odradek.cli.output import json_option, print_columns, print_json
from odradek.cli.parameters import KEY_VALUE

if TYPE_CHECKING:
    from odradek.client.admin.admin import Admin
    from odradek.client.metadata import TopicInfo

__all__ = ["topics"]


@click.group(
    cls=Group,
    examples=("odradek topics create orders --partitions 6", "odradek topics describe orders"),
)
def topics() -> None:
    """Create, list, describe, alter and delete topics."""


@topics.command(
    examples=(
        "odradek topics create orders --partitions 6",
        "odradek topics create users --config cleanup.policy=compact --if-not-exists",
    )
)
@click.argument("topic")
@click.option("--partitions", type=click.IntRange(min=1), help="How many; the broker's num.partitions if left out.")
@click.option(
    "--replication-factor",
    type=click.IntRange(min=1),
    help="Replicas of each partition; the broker's default if left out.",
)
@click.option("--config", "settings", type=KEY_VALUE, multiple=True, help="A topic setting; may be repeated.")
@click.option("--if-not-exists", is_flag=True, help="Succeed, changing nothing, if the topic exists.")
@connection_options
def create(
    cluster: Cluster,
    topic: str,
    partitions: int | None,
    replication_factor: int | None,
    settings: Sequence[tuple[str, str]],
    if_not_exists: bool,
) -> None:
    """Create TOPIC."""
    from odradek.client.admin.values import NewTopic
    from odradek.errors import TopicAlreadyExistsError

    wanted = NewTopic(topic, partitions or -1, replication_factor or -1, configs=dict(settings))
    admin = cluster.admin()
    with cluster.doing(f"create topic {topic}"):
        try:
            admin.create_topics(wanted)
        except TopicAlreadyExistsError:
            if not if_not_exists:
                raise
            click.echo(f"topic {topic} exists already; nothing changed")
        else:
            click.echo(f"created topic {topic}")


@topics.command("list", examples=("odradek topics list", "odradek topics list --long", "odradek topics list --json"))
@click.option("--internal", is_flag=True, help="Show the broker's own topics too.")
@click.option("--long", "-l", "long", is_flag=True, help="Show partitions and replicas beside the names.")
@json_option
@connection_options
def list_(
    cluster: Cluster,
    internal: bool,
    long: bool,
    as_json: bool,
) -> None:
    """List the topics, one name a line."""
    found = [topic for topic in _describe(cluster.admin(), cluster, ()) if internal or not topic.internal]
    if as_json:
        print_json(
            [
                {
                    "name": topic.name,
                    "partitions": len(topic.partitions),
                    "replication_factor": _replication(topic),
                    "internal": topic.internal,
                }
                for topic in found
            ]
        )
    elif long:
        rows = [(topic.name, len(topic.partitions), _replication(topic)) for topic in found]
        print_columns(("TOPIC", "PARTITIONS", "REPLICAS"), rows)
    else:
        for topic in found:
            click.echo(topic.name)


def _replication(topic: "TopicInfo") -> int:
    return max((len(partition.replicas) for partition in topic.partitions), default=0)


def _describe(admin: "Admin", cluster: Cluster, names: Sequence[str]) -> list["TopicInfo"]:
    """Describe the named topics, or all there are, by name."""
    if not names:
        with cluster.doing("list the topics"):
            return list(admin.list_topics(include_internal=True).values())
    with cluster.doing(f"describe topic {', '.join(names)}"):
        found = admin.describe_topics(list(dict.fromkeys(names)))
    return sorted(found.values(), key=lambda topic: topic.name)


@topics.command(examples=("odradek topics describe orders", "odradek topics describe --json"))
@click.argument("topic", nargs=-1)
@click.option(
    "--under-replicated", is_flag=True, help="Show only partitions that have fewer in-sync replicas than replicas."
)
@json_option
@connection_options
def describe(
    cluster: Cluster,
    topic: tuple[str, ...],
    under_replicated: bool,
    as_json: bool,
) -> None:
    """Show partitions, leaders, replicas, in-sync replicas and the settings made for each TOPIC (default: all)."""
    admin = cluster.admin()
    found = _describe(admin, cluster, topic)
    settings = read_configs(cluster, admin, "topic", [description.name for description in found])
    documents = []
    for description in found:
        partitions = [
            {
                "partition": partition.partition,
                "leader": partition.leader if partition.leader >= 0 else None,
                "replicas": list(partition.replicas),
                "isr": list(partition.isr),
            }
            for partition in description.partitions
            if not under_replicated or len(partition.isr) < len(partition.replicas)
        ]
        if under_replicated and not partitions:
            continue
        documents.append(
            {
                "name": description.name,
                "id": str(description.topic_id),
                "internal": description.internal,
                "partition_count": len(description.partitions),
                "replication_factor": _replication(description),
                "configs": {entry.name: entry.value for entry in settings[description.name] if entry.source == "topic"},
                "partitions": partitions,
            }
        )
    if as_json:
        print_json(documents)
        return
    for at, document in enumerate(documents):
        click.echo("\n" if at else "", nl=False)
        _print_description(document)


def _print_description(document: dict[str, Any]) -> None:
    configs = ",".join(f"{name}={value}" for name, value in document["configs"].items()) or "-"
    click.echo(
        f"Topic: {document['name']}  Id: {document['id']}  Partitions: {document['partition_count']}  "
        f"Replicas: {document['replication_factor']}  Configs: {configs}"
    )
    rows = [
        (
            partition["partition"],
            partition["leader"],
            ",".join(map(str, partition["replicas"])),
            ",".join(map(str, partition["isr"])),
        )
        for partition in document["partitions"]
    ]
    print_columns(("PARTITION", "LEADER", "REPLICAS", "ISR"), rows)


@topics.command(
    examples=(
        "odradek topics alter orders --partitions 12",
        "odradek topics alter orders --config retention.ms=86400000 --delete-config max.message.bytes",
    )
)
@click.argument("topic")
@click.option("--partitions", type=click.IntRange(min=1), help="Grow to this many; partitions can't be taken away.")
@click.option("--config", "settings", type=KEY_VALUE, multiple=True, help="A topic setting; may be repeated.")
@click.option("--delete-config", "removals", multiple=True, metavar="NAME", help="Back to the broker's default.")
@connection_options
def alter(
    cluster: Cluster,
    topic: str,
    partitions: int | None,
    settings: Sequence[tuple[str, str]],
    removals: Sequence[str],
) -> None:
    """Grow TOPIC or change its settings."""
    if partitions is None and not settings and not removals:
        raise click.UsageError("nothing to alter: give --partitions, --config or --delete-config")
    admin = cluster.admin()
    if settings or removals:
        alter_configs(cluster, admin, "topic", topic, settings, removals)
        click.echo(f"changed settings of topic {topic}")
    if partitions is not None:
        with cluster.doing(f"grow topic {topic} to {partitions} partitions"):
            admin.create_partitions({topic: partitions})
        click.echo(f"topic {topic} has {partitions} partitions")


@topics.command(examples=("odradek topics delete orders", "odradek topics delete orders users --if-exists"))
@click.argument("topic", nargs=-1, required=True)
@click.option("--if-exists", is_flag=True, help="Succeed if there is no such topic.")
@connection_options
def delete(cluster: Cluster, topic: tuple[str, ...], if_exists: bool) -> None:
    """Delete each TOPIC with all its records."""
    from odradek.errors import UnknownTopicOrPartitionError

    admin = cluster.admin()
    refusals = []
    for name in dict.fromkeys(topic):
        try:
            with cluster.doing(f"delete topic {name}"):
                admin.delete_topics(name)
        except CommandError as error:
            if if_exists and isinstance(error.__cause__, UnknownTopicOrPartitionError):
                click.echo(f"topic {name} does not exist; nothing changed")
            else:
                refusals.append(str(error))
        else:
            click.echo(f"deleted topic {name}")
    if refusals:
        raise CommandError("; ".join(refusals))
