"""`odradek bench`: how fast a cluster takes records, gives them back, and passes one through.

Latencies of `produce` are of a sample of records: a callback for each would measure the callbacks.
"""

import random
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from odradek.cli.cluster import Cluster, connection_options
from odradek.cli.command import Group
from odradek.cli.failures import CommandError
from odradek.cli.meter import Meter
from odradek.cli.output import json_option, print_json
from odradek.cli.parameters import KEY_VALUE
from odradek.cli.signals import StopRequest, stop_on_signals

if TYPE_CHECKING:
    from odradek.types import RecordMetadata

__all__ = ["bench"]

_SAMPLES = 20_000
_PACE_SECONDS = 0.005
"""A paced run sends what is due this often."""
_CHUNK = 1000
_POLL_RECORDS = 10_000
_IDLE_SECONDS = 10.0

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


def _finish(meter: Meter, stop: StopRequest, as_json: bool) -> None:
    if as_json:
        print_json(meter.result())
    else:
        click.echo(meter.summary())
    if meter.failed:
        raise CommandError(f"{meter.failed:,} records were not delivered")
    if stop:
        raise click.exceptions.Exit(stop.exit_code)


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
    import odradek

    config = {**cluster.properties, "bootstrap.servers": cluster.servers, "acks": acks, "compression.type": compression}
    value = _payload(record_size)
    every = max(1, records // _SAMPLES)
    with stop_on_signals() as stop, odradek.Producer.from_config(config | dict(properties)) as producer:
        _check_topic(cluster, producer.partitions_for, topic)
        meter = Meter("sent", records, shown=not quiet)

        def sampled(sent: float) -> "Callable[[RecordMetadata | None, Exception | None], None]":
            def note(_metadata: "RecordMetadata | None", error: Exception | None) -> None:
                if error is None:
                    meter.latencies_ms.append((time.perf_counter() - sent) * 1000)

            return note

        send = producer.send
        meter.begin()
        number = 0
        while number < records and not stop:
            due = records if rate is None else min(records, int(meter.seconds * rate) + 1)
            due = min(due, number + _CHUNK)
            while number < due:
                if number % every:
                    send(topic, value(number))
                else:
                    send(topic, value(number), on_delivery=sampled(time.perf_counter()))
                number += 1
            meter.records, meter.bytes = number, number * record_size
            meter.show()
            if rate is not None and number >= int(meter.seconds * rate) + 1:
                time.sleep(_PACE_SECONDS)
        producer.flush()
        meter.end()
        meter.failed = int(producer.metrics()["record_error_total"])
        meter.records = number - meter.failed
        meter.bytes = meter.records * record_size
    # The latencies come by callbacks, of which closing waits for the last.
    _finish(meter, stop, as_json)


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
    import odradek

    config: dict[str, Any] = {
        "auto.offset.reset": "earliest",
        **cluster.properties,
        "bootstrap.servers": cluster.servers,
        **dict(properties),
    }
    if group is not None:
        config["group.id"] = group
    with stop_on_signals() as stop, odradek.Consumer.from_config(config) as consumer:
        partitions = _check_topic(cluster, consumer.partitions_for, topic)
        if group is None:
            consumer.assign([odradek.TopicPartition(topic, number) for number in range(partitions)])
        else:
            consumer.subscribe([topic])
        meter = Meter("read", records, shown=not quiet)
        last = time.perf_counter()
        while meter.records < records and not stop and time.perf_counter() - last < _IDLE_SECONDS:
            batch = consumer.poll(0.2, max_records=min(_POLL_RECORDS, records - meter.records))
            if not batch:
                meter.show()
                continue
            if not meter.records:
                meter.begin()  # the first records show that joining, connecting and seeking are over
            last = time.perf_counter()
            meter.records += len(batch)
            meter.bytes += sum(len(record.value or b"") + len(record.key or b"") for record in batch)
            meter.show()
        meter.end()
        _finish(meter, stop, as_json)
        if meter.records < records and not stop:
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
    import odradek

    config = {**cluster.properties, "bootstrap.servers": cluster.servers}
    sending = {**config, "acks": acks, "compression.type": compression, "linger.ms": "0", **dict(properties)}
    value = _payload(record_size)
    with (
        stop_on_signals() as stop,
        odradek.Producer.from_config(sending) as producer,
        odradek.Consumer.from_config(config) as consumer,
    ):
        _check_topic(cluster, producer.partitions_for, topic)
        place = odradek.TopicPartition(topic, 0)
        consumer.assign([place])
        consumer.seek_to_end([place])
        consumer.position(place)
        meter = Meter("passed", records, shown=not quiet)
        while meter.records < records and not stop:
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
        _finish(meter, stop, as_json)


def _check_topic(cluster: Cluster, partitions_for: Callable[[str], Any], topic: str) -> int:
    """Return how many partitions the topic has, before the clock starts; the client's errors say what is wrong."""
    cluster.check_reachable()
    found = partitions_for(topic)
    return found if isinstance(found, int) else len(found)
