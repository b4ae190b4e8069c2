"""`odradek consume`: records of a topic to stdout.

A record counts as consumed when it has been written: offsets are stored for commit only after the flush, so what a
broken pipe swallowed comes again. How a record is written is in `record_format.py`.
"""

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO
from uuid import uuid4

import click

from odradek.cli.cluster import Cluster, connection_options
from odradek.cli.command import Command
from odradek.cli.failures import CommandError, is_passing, kafka_reason
from odradek.cli.parameters import KEY_VALUE
from odradek.cli.record_format import PRINT_PROPERTIES, RecordWriter, json_writer, line_writer, template_writer
from odradek.cli.signals import StopRequest, stop_on_signals

if TYPE_CHECKING:
    from confluent_kafka import Consumer, Message

__all__ = ["consume"]

_POLL_SECONDS = 0.2
_BATCH_RECORDS = 500


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

    def put(self, records: "Sequence[Message]") -> dict[tuple[str, int], int]:
        """Write records; return, by topic and partition, the offset after the last one."""
        positions = {}
        for record in records:
            self.stream.write(self.write(record))
            positions[record.topic() or "", record.partition() or 0] = (record.offset() or 0) + 1
        self.stream.flush()
        self.count += len(records)
        return positions


def _assign(cluster: Cluster, consumer: "Consumer", topic: str, partition: int | None, offset: str | int) -> int:
    """Take one or all partitions of a topic from an offset on; return how many partitions that is."""
    from confluent_kafka import OFFSET_BEGINNING, OFFSET_END, KafkaException, TopicPartition

    found = sorted(cluster.topic(consumer, topic).partitions)
    if partition is not None and partition not in found:
        raise CommandError(f"topic {topic} has no partition {partition}; it has {len(found)}")
    taken = []
    for number in found if partition is None else [partition]:
        place = TopicPartition(topic, number)
        if offset in ("earliest", "latest"):
            place.offset = OFFSET_BEGINNING if offset == "earliest" else OFFSET_END
        else:
            try:
                low, high = consumer.get_watermark_offsets(place, timeout=cluster.timeout)
            except KafkaException as error:
                raise cluster.failure(error.args[0], f"find the offsets of {topic}-{number}") from error
            wanted = int(offset)
            place.offset = max(low, high + wanted) if wanted < 0 else wanted
            if not low <= place.offset <= high:
                raise CommandError(
                    f"offset {wanted} of {topic}-{number} is out of range; it holds offsets {low} to {high}"
                )
        taken.append(place)
    consumer.assign(taken)
    return len(taken)


class _Loop:
    """Poll, write, store, until a limit or a request to stop."""

    def __init__(self, consumer: "Consumer", output: Output, limits: Limits, partitions: int | None) -> None:
        """Make the loop.

        Args:
            consumer: subscribed or assigned.
            output: where records go.
            limits: when to stop.
            partitions: how many are assigned; None if a group assigns them.
        """
        self.consumer = consumer
        self.output = output
        self.limits = limits
        self.partitions = partitions
        self.ended: set[tuple[str | None, int | None]] = set()
        self.last_record = time.monotonic()

    def run(self, stop: StopRequest) -> None:
        """Consume."""
        while not stop and not self._done():
            first = self.consumer.poll(_POLL_SECONDS)
            if first is None:
                continue
            room = _BATCH_RECORDS
            if self.limits.max_records is not None:
                room = min(room, self.limits.max_records - self.output.count)
            batch = [first, *(self.consumer.consume(room - 1, timeout=0) if room > 1 else [])]
            self._take(batch)

    def _done(self) -> bool:
        limits = self.limits
        if limits.max_records is not None and self.output.count >= limits.max_records:
            return True
        if limits.at_end and self.ended and len(self.ended) >= (self.partitions or len(self.consumer.assignment())):
            return True
        return limits.idle_seconds is not None and time.monotonic() - self.last_record >= limits.idle_seconds

    def _take(self, batch: "list[Message]") -> None:
        from confluent_kafka import TopicPartition

        records = []
        failure = None
        for message in batch:
            error = message.error()
            place = (message.topic(), message.partition())
            if error is None:
                self.ended.discard(place)
                records.append(message)
            elif error.code() == error._PARTITION_EOF:  # noqa: SLF001  its public spelling
                self.ended.add(place)
            elif not is_passing(error):
                failure = failure or CommandError(f"can't consume: {kafka_reason(error)}")
        if records:
            self.last_record = time.monotonic()
            positions = self.output.put(records)
            if self.partitions is None:
                self.consumer.store_offsets(
                    offsets=[TopicPartition(topic, number, offset) for (topic, number), offset in positions.items()]
                )
        if failure:
            raise failure


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
    leaves the group and exits with code 130.
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
    reset = "earliest" if from_beginning else "latest" if group else "error"
    consumer = cluster.consumer(
        **{
            "group.id": group or f"odradek-console-{uuid4().hex[:12]}",
            "auto.offset.reset": reset,
            "enable.auto.commit": group is not None,
            "enable.auto.offset.store": False,
            "enable.partition.eof": True,
            "isolation.level": isolation_level,
            **client,
        }
    )
    limits = Limits(max_messages, None if timeout_ms is None else timeout_ms / 1000, exit_at_end)
    with stop_on_signals() as stop:
        try:
            partitions = None
            if group is None:
                partitions = _assign(cluster, consumer, topic, partition, start)
            else:
                cluster.topic(consumer, topic)
                consumer.subscribe([topic])
            _Loop(consumer, Output(sys.stdout.buffer, write), limits, partitions).run(stop)
        finally:
            consumer.close()
    click.get_current_context().exit(stop.exit_code)
