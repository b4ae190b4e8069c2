"""`odradek groups`: list, describe and delete consumer groups and their committed offsets.

Moving committed offsets is a chapter of its own: `reset_offsets.py`.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import click

from odradek.cli.cluster import Cluster, connection_options
from odradek.cli.command import Group
from odradek.cli.failures import CommandError, kafka_reason
from odradek.cli.output import json_option, print_columns, print_json
from odradek.cli.partitions import TOPIC_PARTITIONS, Place, expand, offsets_at
from odradek.cli.reset_offsets import committed_offsets, reset_offsets

if TYPE_CHECKING:
    from confluent_kafka.admin import AdminClient, ConsumerGroupDescription

__all__ = ["groups"]

_STATES = {
    "stable": "STABLE",
    "empty": "EMPTY",
    "dead": "DEAD",
    "preparing-rebalance": "PREPARING_REBALANCING",
    "completing-rebalance": "COMPLETING_REBALANCING",
}


@click.group(
    cls=Group,
    examples=(
        "odradek groups describe billing",
        "odradek groups reset-offsets billing --topic orders --to-earliest --execute",
    ),
)
def groups() -> None:
    """List, describe and delete consumer groups; move their committed offsets."""


groups.add_command(reset_offsets)


def _state_name(state: Any) -> str:
    """`ConsumerGroupState.PREPARING_REBALANCING` in the spelling of --state."""
    return next((name for name, enum_name in _STATES.items() if enum_name == state.name), state.name.lower())


@groups.command("list", examples=("odradek groups list", "odradek groups list --state empty --json"))
@click.option("--state", "states", type=click.Choice(sorted(_STATES)), multiple=True, help="Only groups in this state.")
@json_option
@connection_options
def list_(cluster: Cluster, states: Sequence[str], as_json: bool) -> None:
    """List the consumer groups and their states."""
    from confluent_kafka import ConsumerGroupState

    admin = cluster.admin()
    wanted = {ConsumerGroupState[_STATES[state]] for state in states}
    request = {"states": wanted} if wanted else {}
    found = cluster.result(admin.list_consumer_groups(request_timeout=cluster.timeout, **request), "list the groups")
    if found.errors and not found.valid:
        raise cluster.failure(found.errors[0].args[0], "list the groups")
    rows = sorted((group.group_id, _state_name(group.state), group.type.name.lower()) for group in found.valid)
    if as_json:
        print_json([{"group": group, "state": state, "type": kind} for group, state, kind in rows])
    else:
        print_columns(("GROUP", "STATE", "TYPE"), rows)


@dataclass(frozen=True)
class PartitionLag:
    """How far a group is in one partition. None: no commit, or no such partition any more, or nobody has it."""

    topic: str
    partition: int
    committed_offset: int | None
    end_offset: int | None
    lag: int | None
    member_id: str | None


def _group(cluster: Cluster, admin: "AdminClient", name: str) -> "ConsumerGroupDescription":
    [future] = admin.describe_consumer_groups([name], request_timeout=cluster.timeout).values()
    found: ConsumerGroupDescription = cluster.result(future, f"describe group {name}")
    return found


def _lags(cluster: Cluster, admin: "AdminClient", group: "ConsumerGroupDescription") -> list[PartitionLag]:
    from confluent_kafka.admin import OffsetSpec

    committed = committed_offsets(cluster, admin, group.group_id)
    owners: dict[Place, str] = {
        (place.topic, place.partition): member.member_id
        for member in group.members
        for place in member.assignment.topic_partitions
    }
    places = sorted(committed.keys() | owners.keys())
    ends = offsets_at(cluster, admin, places, OffsetSpec.latest())
    lags = []
    for place in places:
        offset, end = committed.get(place), ends.get(place)
        lag = max(0, end - offset) if offset is not None and end is not None else None
        lags.append(PartitionLag(*place, offset, end, lag, owners.get(place)))
    return lags


@groups.command(examples=("odradek groups describe billing", "odradek groups describe billing shipping --json"))
@click.argument("group", nargs=-1, required=True)
@json_option
@connection_options
def describe(cluster: Cluster, group: tuple[str, ...], as_json: bool) -> None:
    """Show state, members, committed offsets and lag of each GROUP."""
    admin = cluster.admin()
    documents = []
    for name in dict.fromkeys(group):
        found = _group(cluster, admin, name)
        lags = _lags(cluster, admin, found)
        state = _state_name(found.state)
        if state == "dead" and not lags:
            raise CommandError(f"there is no group {name}; `odradek groups list` shows what there is")
        documents.append(
            {
                "group": name,
                "state": state,
                "assignor": found.partition_assignor or None,
                "coordinator": found.coordinator.id if found.coordinator else None,
                "members": [
                    {
                        "member_id": member.member_id,
                        "instance_id": member.group_instance_id,
                        "client_id": member.client_id,
                        "host": member.host,
                        "partitions": [[place.topic, place.partition] for place in member.assignment.topic_partitions],
                    }
                    for member in found.members
                ],
                "lag": sum(lag.lag or 0 for lag in lags),
                "offsets": [asdict(lag) for lag in lags],
            }
        )
    if as_json:
        print_json(documents)
        return
    for at, document in enumerate(documents):
        click.echo("\n" if at else "", nl=False)
        _print_group(document)


def _print_group(document: dict[str, Any]) -> None:
    click.echo(
        f"Group: {document['group']}  State: {document['state']}  Assignor: {document['assignor'] or '-'}  "
        f"Coordinator: {document['coordinator']}  Members: {len(document['members'])}  Lag: {document['lag']}"
    )
    if document["members"]:
        rows = [
            (
                member["member_id"],
                member["instance_id"],
                member["client_id"],
                member["host"],
                " ".join(f"{topic}-{number}" for topic, number in member["partitions"]) or None,
            )
            for member in document["members"]
        ]
        print_columns(("MEMBER", "INSTANCE", "CLIENT", "HOST", "PARTITIONS"), rows)
    if document["offsets"]:
        lags = [
            (lag["topic"], lag["partition"], lag["committed_offset"], lag["end_offset"], lag["lag"], lag["member_id"])
            for lag in document["offsets"]
        ]
        print_columns(("TOPIC", "PARTITION", "COMMITTED", "END", "LAG", "MEMBER"), lags)


@groups.command(examples=("odradek groups delete billing",))
@click.argument("group", nargs=-1, required=True)
@connection_options
def delete(cluster: Cluster, group: tuple[str, ...]) -> None:
    """Delete each GROUP with its committed offsets. A group that has members can't be deleted."""
    admin = cluster.admin()
    refusals = []
    futures = admin.delete_consumer_groups(list(dict.fromkeys(group)), request_timeout=cluster.timeout)
    for name, future in futures.items():
        try:
            cluster.result(future, f"delete group {name}")
        except CommandError as error:
            refusals.append(str(error))
        else:
            click.echo(f"deleted group {name}")
    if refusals:
        raise CommandError("; ".join(refusals))


@groups.command(
    "delete-offsets",
    examples=(
        "odradek groups delete-offsets billing --topic orders",
        "odradek groups delete-offsets billing --topic orders:0,1",
    ),
)
@click.argument("group")
@click.option(
    "--topic", "wanted", type=TOPIC_PARTITIONS, multiple=True, required=True, help="Whose offsets; may be repeated."
)
@connection_options
def delete_offsets(cluster: Cluster, group: str, wanted: Sequence[tuple[str, list[int] | None]]) -> None:
    """Forget the committed offsets of GROUP for some partitions. Topics that members subscribe to are refused."""
    if cluster.properties.get("security.protocol", "plaintext").lower() != "plaintext":
        raise CommandError("delete-offsets needs a plaintext listener: the client library beneath has no such call")
    admin = cluster.admin()
    places = expand(cluster, admin, wanted)
    coordinator = _group(cluster, admin, group).coordinator
    if coordinator is None:
        raise CommandError(f"group {group} has no coordinator at the moment; try again")
    refusals = []
    for (topic, number), error in _request_deletion(cluster, coordinator, group, places).items():
        if error is None:
            click.echo(f"deleted the offset of {topic}-{number}")
        else:
            refusals.append(f"{topic}-{number}: {error}")
    if refusals:
        raise CommandError(f"can't delete offsets of group {group}: {'; '.join(refusals)}")


def _request_deletion(
    cluster: Cluster, coordinator: Any, group: str, places: Sequence[Place]
) -> dict[Place, str | None]:
    """Ask the coordinator (API OffsetDelete, which confluent-kafka lacks); return each partition's error, if any."""
    from kio.schema.offset_delete.v0 import request as requests
    from kio.schema.offset_delete.v0 import response as responses
    from kio.schema.types import GroupId, TopicName
    from kio.static.primitive import i32

    from odradek.net.connection import Connection

    topics = tuple(
        requests.OffsetDeleteRequestTopic(
            name=TopicName(topic),
            partitions=tuple(
                requests.OffsetDeleteRequestPartition(partition_index=i32(number))
                for name, number in places
                if name == topic
            ),
        )
        for topic in sorted({topic for topic, _ in places})
    )
    with Connection(coordinator.host, coordinator.port, timeout=cluster.timeout) as connection:
        answer = connection.request(
            requests.OffsetDeleteRequest(group_id=GroupId(group), topics=topics), responses.OffsetDeleteResponse
        )
    if answer.error_code:
        raise CommandError(f"can't delete offsets of group {group}: {_reason(answer.error_code)}")
    errors: dict[Place, str | None] = {}
    for topic in answer.topics:
        for partition in topic.partitions:
            code = partition.error_code
            errors[topic.name, partition.partition_index] = _reason(code) if code else None
    return errors


def _reason(code: int) -> str:
    from confluent_kafka import KafkaError

    return kafka_reason(KafkaError(code))
