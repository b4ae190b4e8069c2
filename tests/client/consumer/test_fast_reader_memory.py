"""What a consumer that reads as quickly as it can takes of memory: no more than it was told, with a thousand partitions.

It was twice as much once: answers of 32 MiB came from the heap, which kept what was freed between those that were kept.
"""

import os
import subprocess
import sys

import pytest

import odradek

BOUND = 64 << 20
PARTITIONS = 1_000
RECORDS = 300_000
RECORD_BYTES = 1_024

READER = """
import sys
from pathlib import Path
import odradek

bootstrap, topic, bound, records = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])

def anonymous():
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("RssAnon"))

with odradek.Consumer(bootstrap, auto_offset_reset="earliest", buffer_max_bytes=bound) as consumer:
    partitions = [odradek.TopicPartition(topic, number) for number in consumer.partitions_for(topic)]
    before, highest, seen = anonymous(), 0, 0
    consumer.assign(partitions)
    while seen < records:
        found = len(consumer.poll(timeout=20, max_records=1_000))
        if not found:
            raise SystemExit(f"{seen} of {records} records")
        seen += found
        highest = max(highest, anonymous())
    print(highest - before)
"""


@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_fast_reader_of_a_thousand_partitions_stays_under_its_bound(bootstrap, make_topic):
    topic = make_topic(partitions=PARTITIONS)
    values = [os.urandom(RECORD_BYTES) for _ in range(1_000)]
    with odradek.Producer(bootstrap, linger_ms=50) as producer:
        for first in range(0, RECORDS, len(values)):
            keys = [b"%d" % number for number in range(first, first + len(values))]
            producer.send_many(topic, values, keys)
        producer.flush(120)
    command = [sys.executable, "-W", "ignore", "-c", READER, bootstrap, topic, str(BOUND), str(RECORDS)]
    growth = int(subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout)
    assert growth < BOUND, f"it grew by {growth / 2**20:.0f} MiB"
