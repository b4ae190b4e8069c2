"""Run the session.   python -m benches.versus [--quick] [--rounds N] [--only CASES [--keep]]."""

from __future__ import annotations

import argparse
import tempfile
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benches.versus import machine, report, under_test
from benches.versus.brokers import Broker, Kafka, Odradek
from benches.versus.cases import LIFE, LOAD
from benches.versus.record import Record
from benches.versus.session import Session

if TYPE_CHECKING:
    from benches.versus.cases import Case

HERE = Path(__file__).resolve().parent


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


def attempt(name: str, case: Case, session: Session) -> None:
    """Run a case; one that fails is written down and does not end the session."""
    try:
        case(session)
    except Exception as error:  # noqa: BLE001  # whatever a case meets, the other cases are worth their figures
        traceback.print_exc()
        session.report(name, {"failed": f"{type(error).__name__}: {error}"[:400]})


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
        make(broker, 0).warm_up()
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
    wanted = [name for name in args.only.split(",") if name] or [*LIFE, *LOAD]
    if unknown := set(wanted) - {*LIFE, *LOAD}:
        raise SystemExit(f"no such case: {', '.join(sorted(unknown))}")
    under_test.build_loadgen()
    with tempfile.TemporaryDirectory(prefix="odradek-versus-") as temporary:
        work = args.work or Path(temporary)
        kafka = Kafka(work, args.port)
        known: dict[str, Broker] = {"kafka": kafka}
        if "odradek" in args.brokers:
            known["odradek"] = Odradek(work, args.port + 1, under_test.odradek_command(args.odradek))
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
            record.about(rounds=args.rounds, quick=args.quick, **under_test.describe(kafka))
            (args.out / "RESULTS.md").write_text(report.markdown(record.rows))
            found = report.lines(report.measured(record.rows))
            print("\n".join([*report.table(found), report.score(found), *report.failures(record.rows)]))


if __name__ == "__main__":
    main()
