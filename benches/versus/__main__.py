"""Run the session.   python -m benches.versus [--quick] [--rounds N] [--only CASES [--keep]]."""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benches.versus import machine, report
from benches.versus.brokers import Broker, Kafka, Odradek
from benches.versus.cases import LIFE, LOAD
from benches.versus.session import ROOT, Session

if TYPE_CHECKING:
    from benches.versus.cases import Case

HERE = Path(__file__).resolve().parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "odradek-peers"


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="benches.versus", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer and shorter cases")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="", help=f"comma-separated, of: {', '.join([*LIFE, *LOAD])}")
    parser.add_argument("--brokers", default="kafka,odradek")
    parser.add_argument("--odradek", help="the command; default: the odradek beside this Python")
    parser.add_argument("--out", type=Path, default=HERE, help="folder of RESULTS.md and results.jsonl")
    parser.add_argument("--work", type=Path, help="folder of the brokers' data; default: a temporary one")
    parser.add_argument("--port", type=int, default=29492)
    parser.add_argument("--keep", action="store_true", help="keep the earlier rows of cases that are not run now")
    return parser.parse_args()


def odradek_command(given: str | None) -> list[str]:
    """Return the command of the broker under test; refuse a build that was not made to be fast."""
    command = shlex.split(given) if given else [str(Path(sys.executable).parent / "odradek")]
    script = "import odradek._native as n; print(n.build_profile())"
    profile = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    if profile.stdout.strip() != "release":
        raise SystemExit(f"the extension is not a release build ({profile.stdout or profile.stderr}): run `make build`")
    return command


class Record:
    """Keeps the rows and writes each one down at once.

    With `keep`, the file's earlier rows stay until their case is measured again.
    """

    def __init__(self, file: Path, *, keep: bool = False) -> None:
        self._file = file
        earlier = file.read_text().splitlines() if keep and file.exists() else []
        self._earlier: list[dict[str, Any]] = [json.loads(line) for line in earlier]
        self._now: list[dict[str, Any]] = []
        self._write()

    @property
    def rows(self) -> list[dict[str, Any]]:
        """All rows, the earlier ones first."""
        return self._earlier + self._now

    @property
    def earlier(self) -> int:
        """How many rows are an earlier session's."""
        return len(self._earlier)

    def __call__(self, row: dict[str, Any]) -> None:
        """Add a row."""
        row = {name: round(value, 4) if isinstance(value, float) else value for name, value in row.items()}
        self._now.append(row)
        print(json.dumps(row), flush=True)
        left = [each for each in self._earlier if each["case"] != row["case"]]
        if len(left) < len(self._earlier):
            self._earlier = left
            self._write()
        else:
            with self._file.open("a") as out:
                out.write(json.dumps(row) + "\n")

    def _write(self) -> None:
        self._file.write_text("".join(json.dumps(row) + "\n" for row in self.rows))


def attempt(name: str, case: Case, session: Session) -> None:
    """Run a case; one that fails is written down and does not end the session."""
    try:
        case(session)
    except Exception as error:  # noqa: BLE001  # whatever a case meets, the other cases are worth their figures
        traceback.print_exc()
        session.report(name, {"failed": f"{type(error).__name__}: {error}"[:400]})


def warm_up(session: Session) -> None:
    """Let a JIT compile what will be measured: some seconds of mixed load, on both brokers alike."""
    prefix = session.new_topic(6)
    topic = f"{prefix}0"
    for options in ({}, {"connections": 8}, {"connections": 6, "in_flight": 5, "records": 64, "record_bytes": 1024}):
        session.loadgen("produce", topic=topic, partitions=6, warmup=0, seconds=3, megabytes=1500, **options)
    session.loadgen("fetch", topic=topic, partitions=6, connections=6, warmup=0, seconds=3)
    session.delete(prefix)


def life(names: list[str], rounds: int, brokers: list[Broker], make: Any) -> None:
    """Cases that start and stop the broker; nothing else runs meanwhile."""
    for number in range(1, rounds + 1):
        for name in names:
            for broker in brokers if number % 2 else reversed(brokers):
                attempt(name, LIFE[name], make(broker, number))
                broker.kill()


def load(names: list[str], rounds: int, brokers: list[Broker], make: Any) -> None:
    """Cases on brokers that keep running; which of the two goes first alternates by round."""
    for broker in brokers:
        broker.start()
        make(broker, 0).loadgen("ready")
        warm_up(make(broker, 0))
    for number in range(1, rounds + 1):
        for name in names:
            for broker in brokers if number % 2 else reversed(brokers):
                attempt(name, LOAD[name], make(broker, number))
                if broker.process is not None and broker.process.poll() is not None:
                    broker.start(keep=True)
                    make(broker, number).loadgen("ready")
        for broker in brokers:
            time.sleep(1)
            make(broker, number).report("memory after the load cases", machine.memory_mb(broker.pid))
    for broker in brokers:
        broker.stop()


def main() -> None:
    """Run everything and write the results."""
    args = arguments()
    peers_home = Path(os.environ.get("PEERS_HOME") or CACHE)
    wanted = [name for name in args.only.split(",") if name] or [*LIFE, *LOAD]
    if unknown := set(wanted) - {*LIFE, *LOAD}:
        raise SystemExit(f"no such case: {', '.join(sorted(unknown))}")
    build = ["cargo", "build", "--release", "--quiet", "--package", "odradek-loadgen"]
    subprocess.run(build, cwd=ROOT, check=True)
    with tempfile.TemporaryDirectory(prefix="odradek-versus-") as temporary:
        work = args.work or Path(temporary)
        kafka = Kafka(work, args.port, peers_home)
        known: dict[str, Broker] = {"kafka": kafka}
        if "odradek" in args.brokers:
            known["odradek"] = Odradek(work, args.port + 1, odradek_command(args.odradek))
        brokers = [known[name] for name in args.brokers.split(",")]
        args.out.mkdir(parents=True, exist_ok=True)
        record = Record(args.out / "results.jsonl", keep=args.keep)

        def make(broker: Broker, number: int) -> Session:
            return Session(broker, kafka, record, quick=args.quick, round_number=number)

        try:
            life([name for name in LIFE if name in wanted], args.rounds, brokers, make)
            if names := [name for name in LOAD if name in wanted]:
                load(names, args.rounds, brokers, make)
        finally:
            for broker in brokers:
                broker.kill()
            about = {
                "date": dt.datetime.now(dt.UTC).strftime("%Y-%m-%d"),
                "odradek": _odradek_version(),
                "Apache Kafka": f"{kafka.version}, {_java_version()}, heap of 1 GiB",
                **machine.describe(),
                "session": f"{args.rounds} rounds{', quick' if args.quick else ''}",
            }
            if record.earlier:
                about["kept"] = f"{record.earlier} rows are of an earlier session"
            (args.out / "RESULTS.md").write_text(report.markdown(record.rows, about))
            found = report.lines([row for row in record.rows if "failed" not in row])
            print("\n".join([*report.table(found), report.score(found), *report.failures(record.rows)]))


def _odradek_version() -> str:
    script = "import odradek; print(odradek.__version__)"
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False).stdout.strip()
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return f"{said or 'unknown'} ({commit.stdout.strip() or 'no commit known'})"


def _java_version() -> str:
    said = subprocess.run(["java", "-version"], capture_output=True, text=True, check=False).stderr
    return said.splitlines()[1].split("(")[0].strip() if said.count("\n") > 1 else "java"


if __name__ == "__main__":
    main()
