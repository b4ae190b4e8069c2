"""The two brokers as processes: started afresh or on kept data, stopped, killed. One node on loopback each."""

from __future__ import annotations

import abc
import contextlib
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

from benches.versus import machine

if TYPE_CHECKING:
    from collections.abc import Mapping

HERE = Path(__file__).resolve().parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "odradek-peers"
STOP_TIMEOUT_S = 60
# The same behaviour on both sides where the defaults would make a case measure a timer or the disk.
SETTINGS = {
    "group.initial.rebalance.delay.ms": "0",
    "log.segment.delete.delay.ms": "1000",
    "offsets.topic.replication.factor": "1",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "auto.create.topics.enable": "false",
}


class Broker(abc.ABC):
    """A broker that may run or not. `pid` and `address` are valid while it runs."""

    name: str

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder / self.name
        self.port = port
        self.address = f"127.0.0.1:{port}"
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Process id of the running broker."""
        if self.process is None:
            raise RuntimeError(f"{self.name} is not running")
        return self.process.pid

    @abc.abstractmethod
    def prepare(self) -> None:
        """Write what the first start needs into the empty folder; not part of the start that is timed."""

    @abc.abstractmethod
    def command(self) -> list[str]:
        """Say what to execute."""

    def environment(self) -> dict[str, str]:
        """Environment of the process."""
        return dict(os.environ)

    def start(self, *, keep: bool = False) -> float:
        """Execute the broker without waiting for it; return the time (epoch) just before.

        Args:
            keep: start on the data that is there, else on none.
        """
        if not keep:
            shutil.rmtree(self.folder, ignore_errors=True)
            self.folder.mkdir(parents=True)
            self.prepare()
        with (self.folder / "out.log").open("ab") as log:
            at = time.time()
            # A group of its own, so that Ctrl-C does not reach it, but no session of its own: Linux shares the processor out
            # by session first (autogroup), so that priorities would not count between broker and clients.
            self.process = subprocess.Popen(
                self.command(), stdout=log, stderr=log, stdin=subprocess.DEVNULL, process_group=0,
                env=self.environment(),
            )  # fmt: skip
        return at

    def check(self) -> None:
        """Raise with the end of the broker's log if it has died."""
        if self.process is not None and self.process.poll() is not None:
            tail = (self.folder / "out.log").read_text(errors="replace")[-2000:]
            raise RuntimeError(f"{self.name} ended with {self.process.returncode}:\n{tail}")

    def stop(self) -> float:
        """Stop as an operator would; return the seconds it took."""
        return self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Stop as a crash would."""
        self._end(signal.SIGKILL)

    def _end(self, number: int) -> float:
        if self.process is None:
            return 0.0
        since = time.monotonic()
        pids = machine.tree(self.process.pid)
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(number)
        try:
            self.process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self.process.wait()
        self.process = None
        return time.monotonic() - since


def peers_home() -> Path:
    """Return the folder that tests/support/get_kafka.sh fills, or $PEERS_HOME."""
    return Path(os.environ.get("PEERS_HOME") or CACHE)


class Kafka(Broker):
    """Apache Kafka: one combined broker and controller, its own start script's JVM flags.

    Args:
        folder: where its folder is made.
        port: where it listens; its controller listens 1,000 above unless told otherwise.
        controller_port: where its controller listens.
        heap: of the JVM, as -Xmx takes it.
        settings: for server.properties, over SETTINGS.
    """

    name = "kafka"

    def __init__(
        self,
        folder: Path,
        port: int,
        *,
        controller_port: int | None = None,
        heap: str = "1g",
        settings: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(folder, port)
        self.controller_port = controller_port or port + 1000
        self.heap = heap
        self.settings = {**SETTINGS, **(settings or {})}
        self.libs = peers_home() / "kafka" / "libs"
        if not any(self.libs.glob("kafka_2.13-*.jar")):
            raise SystemExit(f"no Kafka in {self.libs}: run tests/support/get_kafka.sh, or set PEERS_HOME")

    @property
    def version(self) -> str:
        """From the name of the jar."""
        return next(self.libs.glob("kafka_2.13-*.jar")).stem.removeprefix("kafka_2.13-")

    def java(self, *flags: str) -> list[str]:
        """Begin a command line of any class in the jars; logs go where log4j2 says, next to this file."""
        return ["java", *flags, f"-Dlog4j2.configurationFile={HERE / 'log4j2.properties'}", "-cp", f"{self.libs}/*"]

    def prepare(self) -> None:
        controller = self.controller_port
        settings = {
            "process.roles": "broker,controller",
            "node.id": "1",
            "controller.quorum.voters": f"1@127.0.0.1:{controller}",
            "listeners": f"PLAINTEXT://{self.address},CONTROLLER://127.0.0.1:{controller}",
            "advertised.listeners": f"PLAINTEXT://{self.address}",
            "controller.listener.names": "CONTROLLER",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "log.dirs": str(self.folder / "data"),
            **self.settings,
        }
        file = self.folder / "server.properties"
        file.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
        format_data = ["kafka.tools.StorageTool", "format", "-t", "bmV2ZXJ0aGVsZXNzMDAwMA", "-c", str(file)]
        subprocess.run([*self.java("-Xmx128m"), *format_data], check=True, capture_output=True)

    def command(self) -> list[str]:
        flags = (
            f"-Xms{self.heap}", f"-Xmx{self.heap}", "-server", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20",
            "-XX:InitiatingHeapOccupancyPercent=35", "-XX:+ExplicitGCInvokesConcurrent", "-Djava.awt.headless=true",
        )  # fmt: skip
        return [*self.java(*flags), "kafka.Kafka", str(self.folder / "server.properties")]


class Odradek(Broker):
    """The broker under test, by its command line."""

    name = "odradek"

    def __init__(self, folder: Path, port: int, executable: list[str]) -> None:
        super().__init__(folder, port)
        self.executable = executable

    def prepare(self) -> None:
        """Nothing: the first start makes the data directory."""

    def command(self) -> list[str]:
        sets = [word for name, value in SETTINGS.items() for word in ("--set", f"{name}={value}")]
        data = str(self.folder / "data")
        return [
            *self.executable,
            "serve",
            "--data-dir",
            data,
            "--listen",
            self.address,
            "--log-level",
            "warning",
            *sets,
        ]
