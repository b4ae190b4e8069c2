"""kcat, where it is installed."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable

import pytest

KCAT = shutil.which("kcat") or shutil.which("kafkacat")
pytestmark = [
    pytest.mark.skipif(KCAT is None, reason="kcat is not installed"),
    pytest.mark.brokers("odradek", "kafka"),
]


def kcat(bootstrap: str, *arguments: str, text: str | None = None) -> str:
    """Run kcat and return its output."""
    command = [str(KCAT), "-b", bootstrap, *arguments]
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=40, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("codec", ["none", "gzip", "snappy", "lz4", "zstd"])
def test_lines_go_in_and_come_out(codec: str, bootstrap: str, topic: str) -> None:
    lines = [f"k{n}:value {n}" for n in range(500)]
    kcat(bootstrap, "-P", "-t", topic, "-p", "0", "-K:", "-z", codec, text="\n".join(lines))
    found = kcat(bootstrap, "-C", "-t", topic, "-p", "0", "-o", "beginning", "-e", "-q", "-f", "%k:%s\n")
    assert found.splitlines() == lines


def test_metadata_is_listed(bootstrap: str, make_topic: Callable[..., str]) -> None:
    name = make_topic(partitions=3)
    listed = json.loads(kcat(bootstrap, "-L", "-J", "-t", name))
    (row,) = [row for row in listed["topics"] if row["topic"] == name]
    assert len(row["partitions"]) == 3
    assert listed["brokers"][0]["name"] == bootstrap


def test_offset_is_found_by_time(bootstrap: str, topic: str) -> None:
    kcat(bootstrap, "-P", "-t", topic, "-p", "0", text="one\ntwo")
    stamps = kcat(bootstrap, "-C", "-t", topic, "-p", "0", "-o", "beginning", "-e", "-q", "-f", "%T\n").split()
    assert kcat(bootstrap, "-Q", "-t", f"{topic}:0:{stamps[0]}").split()[-1] == "0"


def test_group_balances_and_reads(bootstrap: str, topic: str, unique: Callable[[str], str]) -> None:
    kcat(bootstrap, "-P", "-t", topic, "-p", "0", text="one\ntwo\nthree")
    found = kcat(bootstrap, "-G", unique("group"), "-c", "3", "-q", "-X", "auto.offset.reset=earliest", topic)
    assert found.split() == ["one", "two", "three"]
