"""What is measured and with what: odradek's command and version, the load generator's build."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from benches.versus import machine
from benches.versus.session import ROOT

if TYPE_CHECKING:
    from benches.versus.brokers import Kafka


def build_loadgen() -> None:
    """Build the load generator."""
    build = ["cargo", "build", "--release", "--quiet", "--package", "odradek-loadgen"]
    subprocess.run(build, cwd=ROOT, check=True)


def describe(kafka: Kafka | None) -> dict[str, str]:
    """Name what was measured, and the machine."""
    peer = {"Apache Kafka": f"{kafka.version}, {java_version()}, heap of 1 GiB"} if kafka else {}
    return {"odradek": odradek_version(), **peer, **machine.describe()}


def odradek_command(given: str | None) -> list[str]:
    """Return the command of the broker under test; refuse a build that was not made to be fast."""
    command = shlex.split(given) if given else [str(Path(sys.executable).parent / "odradek")]
    script = "import odradek._native as n; print(n.build_profile())"
    profile = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    if profile.stdout.strip() != "release":
        raise SystemExit(f"the extension is not a release build ({profile.stdout or profile.stderr}): run `make build`")
    return command


def odradek_version() -> str:
    """Return version and commit."""
    script = "import odradek; print(odradek.__version__)"
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False).stdout.strip()
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return f"{said or 'unknown'} ({commit.stdout.strip() or 'no commit known'})"


def java_version() -> str:
    """Return the name of the Java runtime."""
    said = subprocess.run(["java", "-version"], capture_output=True, text=True, check=False).stderr
    return said.splitlines()[1].split("(")[0].strip() if said.count("\n") > 1 else "java"
