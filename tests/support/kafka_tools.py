"""Apache Kafka's own command line tools, run from the jars that tests/support/get_kafka.sh fetches."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

HOME = os.environ.get("PEERS_HOME")
LIBS = Path(HOME or "/nowhere") / "kafka" / "libs"
MISSING = (
    "" if LIBS.is_dir() and shutil.which("java") else "Apache Kafka's jars (PEERS_HOME/kafka/libs) or java are not here"
)
SECONDS = 90.0


def run(tool: str, *arguments: str, text: str | None = None) -> str:
    """Run a tool to its end and return its output.

    Args:
        tool: class name; without a package, one of org.apache.kafka.tools.
    """
    name = tool if "." in tool else f"org.apache.kafka.tools.{tool}"
    command = ["java", "-Xmx256m", "-XX:TieredStopAtLevel=1", "-cp", f"{LIBS}/*", name, *arguments]
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert done.returncode == 0, f"{tool} {arguments} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
    return done.stdout
