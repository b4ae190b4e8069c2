"""Make tests/vectors/kafka_transactions on a running Apache Kafka: `python make_kafka_transactions.py HOST:PORT DATA_DIR OUT`.

Two transactional producers write to one partition so that the order of abort markers differs from the order of first offsets:
offsets 0 and 1 belong to two transactions that abort in the order second, first; then one commits, one aborts, one stays open.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

TOPIC = "ledger"


def main(bootstrap: str, data_dir: Path, out: Path) -> None:
    """Write the transactions and copy the partition's files."""
    admin = AdminClient({"bootstrap.servers": bootstrap})
    admin.create_topics([NewTopic(TOPIC, 1, 1)])[TOPIC].result()
    first, second = (
        Producer({"bootstrap.servers": bootstrap, "transactional.id": name, "transaction.timeout.ms": 900_000})
        for name in ("first", "second")
    )
    for producer in (first, second):
        producer.init_transactions()

    def write(producer: Producer, value: str) -> None:
        producer.produce(TOPIC, value=value)
        producer.flush()

    first.begin_transaction()
    write(first, "first aborts")  # 0
    second.begin_transaction()
    write(second, "second aborts before it")  # 1
    second.abort_transaction()  # 2: marker
    write(first, "first aborts too")  # 3
    first.abort_transaction()  # 4: marker
    second.begin_transaction()
    for number in range(3):
        write(second, f"committed {number}")  # 5, 6, 7
    second.commit_transaction()  # 8: marker
    plain = Producer({"bootstrap.servers": bootstrap})
    write(plain, "outside of transactions")  # 9
    first.begin_transaction()
    write(first, "aborted again")  # 10
    first.abort_transaction()  # 11: marker
    second.begin_transaction()
    write(second, "committed last")  # 12
    second.commit_transaction()  # 13: marker
    first.begin_transaction()
    write(first, "never ended")  # 14
    write(plain, "behind the open transaction")  # 15
    out.mkdir(parents=True, exist_ok=True)
    for path in (data_dir / f"{TOPIC}-0").iterdir():
        shutil.copy(path, out / path.name)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
