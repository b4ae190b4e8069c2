"""What a case is given: the broker, ways to load it, and a place for its figures."""

from __future__ import annotations

import dataclasses
import itertools
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benches.versus import machine
from confluent_kafka.admin import AdminClient, NewTopic

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from benches.versus.brokers import Broker, Kafka

ROOT = Path(__file__).resolve().parents[2]
LOADGEN = ROOT / "target" / "release" / "odradek-loadgen"
WRITEBACK_MB = 64
# One for all sessions: a case that failed leaves its topics to a broker that the next case meets.
TOPICS = itertools.count(1)

Figures = dict[str, Any]


class RunFailedError(Exception):
    """A client ended with an error; its last words are the message."""


@dataclasses.dataclass
class Finished:
    """What a client process left."""

    lines: list[str]
    usage: machine.Usage

    def json(self) -> Figures:
        """Read the last line that is a JSON object."""
        for line in reversed(self.lines):
            if line.startswith("{"):
                return dict(json.loads(line))
        raise RunFailedError(" | ".join(self.lines[-3:])[:400] or "no output")


class Session:
    """One broker in one round. Cases call it; every figure goes through `report`."""

    def __init__(self, broker: Broker, kafka: Kafka | None, record: Any, *, quick: bool, round_number: int) -> None:
        self.broker = broker
        self.kafka = kafka
        self.quick = quick
        self.round_number = round_number
        self._record = record

    def report(self, case: str, figures: Mapping[str, Any], usage: machine.Usage | None = None) -> None:
        """Write down what a case found."""
        used = {} if usage is None else {**dataclasses.asdict(usage), "disturbed": usage.disturbed}
        self._record(
            {"round": self.round_number, "broker": self.broker.name, "case": case, **figures, **used},
        )

    # ------------------------------------------------------------------ topics

    def new_topic(self, partitions: int = 1, topics: int = 1, **settings: str) -> str:
        """Make topics named PREFIX0, PREFIX1, ... that take records at once; return the prefix."""
        prefix = f"v{self.round_number}-{os.getpid()}-{next(TOPICS)}-"
        self.create([f"{prefix}{index}" for index in range(topics)], partitions, settings)
        self.loadgen("writable", prefix=prefix, topics=topics, partitions=partitions)
        return prefix

    def create(self, names: Sequence[str], partitions: int, settings: Mapping[str, str] | None = None) -> None:
        """Make topics by one request."""
        config = dict(settings or {})
        new = [NewTopic(name, partitions, 1, config=config) for name in names]
        admin = self.admin()  # its futures die with it
        for future in admin.create_topics(new, request_timeout=90, operation_timeout=90).values():
            future.result(100)

    def delete(self, prefix: str, topics: int = 1) -> None:
        """Delete what `new_topic` made, and wait until little of it waits to be written back."""
        admin = self.admin()
        for future in admin.delete_topics([f"{prefix}{index}" for index in range(topics)]).values():
            future.result(60)
        end = time.monotonic() + 20
        while time.monotonic() < end and _dirty_mb() > WRITEBACK_MB:
            time.sleep(0.1)
            os.sync()

    def admin(self) -> Any:
        """Return librdkafka's admin client, which asks any broker the same."""
        return AdminClient({"bootstrap.servers": self.broker.address, "log_level": 0})

    # ------------------------------------------------------------------ load

    def loadgen(self, command: str, **options: Any) -> Finished:
        """Run the raw-socket load generator; options as its own, `_` for `-`."""
        return self.run(self.loadgen_command(command, **options))

    def loadgen_command(self, command: str, **options: Any) -> list[str]:
        """Return the load generator's command line."""
        words = [str(LOADGEN), command, "--address", self.broker.address]
        for name, value in options.items():
            words += [f"--{name.replace('_', '-')}", str(value)]
        return words

    def warm_up(self) -> None:
        """Let a JIT compile what will be measured: some seconds of mixed load, on both brokers alike."""
        prefix = self.new_topic(6)
        topic = f"{prefix}0"
        for options in (
            {},
            {"connections": 8},
            {"connections": 6, "in_flight": 5, "records": 64, "record_bytes": 1024},
        ):
            self.loadgen("produce", topic=topic, partitions=6, warmup=0, seconds=3, megabytes=1500, **options)
        self.loadgen("fetch", topic=topic, partitions=6, connections=6, warmup=0, seconds=3)
        self.delete(prefix)

    def client(self, module: str, *arguments: Any, timeout: float = 120) -> Finished:
        """Run a workload of `benches.versus.clients`."""
        return self.run(self.client_command(module, *arguments), timeout=timeout)

    def client_command(self, module: str, *arguments: Any) -> list[str]:
        """Return the workload's command line."""
        name = f"benches.versus.clients.{module}"
        return [sys.executable, "-W", "ignore", "-m", name, self.broker.address, *map(str, arguments)]

    def java(self, class_name: str, *arguments: str, timeout: float = 120) -> Finished:
        """Run one of Kafka's own tools."""
        if self.kafka is None:
            raise RunFailedError("Kafka's tools are not part of this session")
        return self.run([*self.kafka.java("-Xmx512m", "-XX:+UseG1GC"), class_name, *arguments], timeout=timeout)

    def run(self, command: Sequence[str], timeout: float = 120) -> Finished:
        """Run a client and account for it.

        Raises:
            RunFailedError: it ended with an error or not in time.
        """
        meter = machine.Meter(self.broker.pid)
        process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        killer = threading.Timer(timeout, process.kill)
        killer.start()
        try:
            if process.stdout is None:
                raise RunFailedError("no pipe")
            lines = process.stdout.read().splitlines()
            _, status, used = os.wait4(process.pid, 0)
        finally:
            killer.cancel()
        process.returncode = os.waitstatus_to_exitcode(status)
        usage = meter.stop(used.ru_utime + used.ru_stime)
        self.broker.check()
        if process.returncode != 0:
            said = " | ".join(lines[-3:])[:400]
            raise RunFailedError(
                f"{Path(command[0]).name} ended with {process.returncode} after {usage.wall_s} s: {said}"
            )
        return Finished(lines, usage)


def _dirty_mb() -> float:
    lines = Path("/proc/meminfo").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith(("Dirty:", "Writeback:"))) / 1024
