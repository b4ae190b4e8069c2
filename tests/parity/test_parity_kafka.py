"""Apache Kafka's own kafka-dump-log reads the batches of both twins, in every codec.

Its jars are looked for in `KAFKA_LIBS`, else in `$PEERS_HOME/kafka/libs`.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from strategies import CODECS

if TYPE_CHECKING:
    from odradek.record import Codec

LIBS = Path(os.environ.get("KAFKA_LIBS") or Path(os.environ.get("PEERS_HOME", ".peers")) / "kafka" / "libs")
# Long enough for several blocks of every framing, and without line ends, which would split a line of the dump.
VALUES = ["short", "", "all work and no play " * 8000, *(f"value {number}" for number in range(200))]
RECORDS = [
    (1_700_000_000_000 + place, b"key-%d" % place, value.encode(), [("name", b"x")])
    for place, value in enumerate(VALUES)
]
RECORD = re.compile(r"\| offset: (\d+) CreateTime: (\d+) .*?headerKeys: \[name\] key: (key-\d+) payload: (.*)$")


@pytest.mark.peer
def test_kafka_dump_log_reads_our_batches_in_every_codec(codec: Codec, tmp_path: Path) -> None:
    if not LIBS.is_dir() or shutil.which("java") is None:
        pytest.skip("needs java and Apache Kafka's jars (KAFKA_LIBS)")
    segment = tmp_path / "00000000000000000000.log"
    batches = [
        codec.encode_batch(RECORDS, base_offset=number * len(RECORDS), compression=name, partition_leader_epoch=3)
        for number, name in enumerate(CODECS)
    ]
    segment.write_bytes(b"".join(batches))
    command = ["java", "-cp", f"{LIBS}/*", "org.apache.kafka.tools.DumpLogSegments", "--print-data-log"]
    command += ["--files", str(segment), "--max-message-size", "100000000"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    headers = [line for line in result.stdout.splitlines() if line.startswith("baseOffset")]
    assert [re.search(r"compresscodec: (\w+)", line)[1] for line in headers] == list(CODECS)
    assert all(line.endswith("isvalid: true") for line in headers)
    read = [match.groups() for match in map(RECORD.match, result.stdout.splitlines()) if match]
    assert read == [
        (str(number * len(RECORDS) + place), str(timestamp), key.decode(), value.decode())
        for number in range(len(CODECS))
        for place, (timestamp, key, value, _) in enumerate(RECORDS)
    ]
