"""Run the session.   python -m benches.versus_clients [--quick] [--rounds N] [--only CASES [--keep]] [--broker kafka]."""

from __future__ import annotations

import argparse
import dataclasses
import importlib.metadata
import json
import sys
import tempfile
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benches.versus import under_test
from benches.versus.brokers import Broker, Kafka, Odradek
from benches.versus.record import Record
from benches.versus.report import measured
from benches.versus.session import RunFailedError, Session
from benches.versus_clients import report
from benches.versus_clients.cases import BOUND, CASES, KEY_BYTES, LIMIT, LIMIT_RECORDS_S, PARTITIONS, WIDE
from benches.versus_clients.job import Job
from confluent_kafka import Consumer, TopicPartition

if TYPE_CHECKING:
    from benches.versus_clients.cases import Case

HERE = Path(__file__).resolve().parent
LIBRARIES = ("odradek", "confluent-kafka", "aiokafka", "kafka-python")
FILL_MB = {False: 1500, True: 500}
WIDE_MB = 600


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="benches.versus_clients", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="shorter runs")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="", help=f"comma-separated, of: {', '.join(CASES)}")
    parser.add_argument("--clients", default=",".join(LIBRARIES), help="leave libraries out")
    parser.add_argument("--keep", action="store_true", help="keep the earlier rows of cases that are not run now")
    parser.add_argument("--broker", choices=("odradek", "kafka"), default="odradek")
    parser.add_argument("--odradek", help="the command; default: the odradek beside this Python")
    parser.add_argument("--out", type=Path, default=HERE, help="folder of RESULTS.md and results.jsonl")
    parser.add_argument("--port", type=int, default=29292)
    return parser.parse_args()


class Comparison:
    """One case in one round: the topics, and each library in turn."""

    def __init__(self, session: Session, case: Case, record: Record) -> None:
        self._session = session
        self._case = case
        self._record = record
        self._seconds = 2.0 if session.quick else 5.0

    def run(self, clients: list[str]) -> None:
        """Run the libraries in the order given; one that fails is written down and does not stop the others."""
        prefix = self._session.new_topic(self._case.partitions)
        if self._case.reads:
            self._fill(f"{prefix}0")
        for client in clients:
            row = {"round": self._session.round_number, "client": client, "case": self._case.name}
            try:
                self._record({**row, **self._one(client, f"{prefix}0")})
            except Exception as error:  # noqa: BLE001  # the other libraries' figures are worth having
                traceback.print_exc()
                self._record({**row, "failed": f"{type(error).__name__}: {error}"[:400]})
        self._session.delete(prefix)

    def _one(self, client: str, topic: str) -> dict[str, Any]:
        if client == LIMIT:
            return self._limit(topic)
        job = Job(self._session.broker.address, topic, self._case.size, self._seconds, self._case.codec, BOUND)
        before = written(self._session.broker.address, topic, self._case.partitions) if self._case.writes else 0
        found = self._session.run(drive(client, self._case.workloads[client], job))
        said = found.json()
        if self._case.writes:
            arrived = written(job.address, topic, self._case.partitions) - before
            if arrived != said["records"]:
                raise RunFailedError(f"{said['records']} records were sent, {arrived} are in the topic")
        return {**said, **dataclasses.asdict(found.usage), "disturbed": found.usage.disturbed}

    def _limit(self, topic: str) -> dict[str, Any]:
        options = {"topic": topic, "partitions": self._case.partitions, "connections": 1, "warmup": 0.3, "seconds": 2}
        raw = self._session.loadgen("fetch", **options).json()["records_s"]
        return {"records_s": min(raw, LIMIT_RECORDS_S), "raw_records_s": raw}

    def _fill(self, topic: str) -> None:
        """Write what will be read: by raw sockets, or (with a codec) by librdkafka, keys of 8 bytes where sizes are checked."""
        case = self._case
        if case.codec != "none":
            job = Job(self._session.broker.address, topic, case.size, self._seconds, case.codec, BOUND)
            self._session.run(drive("confluent-kafka", "fill", job))
            return
        megabytes = WIDE_MB if case.partitions == WIDE else FILL_MB[self._session.quick]
        self._session.loadgen(
            "produce", topic=topic, partitions=case.partitions, connections=PARTITIONS, in_flight=5, key_bytes=KEY_BYTES,
            records=max(1, 65_536 // case.size), record_bytes=case.size, warmup=0, seconds=60, megabytes=megabytes,
        )  # fmt: skip


def drive(client: str, workload: str, job: Job) -> list[str]:
    """Return the command line of one run of one library."""
    module = "benches.versus_clients.drive"
    return [sys.executable, "-W", "ignore", "-m", module, client, workload, json.dumps(dataclasses.asdict(job))]


def written(address: str, topic: str, partitions: int) -> int:
    """Count the records of a topic by its end offsets."""
    consumer = Consumer({"bootstrap.servers": address, "group.id": "none", "log_level": 0})
    try:
        ends = [
            consumer.get_watermark_offsets(TopicPartition(topic, each), timeout=10)[1] for each in range(partitions)
        ]
    finally:
        consumer.close()
    return sum(ends)


def versions(clients: list[str]) -> dict[str, str]:
    """Return the other libraries' versions."""
    return {each: importlib.metadata.version(each) for each in LIBRARIES if each in clients and each != "odradek"}


def main() -> None:
    """Run everything and write the results."""
    args = arguments()
    wanted = [name for name in args.only.split(",") if name] or list(CASES)
    if unknown := set(wanted) - set(CASES):
        raise SystemExit(f"no such case: {', '.join(sorted(unknown))}")
    allowed = [*args.clients.split(","), LIMIT]
    under_test.build_loadgen()
    args.out.mkdir(parents=True, exist_ok=True)
    record = Record(args.out / "results.jsonl", keep=args.keep)
    with tempfile.TemporaryDirectory(prefix="odradek-clients-") as work:
        kafka = Kafka(Path(work), args.port) if args.broker == "kafka" else None
        command = under_test.odradek_command(args.odradek)
        broker: Broker = kafka or Odradek(Path(work), args.port, command)
        broker.start()
        try:
            make = _sessions(broker, kafka, record, quick=args.quick)
            make(0).loadgen("ready")
            if kafka:
                make(0).warm_up()
            for number in range(1, args.rounds + 1):
                for name in wanted:
                    clients = [each for each in CASES[name].workloads if each in allowed]
                    Comparison(make(number), CASES[name], record).run(clients if number % 2 else clients[::-1])
        finally:
            broker.kill()
            what = {"broker": broker.name, **under_test.describe(kafka), **versions(allowed)}
            record.about(rounds=args.rounds, quick=args.quick, **what)
            (args.out / "RESULTS.md").write_text(report.markdown(record.rows))
            print("\n".join(report.comparison(measured(record.rows))))


def _sessions(broker: Broker, kafka: Kafka | None, record: Record, *, quick: bool) -> Any:
    def make(number: int) -> Session:
        return Session(broker, kafka, record, quick=quick, round_number=number)

    return make


if __name__ == "__main__":
    main()
