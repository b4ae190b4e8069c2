"""Read in a group and let the consumer commit: what `poll` has returned counts as read, and the next run goes on there.

A crash may bring the records of the last seconds (`auto_commit_interval_ms`) once more; none is left out.
"""

from run_example import run

import odradek


def main(
    bootstrap_servers: str, topic: str = "orders", group_id: str = "mailer", run_length: int = 3, runs: int = 2
) -> list[list[bytes]]:
    read: list[list[bytes]] = []
    for _ in range(runs):
        with odradek.Consumer(bootstrap_servers, group_id=group_id, auto_offset_reset="earliest") as consumer:
            consumer.subscribe(topic)
            values: list[bytes] = []
            for record in consumer:
                values.append(record.value)
                if len(values) == run_length:
                    break  # records fetched ahead but not seen are not committed
        print(f"this run read {values}")
        read.append(values)
    return read


if __name__ == "__main__":
    run(main, orders=[b"order %d" % number for number in range(6)])
