"""The real command as a process, for the command line's tests."""

import json
import os
import signal
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from tempfile import TemporaryFile
from typing import Any
from unittest.mock import patch

import pytest

COMMAND = [sys.executable, "-P", "-m", "odradek"]
_LIMIT_SECONDS = 45
_STREAMS = ("stdin", "stdout", "stderr")


@dataclass(frozen=True)
class Outcome:
    """What a finished command left."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def error_line(self) -> str:
        """The one line that a failure is."""
        lines = self.err.splitlines()
        assert len(lines) == 1, self.err
        assert lines[0].startswith("odradek: ")
        return lines[0]


@dataclass
class Running:
    """A command under way."""

    process: subprocess.Popen[bytes]

    def read_line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().decode().rstrip("\n")

    def write(self, text: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(text.encode())
        self.process.stdin.flush()

    def interrupt(self) -> Outcome:
        """Send Ctrl-C and wait for the end."""
        self.process.send_signal(signal.SIGINT)
        return self.finish()

    def finish(self) -> Outcome:
        out, err = self.process.communicate(timeout=_LIMIT_SECONDS)
        return Outcome(self.process.returncode, out.decode(), err.decode())


def run_command(*arguments: str, stdin: bytes | str = b"", bootstrap: str = "127.0.0.1:1") -> Outcome:
    """Run a command to its end, by the entry point of the real command.

    In this process: the interpreter and the client library are loaded once and not for each of some hundred commands.
    Its standard streams are files, as a shell might have it. `run_process` pays for a process of its own.
    """
    from odradek.cli import main

    with ExitStack() as stack:
        streams = {name: stack.enter_context(TemporaryFile("w+", encoding="utf-8")) for name in _STREAMS}
        streams["stdin"].buffer.write(stdin.encode() if isinstance(stdin, str) else stdin)
        streams["stdin"].seek(0)
        for name, stream in streams.items():
            stack.enter_context(patch.object(sys, name, stream))
        stack.enter_context(patch.dict(os.environ, environment(bootstrap), clear=True))
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        texts = {}
        for name in ("stdout", "stderr"):
            streams[name].flush()
            streams[name].seek(0)
            texts[name] = streams[name].buffer.read().decode()
    return Outcome(int(str(ended.value.code)), texts["stdout"], texts["stderr"])


def run_process(*arguments: str, stdin: bytes = b"", bootstrap: str = "127.0.0.1:1") -> Outcome:
    """Run a command to its end as a process of its own."""
    done = subprocess.run(
        [*COMMAND, *arguments],
        input=stdin,
        capture_output=True,
        timeout=_LIMIT_SECONDS,
        check=False,
        env=environment(bootstrap),
    )
    return Outcome(done.returncode, done.stdout.decode(), done.stderr.decode())


def environment(bootstrap: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ODRADEK_")}
    return {**kept, "ODRADEK_BOOTSTRAP_SERVERS": bootstrap}
