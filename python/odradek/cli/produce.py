"""`odradek produce`: lines from stdin or a file become records.

A line that can't be a record, or a record that the cluster refuses, is told and counted and does not stop the others;
the exit code is 1 if there was any. Not here: reading the options that Kafka's console producer shares with the
console consumer (`parameters.py`).
"""

import os
import select
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import click

from odradek.cli.cluster import Cluster, connection_options
from odradek.cli.command import Command
from odradek.cli.failures import CommandError, reason
from odradek.cli.parameters import KEY_VALUE, as_flag, unescape
from odradek.cli.signals import StopRequest, stop_on_signals

if TYPE_CHECKING:
    from odradek.client.producer.producer import Producer
    from odradek.types import RecordMetadata

__all__ = ["produce"]

_COMPRESSIONS = ("none", "gzip", "snappy", "lz4", "zstd")
_ERRORS_SHOWN = 5
_CREATION_PATIENCE_SECONDS = 3.0
_IDLE_SECONDS = 0.2
_CHUNK_BYTES = 1 << 20
_MAX_LINE_BYTES = 100 << 20


@dataclass(frozen=True)
class LineFormat:
    """How a line becomes key and value."""

    key_separator: bytes | None
    null_marker: bytes | None

    def split(self, line: bytes) -> tuple[bytes | None, bytes | None]:
        """Return key and value.

        Raises:
            ValueError: the line lacks the key separator.
        """
        if self.key_separator is None:
            return None, self._field(line)
        key, found, value = line.partition(self.key_separator)
        if not found:
            raise ValueError(f"no key separator {self.key_separator.decode(errors='replace')!r} in it")
        return self._field(key), self._field(value)

    def _field(self, text: bytes) -> bytes | None:
        return None if self.null_marker is not None and text == self.null_marker else text


@dataclass
class Tally:
    """What became of the records; tells the first errors at once and counts the rest.

    `sent` and `refused` are counted by the thread that reads, `undelivered` by the producer's: no count has two writers.
    """

    topic: str
    cluster: Cluster
    sent: int = 0
    sent_bytes: int = 0
    refused: int = 0
    undelivered: int = 0
    started: float = field(default_factory=time.monotonic)

    def on_delivery(self, _metadata: "RecordMetadata | None", error: Exception | None) -> None:
        """Count a record that the cluster did not take; the producer's delivery callback."""
        if error is not None:
            self.undelivered += 1
            self._tell(f"record not delivered: {self.cluster.explain(error)}")

    def refuse(self, why: str) -> None:
        """Count a line that can't be sent, and show why unless there have been many."""
        self.refused += 1
        self._tell(why)

    @property
    def failed(self) -> int:
        """Lines that did not become records in the topic."""
        return self.refused + self.undelivered

    def _tell(self, why: str) -> None:
        if self.failed <= _ERRORS_SHOWN:
            click.echo(f"odradek: {why}", err=True)
        if self.failed == _ERRORS_SHOWN:
            click.echo("odradek: further errors are only counted", err=True)

    def summary(self) -> str:
        """Say in one line what was delivered, how fast, and what was not."""
        seconds = max(time.monotonic() - self.started, 1e-6)
        delivered = self.sent - self.undelivered
        text = (
            f"{delivered:,} records delivered to {self.topic} "
            f"({self.sent_bytes / 1e6:,.1f} MB in {seconds:,.1f} s, {delivered / seconds:,.0f} records/s)"
        )
        return text + (f", {self.failed:,} failed" if self.failed else "")


class _Meter(Protocol):
    def __call__(self, advance_bytes: int, /) -> None: ...


@contextmanager
def _progress(shown: bool, total_bytes: int | None) -> Iterator[_Meter]:
    """Draw a progress bar on stderr; without one, the meter does nothing."""
    if not shown:
        yield lambda _bytes: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    bar = Progress(
        TextColumn("producing"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True, force_terminal=True),
        transient=True,
    )
    with bar:
        task = bar.add_task("producing", total=total_bytes)
        yield lambda advance_bytes: bar.advance(task, advance_bytes)


def _lines(source: int, stop: StopRequest) -> Iterator[bytes | None]:
    """Yield lines without their ends until the input ends or a stop is asked for; None whenever input is awaited.

    Raises:
        CommandError: a line is too long to be a record by far.
    """
    rest = b""
    while not stop:
        readable, _, _ = select.select([source], [], [], _IDLE_SECONDS)
        if not readable:
            yield None
            continue
        chunk = os.read(source, _CHUNK_BYTES)
        if not chunk:
            if rest:
                yield rest
            return
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield line.removesuffix(b"\r")
        if len(rest) > _MAX_LINE_BYTES:
            raise CommandError(f"a line is longer than {_MAX_LINE_BYTES:,} bytes; is this a text file?")


def _send_all(
    producer: "Producer",
    lines: Iterator[bytes | None],
    form: LineFormat,
    fixed: dict[str, Any],
    tally: Tally,
    meter: _Meter,
) -> None:
    """Hand every line to the producer; its buffer being full makes us wait, not fail."""
    from odradek.errors import OdradekError

    number = 0
    for line in lines:
        if line is None:
            continue
        number += 1
        meter(len(line) + 1)
        try:
            key, value = form.split(line)
            producer.send(tally.topic, value, key, on_delivery=tally.on_delivery, **fixed)
        except (ValueError, OdradekError) as error:
            tally.refuse(f"line {number}: {reason(error)}")
        else:
            tally.sent += 1
            tally.sent_bytes += len(line)


def _flush(producer: "Producer") -> None:
    """Wait until every record is delivered or given up; a second Ctrl-C counts the rest as failed."""
    from odradek.errors import TimeoutError as ClientTimeoutError

    try:
        producer.close()
    except KeyboardInterrupt:
        with suppress(ClientTimeoutError):
            producer.close(timeout=0)


def _split_properties(
    properties: Sequence[tuple[str, str]], key_separator: str | None
) -> tuple[LineFormat, dict[str, str]]:
    """Tell Kafka's line-reader properties from client properties."""
    client = dict(properties)
    separator = client.pop("key.separator", None)
    parse_key = as_flag("parse.key", client.pop("parse.key", "false" if separator is None else "true"))
    marker = client.pop("null.marker", None)
    if key_separator is None and parse_key:
        key_separator = "\t" if separator is None else separator
    if key_separator == "":
        raise click.UsageError("the key separator must not be empty")
    form = LineFormat(
        key_separator=None if key_separator is None else unescape(key_separator),
        null_marker=None if marker is None else unescape(marker),
    )
    return form, client


@click.command(
    cls=Command,
    examples=(
        "echo hello | odradek produce greetings",
        "odradek produce orders --file orders.txt --key-separator : --compression zstd",
        "odradek produce orders --header source=web --acks all --property linger.ms=50 < orders.txt",
    ),
)
@click.argument("topic")
@click.option(
    "--file",
    "path",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Read lines from here, not from stdin.",
)
@click.option("--key-separator", metavar="TEXT", help=r"What stands before this is the key; \t is a tab.")
@click.option("--header", "headers", type=KEY_VALUE, multiple=True, help="Put this header on every record.")
@click.option("--partition", type=click.IntRange(min=0), help="Send to this partition, not by key.")
@click.option(
    "--acks",
    type=click.Choice(["0", "1", "all"]),
    default="all",
    show_default=True,
    help="Who must have a record before it counts: nobody, the leader, every in-sync replica.",
)
@click.option("--compression", type=click.Choice(_COMPRESSIONS), default="none", show_default=True)
@click.option(
    "--property",
    "properties",
    type=KEY_VALUE,
    multiple=True,
    help="parse.key, key.separator, null.marker as Kafka's tool has them, or any client property (linger.ms=50).",
)
@click.option("--progress/--no-progress", default=None, help="Show a progress bar (default: on a terminal).")
@click.option("--quiet", "-q", is_flag=True, help="No summary.")
@connection_options
def produce(
    cluster: Cluster,
    topic: str,
    path: Path | None,
    key_separator: str | None,
    headers: Sequence[tuple[str, str]],
    partition: int | None,
    acks: str,
    compression: str,
    properties: Sequence[tuple[str, str]],
    progress: bool | None,
    quiet: bool,
) -> None:
    """Send each line of stdin, or of a file, to TOPIC as a record.

    Ctrl-C sends what has been read, then stops with exit code 130. If any record failed the exit code is 1.
    """
    form, client = _split_properties(properties, key_separator)
    producer = cluster.producer(
        **{
            "acks": acks,
            "compression.type": compression,
            **client,
        }
    )
    with cluster.doing(f"find topic {topic}"):
        found = producer.partitions_for(topic, min(cluster.timeout, _CREATION_PATIENCE_SECONDS))
    if partition is not None and partition not in found:
        raise CommandError(f"topic {topic} has no partition {partition}; it has {len(found)}")
    fixed: dict[str, Any] = {"headers": [(name, text.encode()) for name, text in headers]} if headers else {}
    if partition is not None:
        fixed["partition"] = partition
    tally = Tally(topic, cluster)
    with ExitStack() as stack:
        source = stack.enter_context(path.open("rb")).fileno() if path else sys.stdin.fileno()
        stop = stack.enter_context(stop_on_signals())
        shown = progress if progress is not None else sys.stderr.isatty() and not os.isatty(source)
        try:
            with _progress(shown, path.stat().st_size if path else None) as meter:
                _send_all(producer, _lines(source, stop), form, fixed, tally, meter)
        finally:
            _flush(producer)
    if not quiet:
        click.echo(tally.summary(), err=True)
    if tally.failed:
        click.get_current_context().exit(1)
    click.get_current_context().exit(stop.exit_code)
