"""Apache Kafka's own command line tools, run from the jars that tests/support/get_kafka.sh fetches."""

from __future__ import annotations

import shutil
import subprocess

from benches.versus.brokers import peers_home

LIBS = peers_home() / "kafka" / "libs"
"""Where get_kafka.sh puts the jars."""
MISSING = (
    ""
    if LIBS.is_dir() and shutil.which("java")
    else f"needs java and Apache Kafka in {LIBS}: tests/support/get_kafka.sh"
)
"""Why the tests marked `peer` can't run; empty when they can."""
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
