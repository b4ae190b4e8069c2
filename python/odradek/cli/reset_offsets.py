"""`odradek groups reset-offsets`: plan where a group shall go on reading, show the plan, and commit it if told to.

Without --execute nothing changes. What can be planned: earliest, latest, an offset, so many further or back, the first
record at or after a time, the current commit (to export it), or a CSV file of an earlier --export. Source: Kafka
`ConsumerGroupCommand`.
"""

import csv
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from odradek.cli.cluster import Cluster, connection_options
from odradek.cli.command import Command
from odradek.cli.failures import CommandError
from odradek.cli.output import json_option, print_columns, print_json
from odradek.cli.partitions import TOPIC_PARTITIONS, Place, expand, offsets_at

if TYPE_CHECKING:
    from odradek.client.admin.admin import Admin

__all__ = ["committed_offsets", "parse_datetime", "parse_duration", "read_offsets_file", "reset_offsets"]

_DURATION = re.compile(
    r"P(?:(?P<days>\d+)D)?(?:T(?=\d)(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?(?:(?P<seconds>\d+(?:\.\d+)?)S)?)?",
    re.IGNORECASE,
)


def parse_duration(text: str) -> timedelta:
    """Read an ISO 8601 duration of days, hours, minutes and seconds: `P7D`, `PT1H30M`.

    Raises:
        ValueError: it is none, or empty.
    """
    match = _DURATION.fullmatch(text)
    if match is None or not any(match.groups()):
        raise ValueError(f"{text!r} is not an ISO 8601 duration such as P7D or PT1H30M")
    return timedelta(**{unit: float(number) for unit, number in match.groupdict().items() if number})


def parse_datetime(text: str) -> datetime:
    """Read an ISO 8601 time; without a zone it is UTC, as in Kafka's tool.

    Raises:
        ValueError: it is none.
    """
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is not an ISO 8601 time such as 2026-11-21T08:00:00") from None
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def read_offsets_file(path: Path, group: str) -> dict[Place, int]:
    """Read `topic,partition,offset` lines, or `group,topic,partition,offset` of which those of other groups are skipped.

    Raises:
        CommandError: a line is of neither form.
    """
    offsets = {}
    with path.open(newline="", encoding="utf-8") as lines:
        for number, row in enumerate(csv.reader(lines), start=1):
            fields = [field.strip() for field in row]
            if not any(fields):
                continue
            if len(fields) == 4 and fields.pop(0) != group:
                continue
            if len(fields) != 3 or not fields[0] or not fields[1].isdecimal() or not fields[2].isdecimal():
                raise CommandError(f"{path}:{number}: expected topic,partition,offset")
            offsets[fields[0], int(fields[1])] = int(fields[2])
    return offsets


def committed_offsets(cluster: Cluster, admin: "Admin", group: str) -> dict[Place, int]:
    """Return all committed offsets of a group; of an unknown group, none."""
    with cluster.doing(f"list the offsets of group {group}"):
        found = admin.list_group_offsets(group)
    return {(place.topic, place.partition): committed.offset for place, committed in found.items()}


@dataclass(frozen=True)
class Move:
    """One line of a plan."""

    topic: str
    partition: int
    current_offset: int | None
    new_offset: int


@dataclass(frozen=True)
class Bounds:
    """What a partition holds: offsets from `first` up to, not including, `end`."""

    first: int
    end: int

    def clamp(self, offset: int) -> int:
        """Return the nearest offset a reader can start at."""
        return min(max(offset, self.first), self.end)


Target = Callable[[Place, int | None, Bounds], int]
"""From partition, committed offset and bounds to the wanted offset, which may lie outside the bounds."""


def _time_target(cluster: Cluster, admin: "Admin", places: Sequence[Place], time: datetime) -> Target:
    time_ms = max(0, int(time.timestamp() * 1000))
    found = offsets_at(cluster, admin, places, time_ms)

    def target(place: Place, _committed: int | None, bounds: Bounds) -> int:
        return found[place] if found.get(place, -1) >= 0 else bounds.end

    return target


def _shift_target(distance: int) -> Target:
    def target(place: Place, committed: int | None, _bounds: Bounds) -> int:
        if committed is None:
            raise CommandError(f"can't shift {place[0]}-{place[1]}: the group has no committed offset there")
        return committed + distance

    return target


def _bounds(cluster: Cluster, admin: "Admin", places: Sequence[Place]) -> dict[Place, Bounds]:
    first = offsets_at(cluster, admin, places, "earliest")
    end = offsets_at(cluster, admin, places, "latest")
    missing = [f"{topic}-{number}" for topic, number in places if (topic, number) not in first.keys() & end.keys()]
    if missing:
        raise CommandError(f"there is no partition {', '.join(missing)}")
    return {place: Bounds(first[place], end[place]) for place in places}


def _commit(cluster: Cluster, admin: "Admin", group: str, plan: Sequence[Move]) -> None:
    from odradek.types import TopicPartition

    with cluster.doing(f"commit offsets of group {group}"):
        admin.alter_group_offsets(group, {TopicPartition(move.topic, move.partition): move.new_offset for move in plan})


def _refuse_active(cluster: Cluster, admin: "Admin", group: str) -> None:
    """Raise if the group has members: they would go on from their own positions and commit over ours."""
    from odradek.errors import GroupIdNotFoundError

    with cluster.doing(f"describe group {group}"):
        try:
            state = admin.describe_groups(group)[group].state
        except GroupIdNotFoundError:
            return
    if state not in ("Empty", "Dead"):
        raise CommandError(f"group {group} is {state.lower()}; stop its members first")


def _write_csv(path: Path, plan: Iterable[Move]) -> None:
    with path.open("w", newline="", encoding="utf-8") as lines:
        writer = csv.writer(lines, lineterminator="\n")
        writer.writerows((move.topic, move.partition, move.new_offset) for move in plan)


@dataclass(frozen=True)
class Ways:
    """The options that say where to go; exactly one is given."""

    to_earliest: bool
    to_latest: bool
    to_current: bool
    to_offset: int | None
    shift_by: int | None
    to_datetime: str | None
    by_duration: str | None
    from_file: Path | None

    def check(self) -> None:
        """Raise a usage error unless there is exactly one way."""
        given = [name for name, value in vars(self).items() if value is not None and value is not False]
        if len(given) != 1:
            options = ", ".join(f"--{name.replace('_', '-')}" for name in vars(self))
            raise click.UsageError(f"give exactly one of {options}")

    def time(self) -> datetime | None:
        """Return the time to go to, if that is the way."""
        try:
            if self.to_datetime is not None:
                return parse_datetime(self.to_datetime)
            if self.by_duration is not None:
                return datetime.now(UTC) - parse_duration(self.by_duration)
        except (ValueError, OverflowError) as error:
            raise click.UsageError(str(error)) from error
        return None

    def target(self, cluster: Cluster, admin: "Admin", places: Sequence[Place]) -> Target:
        """Return the rule for each partition."""
        time = self.time()
        if time is not None:
            return _time_target(cluster, admin, places, time)
        if self.shift_by is not None:
            return _shift_target(self.shift_by)
        if self.to_offset is not None:
            offset = self.to_offset
            return lambda _place, _committed, _bounds: offset
        if self.to_earliest:
            return lambda _place, _committed, bounds: bounds.first
        if self.to_latest:
            return lambda _place, _committed, bounds: bounds.end
        return lambda _place, committed, bounds: bounds.end if committed is None else committed


@click.command(
    "reset-offsets",
    cls=Command,
    examples=(
        "odradek groups reset-offsets billing --topic orders --to-earliest",
        "odradek groups reset-offsets billing --topic orders:0,1 --shift-by -100 --execute",
        "odradek groups reset-offsets billing --all-topics --to-datetime 2026-11-21T08:00:00 --execute",
        "odradek groups reset-offsets billing --all-topics --to-current --export offsets.csv",
        "odradek groups reset-offsets billing --from-file offsets.csv --execute",
    ),
)
@click.argument("group")
@click.option("--topic", "wanted", type=TOPIC_PARTITIONS, multiple=True, help="What to reset; may be repeated.")
@click.option("--all-topics", is_flag=True, help="Every partition the group has a committed offset for.")
@click.option("--to-earliest", is_flag=True, help="The oldest record there is.")
@click.option("--to-latest", is_flag=True, help="The end: only what comes from now on.")
@click.option("--to-current", is_flag=True, help="The committed offset as it is, or the end where there is none.")
@click.option("--to-offset", type=click.IntRange(min=0), help="This offset, or the nearest there is.")
@click.option("--shift-by", type=int, help="So many records further, or back if negative.")
@click.option("--to-datetime", metavar="TIME", help="The first record at or after an ISO 8601 time (UTC if no zone).")
@click.option("--by-duration", metavar="DURATION", help="As --to-datetime, so long ago: PT1H30M, P7D.")
@click.option(
    "--from-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="CSV lines topic,partition,offset, as --export writes them.",
)
@click.option("--execute", is_flag=True, help="Commit the plan; without it the plan is only shown.")
@click.option("--export", "export_path", type=click.Path(dir_okay=False, path_type=Path), help="Write the plan as CSV.")
@json_option
@connection_options
def reset_offsets(
    cluster: Cluster,
    group: str,
    wanted: Sequence[tuple[str, list[int] | None]],
    all_topics: bool,
    execute: bool,
    export_path: Path | None,
    as_json: bool,
    to_earliest: bool,
    to_latest: bool,
    to_current: bool,
    to_offset: int | None,
    shift_by: int | None,
    to_datetime: str | None,
    by_duration: str | None,
    from_file: Path | None,
) -> None:
    """Move the committed offsets of GROUP; a dry run unless --execute is given.

    Offsets outside of what a partition holds become its first or end offset. The group must have no members.
    """
    ways = Ways(to_earliest, to_latest, to_current, to_offset, shift_by, to_datetime, by_duration, from_file)
    ways.check()
    ways.time()
    if from_file is None and bool(wanted) == all_topics:
        raise click.UsageError("give either --topic or --all-topics")
    if from_file is not None and all_topics:
        raise click.UsageError("--from-file says which partitions; --all-topics can't go with it")
    admin = cluster.admin()
    plan = _plan(cluster, admin, group, wanted, ways)
    if export_path is not None:
        _write_csv(export_path, plan)
    if execute and plan:
        _refuse_active(cluster, admin, group)
        _commit(cluster, admin, group, plan)
    if as_json:
        print_json({"group": group, "executed": execute, "offsets": [vars(move) for move in plan]})
        return
    print_columns(
        ("TOPIC", "PARTITION", "CURRENT", "NEW"),
        [(move.topic, move.partition, move.current_offset, move.new_offset) for move in plan],
    )
    if not execute:
        click.echo("this was a dry run; --execute commits it", err=True)


def _plan(
    cluster: Cluster,
    admin: "Admin",
    group: str,
    wanted: Sequence[tuple[str, list[int] | None]],
    ways: Ways,
) -> list[Move]:
    committed = committed_offsets(cluster, admin, group)
    if ways.from_file is not None:
        listed = read_offsets_file(ways.from_file, group)
        chosen = set(expand(cluster, admin, wanted)) if wanted else listed.keys()
        places = sorted(place for place in listed if place in chosen)

        target: Target = lambda place, _committed, _bounds: listed[place]  # noqa: E731  the other ways are lambdas too
    else:
        places = expand(cluster, admin, wanted) if wanted else sorted(committed)
        target = ways.target(cluster, admin, places)
    if not places:
        raise CommandError(f"nothing to reset: group {group} has no committed offsets; name --topic")
    bounds = _bounds(cluster, admin, places)
    moves = []
    for place in places:
        current = committed.get(place)
        moves.append(Move(*place, current, bounds[place].clamp(target(place, current, bounds[place]))))
    return moves
