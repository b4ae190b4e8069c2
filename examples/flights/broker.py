"""The broker as a process of its own: start, kill -9, start again, and how much memory it takes."""

import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from flights.source import DemoError

__all__ = ["OWN_BROKER", "BrokerProcess"]

OWN_BROKER = f"{shlex.quote(sys.executable)} -m odradek serve --data-dir {{data_dir}} --listen 127.0.0.1:{{port}}"
_START_SECONDS = 30.0
_KIB = 1024


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class BrokerProcess:
    """One broker on one port and one data directory, over several lives of its process."""

    def __init__(self, command: str, directory: Path) -> None:
        """Prepare; nothing runs yet.

        Args:
            command: with `{data_dir}` and `{port}` in it; it must become the broker, not start it in the background.
            directory: for the data directory and the broker's output.
        """
        self._port = _free_port()
        self._arguments = shlex.split(command.format(data_dir=directory / "data", port=self._port))
        self._log = directory / "broker.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def bootstrap_servers(self) -> str:
        """Where clients connect."""
        return f"127.0.0.1:{self._port}"

    def start(self) -> float:
        """Start the process; return how many seconds it took until it answered."""
        began = time.monotonic()
        with self._log.open("ab") as log:
            # A session of its own: Ctrl-C is for the demo, which then stops the broker.
            try:
                self._process = subprocess.Popen(
                    self._arguments, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
                )
            except OSError as error:
                raise DemoError(f"can't run {self._arguments[0]}: {error.strerror}") from error
        while not self._answers():
            if self._process.poll() is not None:
                raise DemoError(f"the broker stopped with exit code {self._process.returncode}: {self._last_words()}")
            if time.monotonic() - began > _START_SECONDS:
                raise DemoError(f"the broker did not answer within {_START_SECONDS:g} s: {self._last_words()}")
            time.sleep(0.01)
        return time.monotonic() - began

    def _answers(self) -> bool:
        """Tell whether the broker accepts connections and answers an ApiVersions request."""
        request = bytes.fromhex("00000012 0012 0000 00000001 0008") + b"odradek?"
        try:
            with socket.create_connection(("127.0.0.1", self._port), timeout=1) as connection:
                connection.sendall(request)
                return len(connection.recv(1)) == 1
        except OSError:
            return False

    def _last_words(self) -> str:
        lines = self._log.read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it said nothing"

    def memory_mib(self) -> tuple[float, float]:
        """Return the resident memory now and at its greatest, in MiB."""
        if self._process is None:
            raise DemoError("the broker is not running")
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        fields = dict(line.split(":", 1) for line in status.splitlines())
        now, most = (int(fields[name].split()[0]) / _KIB for name in ("VmRSS", "VmHWM"))
        return now, most

    def kill(self) -> None:
        """Kill the process without warning, as a power cut would."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """Ask the process to stop, and kill it if it does not; no process is no error."""
        if self._process is not None and self._process.poll() is None:
            self._end(signal.SIGTERM)

    def _end(self, number: signal.Signals) -> None:
        if self._process is None:
            return
        os.kill(self._process.pid, number)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None
