"""`odradek consume`: records of a topic to stdout.

A record counts as consumed when it has been written: offsets are committed only after the flush, so what a broken pipe
swallowed comes again. How a record is written is in `record_format.py`.
"""

import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

import click

from odradek.cli.cluster import Cluster, connection_options
from odradek.cli.command import Command
from odradek.cli.failures import CommandError, is_passing, reason
from odradek.cli.parameters import KEY_VALUE
from odradek.cli.record_format import PRINT_PROPERTIES, RecordWriter, json_writer, line_writer, template_writer
from odradek.cli.signals import StopRequest, stop_on_signals

if TYPE_CHECKING:
    from odradek.client.consumer.consumer import Consumer
    from odradek.types import Record, TopicPartition

__all__ = ["consume"]

_POLL_SECONDS = 0.2
_COMMIT_SECONDS = 5.0
_LAST_SECONDS = 3.0
"""How long the broker has, after Ctrl-C, for the last commit and to let the member go."""
_MOST_RECORDS = 500


class OffsetType(click.ParamType[str | int]):
    """`earliest`, `latest`, an offset, or -N for N records before the end; as a str or int."""

    name = "offset"

    def convert(self, value: str | int, param: click.Parameter | None, ctx: click.Context | None) -> str | int:
        """Check one value."""
        if isinstance(value, int) or value in ("earliest", "latest"):
            return value
        try:
            return int(value)
        except ValueError:
            self.fail(f"{value!r} is not earliest, latest, an offset, or -N for N before the end", param, ctx)


@dataclass(frozen=True)
class Limits:
    """When to stop by itself; None means never."""

    max_records: int | None
    idle_seconds: float | None
    at_end: bool


class Output:
    """Writes records and notes how far each partition has been written."""

    def __init__(self, stream: BinaryIO, write: RecordWriter) -> None:
        self.stream = stream
        self.write = write
        self.count = 0

    def put(self, records: "Sequence[Record]") -> "dict[TopicPartition, int]":
        """Write records; return, by partition, the offset after the last one."""
        from odradek.types import TopicPartition

        positions = {}
        for record in records:
            self.stream.write(self.write(record))
            positions[TopicPartition(record.topic, record.partition)] = record.offset + 1
        self.stream.flush()
        self.count += len(records)
        return positions


def _assign(cluster: Cluster, consumer: "Consumer", topic: str, partition: int | None, offset: str | int) -> None:
    """Take one or all partitions of a topic from an offset on."""
    from odradek.types import TopicPartition

    count = len(cluster.topic(cluster.admin(), topic).partitions)
    if partition is not None and partition >= count:
        raise CommandError(f"topic {topic} has no partition {partition}; it has {count}")
    places = [TopicPartition(topic, number) for number in (range(count) if partition is None else [partition])]
    with cluster.doing(f"find the offsets of {topic}"):
        ends = consumer.end_offsets(places, timeout=cluster.timeout)
        starts = ends if offset == "latest" else consumer.beginning_offsets(places, timeout=cluster.timeout)
    if not isinstance(offset, str):
        starts = {place: _within(place, offset, starts[place], ends[place]) for place in places}
    consumer.assign(places)
    for place in places:
        consumer.seek(place, starts[place])


def _within(place: "TopicPartition", wanted: int, first: int, end: int) -> int:
    """Return the offset to start at; a negative one counts from the end."""
    start = max(first, end + wanted) if wanted < 0 else wanted
    if not first <= start <= end:
        raise CommandError(
            f"offset {wanted} of {place.topic}-{place.partition} is out of range; it holds offsets {first} to {end}"
        )
    return start


class _Loop:
    """Poll, write, commit what was written, until a limit or a request to stop."""

    def __init__(
        self,
        cluster: Cluster,
        consumer: "Consumer",
        output: Output,
        limits: Limits,
        stop: StopRequest,
        *,
        commits: bool,
    ) -> None:
        """Make the loop.

        Args:
            cluster: turns errors into lines.
            consumer: to be subscribed or assigned before `run`.
            output: where records go.
            limits: when to stop by itself.
            stop: the user's request; it cuts short what waits for the broker.
            commits: whether what was written is committed: in a group.
        """
        self.cluster = cluster
        self.consumer = consumer
        self.output = output
        self.limits = limits
        self.stop = stop
        self.commits = commits
        self.written: dict[TopicPartition, int] = {}
        """Next offset of partitions of which something was written since the last commit."""
        self.last_record = self.last_commit = time.monotonic()

    def run(self) -> None:
        """Consume, commit what was written, and leave the group if that was the user's wish."""
        try:
            with suppress(KeyboardInterrupt):  # the request to stop, while the broker was waited for
                try:
                    self._consume()
                finally:
                    self.commit()
        finally:
            if self.stop:
                self._leave()

    def _consume(self) -> None:
        with self.cluster.doing("consume"):
            while not self.stop and not self._done():
                records = self._poll()
                if records:
                    self.last_record = time.monotonic()
                    self.written |= self.output.put(records)
                elif self.limits.at_end and self._at_end():
                    break
                if time.monotonic() - self.last_commit >= _COMMIT_SECONDS:
                    self.commit()

    def commit(self, _partitions: object = None) -> None:
        """Commit what was written; also what the group calls before it takes partitions away.

        Raises:
            KeyboardInterrupt: the user wants to stop; what was written is for `_leave` to commit.
        """
        self.last_commit = time.monotonic()
        if not self.commits or not self.written:
            return
        with self.stop.cutting_short():
            self._commit(self.cluster.timeout)

    def _commit(self, timeout: float) -> None:
        from odradek.errors import CommitFailedError

        written, self.written = self.written, {}
        try:
            self.consumer.commit(written, timeout=timeout)
        except CommitFailedError as error:  # others have the partitions now, and read these records once more
            click.echo(f"odradek: {error}", err=True)
        except KeyboardInterrupt:
            self.written = written
            raise

    def _leave(self) -> None:
        """Commit and leave the group in the time that is left for it.

        Raises:
            CommandError: the commit was not confirmed.
        """
        from odradek.errors import OdradekError

        seconds = min(_LAST_SECONDS, self.cluster.timeout)
        ends_at = time.monotonic() + seconds
        try:
            if self.commits and self.written:
                self._commit(seconds)
        except OdradekError as error:
            raise CommandError(
                f"the last records are not known to be committed, and may be read again: {reason(error)}"
            ) from error
        finally:
            self.consumer.close(max(0.0, ends_at - time.monotonic()))

    def _poll(self) -> "list[Record]":
        from odradek.errors import OdradekError

        room = None
        if self.limits.max_records is not None:
            room = self.limits.max_records - self.output.count
        try:
            return self.consumer.poll(_POLL_SECONDS, max_records=None if room is None else min(room, _MOST_RECORDS))
        except OdradekError as error:
            if is_passing(error):
                return []
            raise

    def _done(self) -> bool:
        limits = self.limits
        if limits.max_records is not None and self.output.count >= limits.max_records:
            return True
        return limits.idle_seconds is not None and time.monotonic() - self.last_record >= limits.idle_seconds

    def _at_end(self) -> bool:
        assigned = self.consumer.assignment()
        if not assigned:
            return False
        with self.stop.cutting_short():
            ends = self.consumer.end_offsets(assigned, timeout=self.cluster.timeout)
            return all(self.consumer.position(at, timeout=self.cluster.timeout) >= end for at, end in ends.items())


def _split_properties(properties: Sequence[tuple[str, str]]) -> tuple[dict[str, str], dict[str, str]]:
    """Tell formatter properties from client properties."""
    shown = {name: value for name, value in properties if name in PRINT_PROPERTIES}
    return shown, {name: value for name, value in properties if name not in PRINT_PROPERTIES}


@click.command(
    cls=Command,
    examples=(
        "odradek consume orders --from-beginning --max-messages 10",
        "odradek consume orders --group billing --property print.key=true --property key.separator=-",
        "odradek consume orders --partition 0 --offset -100 --exit-at-end --json",
        r"odradek consume orders --from-beginning --format '%t-%p@%o %k=%s\n'",
    ),
)
@click.argument("topic")
@click.option(
    "--from-beginning", is_flag=True, help="Start at the oldest record; with --group, where the group has no commit."
)
@click.option("--group", help="Consume as a member of this group: share partitions, commit offsets.")
@click.option("--partition", type=click.IntRange(min=0), help="Only this partition.")
@click.option(
    "--offset", type=OffsetType(), help="Start here: earliest, latest, an offset, or -N for N before the end."
)
@click.option("--max-messages", type=click.IntRange(min=1), help="Stop after this many records.")
@click.option("--timeout-ms", type=click.IntRange(min=0), help="Stop when no record came for this long.")
@click.option("--exit-at-end", is_flag=True, help="Stop at the end of every partition.")
@click.option(
    "--property",
    "properties",
    type=KEY_VALUE,
    multiple=True,
    help="print.key, print.timestamp, print.partition, print.offset, print.headers, key.separator ... as Kafka's tool "
    "has them, or any client property (fetch.min.bytes=1000).",
)
@click.option("--format", "template", metavar="TEMPLATE", help=r"%t %p %o %k %s %T %h ... and \n, as kcat -f.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
@click.option(
    "--isolation-level",
    type=click.Choice(["read_committed", "read_uncommitted"]),
    default="read_uncommitted",
    show_default=True,
    help="Whether to skip records of open and aborted transactions.",
)
@connection_options
def consume(
    cluster: Cluster,
    topic: str,
    from_beginning: bool,
    group: str | None,
    partition: int | None,
    offset: str | int | None,
    max_messages: int | None,
    timeout_ms: int | None,
    exit_at_end: bool,
    properties: Sequence[tuple[str, str]],
    template: str | None,
    as_json: bool,
    isolation_level: str,
) -> None:
    """Print records of TOPIC, from now on or from the beginning.

    Without --group every partition is read and nothing is committed. Ctrl-C commits what was printed (with --group),
    leaves the group and exits with code 130; the broker has 3 s for that.
    """
    if group is not None and (partition is not None or offset is not None):
        raise click.UsageError("--partition and --offset can't go with --group: the group says who reads what")
    if from_beginning and offset is not None:
        raise click.UsageError("give either --from-beginning or --offset")
    if (template is not None) + as_json > 1:
        raise click.UsageError("give either --format or --json")
    shown, client = _split_properties(properties)
    write = json_writer if as_json else template_writer(template) if template is not None else line_writer(shown)
    start: str | int = offset if offset is not None else "earliest" if from_beginning else "latest"
    reset = "earliest" if from_beginning else "latest" if group else "none"
    settings: dict[str, object] = {
        "auto.offset.reset": reset,
        "enable.auto.commit": False,
        "isolation.level": isolation_level,
        **client,
    }
    if group is not None:
        settings["group.id"] = group
    consumer = cluster.consumer(**settings)
    limits = Limits(max_messages, None if timeout_ms is None else timeout_ms / 1000, exit_at_end)
    output = Output(sys.stdout.buffer, write)
    if group is None:
        _assign(cluster, consumer, topic, partition, start)
    else:
        cluster.topic(cluster.admin(), topic)
    with stop_on_signals() as stop:
        loop = _Loop(cluster, consumer, output, limits, stop, commits=group is not None)
        if group is not None:
            consumer.subscribe([topic], on_revoked=loop.commit)
        loop.run()
    click.get_current_context().exit(stop.exit_code)
