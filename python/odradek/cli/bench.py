"""`odradek bench`: how fast a cluster takes records, gives them back, and passes one through.

Latencies of `produce` are of a sample of records: a callback for each would measure the callbacks.
"""

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import click

from odradek.cli.cluster import Cluster, connection_options
from odradek.cli.command import Group
from odradek.cli.failures import CommandError
from odradek.cli.meter import Meter
from odradek.cli.output import json_option, print_json
from odradek.cli.parameters import KEY_VALUE
from odradek.cli.signals import StopRequest, leave_on_signals

if TYPE_CHECKING:
    from odradek.client.producer.producer import Producer
    from odradek.types import RecordMetadata

__all__ = ["bench"]

_SAMPLES = 20_000
_PACE_SECONDS = 0.005
"""A paced run sends what is due this often."""
_CHUNK = 1000
_POLL_RECORDS = 10_000
_IDLE_SECONDS = 10.0
_LAST_SECONDS = 1.0
"""How long an interrupted run waits for its last acknowledgements, or for its last commit and to leave the group."""

_records = click.option(
    "--records", type=click.IntRange(min=1), default=1_000_000, show_default=True, metavar="N", help="How many records."
)
_size = click.option(
    "--record-size",
    type=click.IntRange(0, 64 << 20),
    default=100,
    show_default=True,
    metavar="BYTES",
    help="Size of each value.",
)
_acks = click.option("--acks", type=click.Choice(["0", "1", "all"]), default="all", show_default=True)
_compression = click.option(
    "--compression", type=click.Choice(["none", "gzip", "snappy", "lz4", "zstd"]), default="none", show_default=True
)
_property = click.option(
    "--property",
    "properties",
    type=KEY_VALUE,
    multiple=True,
    metavar="NAME=VALUE",
    help="A client option under Kafka's name, such as linger.ms=20; may be repeated.",
)
_quiet = click.option("--quiet", is_flag=True, help="Show no progress.")


@click.group(
    cls=Group,
    examples=(
        "odradek bench produce perf --records 5000000 --record-size 100 --compression lz4",
        "odradek bench consume perf --records 5000000",
        "odradek bench roundtrip perf --records 2000 --acks all --json",
    ),
)
def bench() -> None:
    """Measure a cluster: producing, consuming, and the way through it."""


def _payload(size: int) -> Callable[[int], bytes]:
    """Return a maker of values: letters drawn once, half of them alike, so that codecs have something to do."""
    generator = random.Random(7)
    letters = bytes(generator.choices(b"abcdefghijklmnopqrstuvwxyz     ", k=size + 997))
    return lambda number: letters[number % 997 : number % 997 + size]


def _finish(cluster: Cluster, meter: Meter, stop: StopRequest, as_json: bool) -> None:
    if as_json:
        print_json(meter.result())
    else:
        click.echo(meter.summary())
    if stop:
        raise click.exceptions.Exit(stop.exit_code)
    if meter.failed:
        why = "" if meter.error is None else f": {cluster.explain(meter.error)}"
        raise CommandError(f"{meter.failed:,} records were not delivered{why}")


@bench.command(
    examples=(
        "odradek bench produce perf",
        "odradek bench produce perf --rate 10000 --records 600000 --acks 1 --property linger.ms=0",
    )
)
@click.argument("topic")
@_records
@_size
@click.option(
    "--rate", type=click.FloatRange(min=1), metavar="N", help="Records a second; as fast as it goes if left out."
)
@_acks
@_compression
@_property
@_quiet
@json_option
@connection_options
def produce(
    cluster: Cluster,
    topic: str,
    records: int,
    record_size: int,
    rate: float | None,
    acks: str,
    compression: str,
    properties: tuple[tuple[str, str], ...],
    quiet: bool,
    as_json: bool,
) -> None:
    """Send records to TOPIC and tell how fast they were acknowledged."""
    producer = _producer(cluster, topic, {"acks": acks, "compression.type": compression, **dict(properties)})
    meter = Meter("sent", records, shown=not quiet)
    with cluster.doing(f"produce to {topic}"), _measuring(producer) as stop:
        _send(producer, topic, meter, record_size, rate)
        producer.flush()
        meter.end()
    if stop:
        meter.end()
    delivered = int(producer.metrics()["record_send_total"])
    meter.failed = meter.records - delivered
    meter.records = delivered
    meter.bytes = meter.records * record_size
    _finish(cluster, meter, stop, as_json)


def _send(producer: "Producer", topic: str, meter: Meter, record_size: int, rate: float | None) -> None:
    """Send the meter's total of records, at this rate or as fast as it goes."""
    value = _payload(record_size)
    every = -(-meter.total // _SAMPLES)

    def sampled(sent: float) -> "Callable[[RecordMetadata | None, Exception | None], None]":
        def note(_metadata: "RecordMetadata | None", error: Exception | None) -> None:
            if error is None:
                meter.latencies_ms.append((time.perf_counter() - sent) * 1000)
            elif meter.error is None:
                meter.error = error

        return note

    send = producer.send
    number = 0
    meter.begin()
    try:
        while number < meter.total:
            due = meter.total if rate is None else min(meter.total, int(meter.seconds * rate) + 1)
            due = min(due, number + _CHUNK)
            while number < due:
                number += 1
                if number % every:
                    send(topic, value(number))
                else:
                    send(topic, value(number), on_delivery=sampled(time.perf_counter()))
            meter.records, meter.bytes = number, number * record_size
            meter.show()
            if rate is not None and number >= int(meter.seconds * rate) + 1:
                time.sleep(_PACE_SECONDS)
    finally:
        meter.records = number


@bench.command(examples=("odradek bench consume perf --records 5000000", "odradek bench consume perf --group readers"))
@click.argument("topic")
@_records
@click.option(
    "--group", metavar="ID", help="Read as a member of this group; without, all partitions from the beginning."
)
@_property
@_quiet
@json_option
@connection_options
def consume(
    cluster: Cluster,
    topic: str,
    records: int,
    group: str | None,
    properties: tuple[tuple[str, str], ...],
    quiet: bool,
    as_json: bool,
) -> None:
    """Read records of TOPIC and tell how fast they came; ends when none has come for 10 s."""
    from odradek.types import TopicPartition

    settings = {"auto.offset.reset": "earliest", **dict(properties)}
    if group is not None:
        settings["group.id"] = group
    consumer = cluster.consumer(**settings)
    partitions = len(cluster.topic(cluster.admin(), topic).partitions)
    meter = Meter("read", records, shown=not quiet)

    def joined(_partitions: object) -> None:
        if not meter.records:
            meter.begin()

    with cluster.doing(f"read {topic}"), leave_on_signals() as stop:
        if group is None:
            consumer.assign([TopicPartition(topic, number) for number in range(partitions)])
        else:
            consumer.subscribe([topic], on_assigned=joined)
        meter.begin()
        last = time.perf_counter()
        while meter.records < records and time.perf_counter() - last < _IDLE_SECONDS:
            batch = consumer.poll(0.2, max_records=min(_POLL_RECORDS, records - meter.records))
            if not batch:
                meter.show()
                continue
            last = time.perf_counter()
            meter.records += len(batch)
            meter.bytes += sum(len(record.value or b"") + len(record.key or b"") for record in batch)
            meter.show()
    meter.end()
    if stop:
        consumer.close(_LAST_SECONDS)
    _finish(cluster, meter, stop, as_json)
    if meter.records < records:
        raise CommandError(
            f"only {meter.records:,} of {records:,} records came; then none for {_IDLE_SECONDS:g} s "
            f"(`odradek bench produce {topic}` makes more)"
        )


@bench.command(examples=("odradek bench roundtrip perf --records 5000 --record-size 1000",))
@click.argument("topic")
@click.option(
    "--records", type=click.IntRange(min=1), default=10_000, show_default=True, metavar="N", help="How many records."
)
@_size
@_acks
@_compression
@_property
@_quiet
@json_option
@connection_options
def roundtrip(
    cluster: Cluster,
    topic: str,
    records: int,
    record_size: int,
    acks: str,
    compression: str,
    properties: tuple[tuple[str, str], ...],
    quiet: bool,
    as_json: bool,
) -> None:
    """Send one record at a time to TOPIC and wait until it has been read: the latency from end to end."""
    from odradek.types import TopicPartition

    sending = {"acks": acks, "compression.type": compression, "linger.ms": "0", **dict(properties)}
    producer = _producer(cluster, topic, sending)
    consumer = cluster.consumer()
    value = _payload(record_size)
    place = TopicPartition(topic, 0)
    meter = Meter("passed", records, shown=not quiet)
    with cluster.doing(f"pass records through {topic}"), _measuring(producer) as stop:
        consumer.assign([place])
        consumer.seek_to_end([place])
        consumer.position(place, timeout=cluster.timeout)
        meter.begin()
        while meter.records < records:
            sent = time.perf_counter()
            future = producer.send(topic, value(meter.records), partition=0)
            offset = -1
            while offset < 0:
                offset = next((record.offset for record in consumer.poll(cluster.timeout)), -1)
                if offset < 0:
                    raise CommandError(f"a record sent to {topic} was not read back within {cluster.timeout:g} s")
            meter.latencies_ms.append((time.perf_counter() - sent) * 1000)
            meter.records += 1
            meter.bytes += record_size
            if acks != "0" and future.result(cluster.timeout).offset != offset:
                raise CommandError(f"somebody else writes to partition 0 of {topic}; take a topic of your own")
            meter.show()
    meter.end()
    _finish(cluster, meter, stop, as_json)


def _producer(cluster: Cluster, topic: str, settings: dict[str, str]) -> "Producer":
    """Return a producer that has found the topic: that is over before the clock starts."""
    producer = cluster.producer(**settings)
    with cluster.doing(f"find topic {topic}"):
        producer.partitions_for(topic, cluster.timeout)
    return producer


@contextmanager
def _measuring(producer: "Producer") -> Iterator[StopRequest]:
    """Leave the block at a signal, and close the producer: records under way after a signal or an error have a moment."""
    from odradek.errors import TimeoutError as ClientTimeoutError

    grace: float | None = _LAST_SECONDS
    try:
        with leave_on_signals() as stop:
            yield stop
            grace = None
    finally:
        with suppress(ClientTimeoutError):  # what was not delivered counts as failed
            producer.close(grace)
