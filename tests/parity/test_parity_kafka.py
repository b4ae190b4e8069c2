"""Apache Kafka's own kafka-dump-log reads the batches of both twins, in every codec."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from strategies import CODECS
from support import kafka_tools

if TYPE_CHECKING:
    from odradek.record import Codec

# Long enough for several blocks of every framing, and without line ends, which would split a line of the dump.
VALUES = ["short", "", "all work and no play " * 8000, *(f"value {number}" for number in range(200))]
RECORDS = [
    (1_700_000_000_000 + place, b"key-%d" % place, value.encode(), [("name", b"x")])
    for place, value in enumerate(VALUES)
]
RECORD = re.compile(r"\| offset: (\d+) CreateTime: (\d+) .*?headerKeys: \[name\] key: (key-\d+) payload: (.*)$")


@pytest.mark.peer
def test_kafka_dump_log_reads_our_batches_in_every_codec(codec: Codec, tmp_path: Path) -> None:
    segment = tmp_path / "00000000000000000000.log"
    batches = [
        codec.encode_batch(RECORDS, base_offset=number * len(RECORDS), compression=name, partition_leader_epoch=3)
        for number, name in enumerate(CODECS)
    ]
    segment.write_bytes(b"".join(batches))
    options = ["--print-data-log", "--files", str(segment), "--max-message-size", "100000000"]
    dump = kafka_tools.run("DumpLogSegments", *options).splitlines()
    headers = [line for line in dump if line.startswith("baseOffset")]
    assert [re.search(r"compresscodec: (\w+)", line)[1] for line in headers] == list(CODECS)
    assert all(line.endswith("isvalid: true") for line in headers)
    read = [match.groups() for match in map(RECORD.match, dump) if match]
    assert read == [
        (str(number * len(RECORDS) + place), str(timestamp), key.decode(), value.decode())
        for number in range(len(CODECS))
        for place, (timestamp, key, value, _) in enumerate(RECORDS)
    ]
