"""kill -9 with a log that was not flushed by the broker, then the next start; nothing that was acked may be gone."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benches.versus.session import Session

PARTITIONS = 6
RECORD_BYTES = 1024


def run(session: Session) -> None:
    """Write 1 GiB (quick: 256 MiB), kill, start, write to each partition again."""
    broker = session.broker
    broker.start()
    session.loadgen("ready")
    megabytes = 256 if session.quick else 1024
    options = {"prefix": session.new_topic(PARTITIONS), "partitions": PARTITIONS}
    load = session.loadgen(
        "produce", topic=f"{options['prefix']}0", partitions=PARTITIONS, connections=PARTITIONS, in_flight=5,
        records=64, record_bytes=RECORD_BYTES, warmup=0, seconds=60, megabytes=megabytes,
    )  # fmt: skip
    acked = load.json()["requests"] * 64
    broker.kill()
    watcher = subprocess.Popen(session.loadgen_command("writable", **options), stdout=subprocess.PIPE, text=True)
    at = broker.start(keep=True)
    said, _ = watcher.communicate(timeout=150)
    times = json.loads(said)
    if times["records_before"] < acked:
        raise RuntimeError(f"{acked} records were acked, {times['records_before']} are there after the kill")
    session.report(
        f"kill -9 with {megabytes} MiB of log",
        {"start_s": times["api_versions_at"] - at, "all_writable_s": times["all_writable_at"] - at},
    )
    broker.stop()
