"""`odradek doctor`: why can't this machine talk to that cluster? What is checked: `diagnosis.py`."""

import asyncio
import time
import uuid
from dataclasses import asdict

import click

from odradek.cli.cluster import Cluster, command_config_option, timeout_option
from odradek.cli.command import Command
from odradek.cli.diagnosis import Finding, examine
from odradek.cli.failures import CommandError
from odradek.cli.output import json_option, print_json

__all__ = ["doctor"]

_COLOURS = {"ok": "green", "warning": "yellow", "problem": "red"}


@click.command(
    cls=Command,
    examples=(
        "odradek doctor kafka.example.org:9092",
        "odradek doctor localhost:9092 --round-trip",
        "odradek doctor a:9092,b:9092 --json",
    ),
)
@click.argument("bootstrap", metavar="HOST:PORT[,...]")
@click.option("--round-trip", is_flag=True, help="Also write a record to a topic made for it, read it back, delete it.")
@command_config_option
@timeout_option(5.0, "How long each step may take.")
@json_option
def doctor(bootstrap: str, round_trip: bool, client_properties: dict[str, str], timeout: float, as_json: bool) -> None:
    """Check the way to a cluster step by step; each problem comes with its cure.

    Resolves and connects to each server of BOOTSTRAP, asks for API versions and metadata, tries every address that
    the brokers advertise, and looks for partitions without leader. Exit code 1 if there is a problem.
    """
    from odradek.config.client import parse_bootstrap

    findings: list[Finding] = []

    def note(finding: Finding) -> None:
        findings.append(finding)
        if not as_json:
            _print(finding)

    async def run() -> None:
        async for finding in examine(parse_bootstrap(bootstrap, "BOOTSTRAP"), client_properties, timeout):
            note(finding)

    asyncio.run(run())
    if round_trip and all(finding.verdict != "problem" for finding in findings):
        note(_round_trip(Cluster(bootstrap, client_properties, timeout)))
    if as_json:
        print_json([asdict(finding) for finding in findings])
    if any(finding.verdict == "problem" for finding in findings):
        raise click.exceptions.Exit(1)


def _print(finding: Finding) -> None:
    label = click.style(f"{finding.verdict:8}", fg=_COLOURS[finding.verdict], bold=finding.verdict != "ok")
    click.echo(f"{label} {finding.check:10} {finding.text}")
    if finding.cure:
        click.echo(f"{'':8} {'':10} -> {finding.cure}")


def _round_trip(cluster: Cluster) -> Finding:
    """Write a record to a new topic with acks=all, read it back, and delete the topic."""
    from odradek.client.admin.values import NewTopic
    from odradek.errors import OdradekError
    from odradek.types import TopicPartition

    topic = f"odradek-doctor-{uuid.uuid4()}"
    value = uuid.uuid4().bytes
    timeout = cluster.timeout
    try:
        with cluster.admin() as admin:
            admin.create_topics([NewTopic(topic, partitions=1)])
            try:
                began = time.monotonic()
                with cluster.producer(**{"max.block.ms": max(1, int(timeout * 1000))}) as producer:
                    producer.send(topic, value).result(timeout)
                written = time.monotonic()
                with cluster.consumer(**{"auto.offset.reset": "earliest"}) as consumer:
                    consumer.assign([TopicPartition(topic, 0)])
                    records = consumer.poll(timeout)
                read = time.monotonic()
            finally:
                admin.delete_topics([topic])
    except (OdradekError, CommandError) as error:
        return Finding("round-trip", "problem", str(error), "the steps above went well: look into the brokers' logs")
    if [record.value for record in records] != [value]:
        return Finding(
            "round-trip",
            "problem",
            f"wrote one record to {topic}, read {len(records)} back within {timeout:g} s",
            "raise --timeout; if that does not help look into the brokers' logs",
        )
    return Finding(
        "round-trip",
        "ok",
        f"a record was written in {(written - began) * 1000:.0f} ms and read back in {(read - written) * 1000:.0f} ms, "
        "connecting included",
    )
