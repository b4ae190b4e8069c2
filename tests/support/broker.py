"""The broker under test as a process: start, stop, kill, start again.

`BrokerProcess` runs `odradek serve`; `kafka_server.py` has Apache Kafka, against which many of the black-box tests
run, too, and so prove that they state the truth.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Protocol

READY = "odradek ready on "
START_SECONDS = 30.0
STOP_SECONDS = 30.0

# Groups of KIP-848 have these from the broker; Apache Kafka is given the same, as tests would wait long for its own.
QUICK_GROUPS = {
    "group.consumer.heartbeat.interval.ms": "200",
    "group.consumer.min.heartbeat.interval.ms": "100",
    "group.consumer.session.timeout.ms": "6000",
    "group.consumer.min.session.timeout.ms": "1000",
}

# What a test needs to be quick: no waiting for more group members, background jobs at once.
QUICK_SETTINGS = {
    "group.initial.rebalance.delay.ms": "0",
    "log.retention.check.interval.ms": "500",
    "log.cleaner.backoff.ms": "500",
    **QUICK_GROUPS,
}


class Broker(Protocol):
    """A running broker."""

    bootstrap: str

    def resident_bytes(self) -> int | None:
        """Return the process's resident memory; None if it is not ours to look at."""


class BrokerProcess:
    """`odradek serve` on one data directory and one port, which stay the same over restarts."""

    def __init__(self, data_dir: Path, *, port: int = 0, settings: dict[str, str] | None = None) -> None:
        self.data_dir = data_dir
        self.port = port or free_port()
        self.settings = {**QUICK_SETTINGS, **(settings or {})}
        self.log_path = data_dir.with_name(data_dir.name + ".stderr")
        self._process: subprocess.Popen[str] | None = None

    @property
    def bootstrap(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        assert self._process is not None, "not started"
        return self._process.pid

    def command(self) -> list[str]:
        """Return the command line."""
        sets = [part for name, value in self.settings.items() for part in ("--set", f"{name}={value}")]
        return [
            sys.executable,
            "-m",
            "odradek",
            "serve",
            "--data-dir",
            str(self.data_dir),
            "--listen",
            self.bootstrap,
            *sets,
        ]

    def start(self) -> None:
        """Start and wait for the ready line.

        Raises:
            RuntimeError: the process ended or said nothing; with what it logged.
        """
        with self.log_path.open("a") as log:
            self._process = subprocess.Popen(self.command(), stdout=subprocess.PIPE, stderr=log, text=True)
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], START_SECONDS)
        line = self._process.stdout.readline() if ready else ""
        if not line.startswith(READY):
            self.kill()
            raise RuntimeError(
                f"the broker did not start, it said {line!r} and logged:\n{self.log_path.read_text()[-4000:]}"
            )

    def stop(self) -> int:
        """Ask it to end (SIGTERM) and return the exit code."""
        return self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it with SIGKILL, as a power cut of the process."""
        self._end(signal.SIGKILL)

    def pause(self) -> None:
        """Make it stand still (SIGSTOP); returns once it does."""
        os.kill(self.pid, signal.SIGSTOP)
        _, status = os.waitpid(self.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status)

    def go_on(self) -> None:
        """Let it go on after `pause`."""
        os.kill(self.pid, signal.SIGCONT)

    def _end(self, how: signal.Signals) -> int:
        process, self._process = self._process, None
        if process is None:
            return 0
        process.send_signal(how)
        try:
            return process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise
        finally:
            assert process.stdout is not None
            process.stdout.close()

    def resident_bytes(self) -> int | None:
        statm = Path(f"/proc/{self.pid}/statm").read_text()
        return int(statm.split()[1]) * os.sysconf("SC_PAGE_SIZE")


def free_port() -> int:
    """Return a TCP port that nothing listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
