"""`odradek groups`: list, describe and delete consumer groups and their committed offsets.

Moving committed offsets is a chapter of its own: `reset_offsets.py`.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import click

from odradek.cli.cluster import Cluster, connection_options
from odradek.cli.command import Group
from odradek.cli.failures import CommandError, reason
from odradek.cli.output import json_option, print_columns, print_json
from odradek.cli.partitions import TOPIC_PARTITIONS, Place, expand, offsets_at
from odradek.cli.reset_offsets import committed_offsets, reset_offsets

if TYPE_CHECKING:
    from odradek.client.admin.admin import Admin
    from odradek.client.admin.values import GroupDescription, GroupMember

__all__ = ["groups"]

_STATES = {
    "stable": "Stable",
    "empty": "Empty",
    "dead": "Dead",
    "preparing-rebalance": "PreparingRebalance",
    "completing-rebalance": "CompletingRebalance",
    "assigning": "Assigning",
    "reconciling": "Reconciling",
}
_TYPES = ("classic", "consumer")


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


def _state_name(state: str) -> str:
    """Return Kafka's name of a state in the spelling of --state."""
    return next((name for name, kafkas in _STATES.items() if kafkas == state), state.lower())


@groups.command("list", examples=("odradek groups list", "odradek groups list --state empty --json"))
@click.option("--state", "states", type=click.Choice(sorted(_STATES)), multiple=True, help="Only groups in this state.")
@click.option("--type", "types", type=click.Choice(_TYPES), multiple=True, help="Only groups of this type.")
@json_option
@connection_options
def list_(cluster: Cluster, states: Sequence[str], types: Sequence[str], as_json: bool) -> None:
    """List the consumer groups with state and type: `classic`, or `consumer` for those of KIP-848."""
    admin = cluster.admin()
    with cluster.doing("list the groups"):
        found = admin.list_groups(states=[_STATES[state] for state in states], types=types)
    rows = sorted((group.group_id, _state_name(group.state), group.type.lower()) for group in found)
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


def _lags(cluster: Cluster, admin: "Admin", group: "GroupDescription") -> list[PartitionLag]:
    committed = committed_offsets(cluster, admin, group.group_id)
    owners: dict[Place, str] = {
        (place.topic, place.partition): member.member_id for member in group.members for place in member.assignment
    }
    places = sorted(committed.keys() | owners.keys())
    ends = offsets_at(cluster, admin, places, "latest")
    lags = []
    for place in places:
        offset, end = committed.get(place), ends.get(place)
        lag = max(0, end - offset) if offset is not None and end is not None else None
        lags.append(PartitionLag(*place, offset, end, lag, owners.get(place)))
    return lags


def _total(lags: Sequence[PartitionLag]) -> int | None:
    """Return the lag where it is known, all together; None where it is known of no partition, as nothing is committed."""
    known = [lag.lag for lag in lags if lag.lag is not None]
    return sum(known) if known else None


def _found(cluster: Cluster, admin: "Admin", name: str) -> "GroupDescription":
    from odradek.errors import GroupIdNotFoundError

    with cluster.doing(f"describe group {name}"):
        try:
            return admin.describe_groups(name)[name]
        except GroupIdNotFoundError as error:
            raise CommandError(f"there is no group {name}; `odradek groups list` shows what there is") from error


def _epochs(group: "GroupDescription") -> dict[str, int]:
    """Return what only groups of KIP-848 have."""
    return {"epoch": group.epoch, "target_epoch": group.target_epoch} if group.epoch >= 0 else {}


def _member(group: "GroupDescription", member: "GroupMember") -> dict[str, Any]:
    shown: dict[str, Any] = {
        "member_id": member.member_id,
        "instance_id": member.instance_id,
        "client_id": member.client_id,
        "host": member.client_host,
        "partitions": [[place.topic, place.partition] for place in member.assignment],
    }
    if group.epoch >= 0:
        shown |= {
            "type": member.type or None,
            "epoch": member.epoch,
            "target": [[place.topic, place.partition] for place in member.target or ()],
            "topics": list(member.topics),
            "pattern": member.pattern or None,
            "rack": member.rack or None,
        }
    return shown


@groups.command(examples=("odradek groups describe billing", "odradek groups describe billing shipping --json"))
@click.argument("group", nargs=-1, required=True)
@json_option
@connection_options
def describe(cluster: Cluster, group: tuple[str, ...], as_json: bool) -> None:
    """Show state, members, committed offsets and lag of each GROUP.

    Members of a group of KIP-848 have an epoch, and beside their partitions those that they are to have.
    """
    admin = cluster.admin()
    documents = []
    for name in dict.fromkeys(group):
        found = _found(cluster, admin, name)
        lags = _lags(cluster, admin, found)
        state = _state_name(found.state)
        documents.append(
            {
                "group": name,
                "type": found.type.lower(),
                "state": state,
                "assignor": found.assignor or None,
                "coordinator": found.coordinator,
                **_epochs(found),
                "members": [_member(found, member) for member in found.members],
                "lag": _total(lags),
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
    epochs = f"Epoch: {document['epoch']}  Target epoch: {document['target_epoch']}  " if "epoch" in document else ""
    click.echo(
        f"Group: {document['group']}  Type: {document['type']}  State: {document['state']}  "
        f"Assignor: {document['assignor'] or '-'}  {epochs}"
        f"Coordinator: {document['coordinator']}  Members: {len(document['members'])}  "
        f"Lag: {'-' if document['lag'] is None else document['lag']}"
    )
    if document["members"]:
        more = ("EPOCH", "TARGET") if epochs else ()
        rows = [
            (
                member["member_id"],
                member["instance_id"],
                member["client_id"],
                member["host"],
                _joined(member["partitions"]),
                *((member["epoch"], _joined(member["target"])) if epochs else ()),
            )
            for member in document["members"]
        ]
        print_columns(("MEMBER", "INSTANCE", "CLIENT", "HOST", "PARTITIONS", *more), rows)
    if document["offsets"]:
        lags = [
            (lag["topic"], lag["partition"], lag["committed_offset"], lag["end_offset"], lag["lag"], lag["member_id"])
            for lag in document["offsets"]
        ]
        print_columns(("TOPIC", "PARTITION", "COMMITTED", "END", "LAG", "MEMBER"), lags)


def _joined(places: Sequence[Sequence[Any]]) -> str | None:
    return " ".join(f"{topic}-{number}" for topic, number in places) or None


@groups.command(examples=("odradek groups delete billing",))
@click.argument("group", nargs=-1, required=True)
@connection_options
def delete(cluster: Cluster, group: tuple[str, ...]) -> None:
    """Delete each GROUP with its committed offsets. A group that has members can't be deleted."""
    admin = cluster.admin()
    refusals = []
    for name in dict.fromkeys(group):
        try:
            with cluster.doing(f"delete group {name}"):
                admin.delete_groups(name)
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
    from odradek.errors import KafkaError
    from odradek.types import TopicPartition

    admin = cluster.admin()
    places = expand(cluster, admin, wanted)
    refused: dict[TopicPartition, KafkaError] = {}
    with cluster.doing(f"delete offsets of group {group}"):
        try:
            admin.delete_group_offsets(group, [TopicPartition(*place) for place in places])
        except KafkaError as error:
            if not error.errors:
                raise
            refused = error.errors
    for place in places:
        if place not in refused:
            click.echo(f"deleted the offset of {place[0]}-{place[1]}")
    if refused:
        reasons = "; ".join(reason(error) for error in refused.values())
        raise CommandError(f"can't delete offsets of group {group}: {reasons}")
