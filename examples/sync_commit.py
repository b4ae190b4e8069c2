"""Commit after the work is done: each record is worked on at least once, whatever crashes when."""

import sqlite3

from run_example import run

import odradek
from odradek.errors import CommitFailedError


def main(
    bootstrap_servers: str,
    topic: str = "orders",
    group_id: str = "bookkeeper",
    count: int = 6,
    database: str = ":memory:",
) -> int:
    books = sqlite3.connect(database)
    books.execute(
        "CREATE TABLE IF NOT EXISTS orders (partition, record_offset, value, UNIQUE (partition, record_offset))"
    )
    done = 0
    with odradek.Consumer(
        bootstrap_servers, group_id=group_id, enable_auto_commit=False, auto_offset_reset="earliest"
    ) as consumer:
        consumer.subscribe(topic)
        while done < count:
            records = consumer.poll(timeout=10, max_records=100)
            with books:  # one transaction; a record that comes again changes nothing
                books.executemany(
                    "INSERT OR IGNORE INTO orders VALUES (?, ?, ?)",
                    [(record.partition, record.offset, record.value) for record in records],
                )
            done += len(records)
            try:
                consumer.commit()  # all that poll has returned so far
            except CommitFailedError as error:
                print(f"another member will get these again: {error}")
    (total,) = books.execute("SELECT count(*) FROM orders").fetchone()
    books.close()
    print(f"{total} orders in the books")
    return int(total)


if __name__ == "__main__":
    run(main, orders=[b"order %d" % number for number in range(6)])
