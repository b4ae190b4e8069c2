"""Commit exactly as far as a record: after a failure the next member begins with the record that failed."""

from run_example import run

import odradek


class PrinterJamError(Exception):
    """The work failed."""


def print_label(value: bytes, *, jammed: bool) -> None:
    if jammed and value == b"order 3":
        raise PrinterJamError(value.decode())
    print(f"printed {value.decode()}")


def main(
    bootstrap_servers: str, topic: str = "orders", group_id: str = "labels", count: int = 6
) -> tuple[list[bytes], list[bytes]]:
    def work(values: list[bytes], *, jammed: bool) -> None:
        with odradek.Consumer(
            bootstrap_servers, group_id=group_id, enable_auto_commit=False, auto_offset_reset="earliest"
        ) as consumer:
            consumer.subscribe(topic)
            for record in consumer:
                print_label(record.value, jammed=jammed)
                consumer.commit(record)  # the offset after this one: this partition is done so far
                values.append(record.value)
                if sum(map(len, (before, after))) == count:
                    break

    before: list[bytes] = []
    after: list[bytes] = []
    try:
        work(before, jammed=True)
    except PrinterJamError as jam:
        print(f"jam at {jam}; somebody else takes over")
    work(after, jammed=False)
    return before, after


if __name__ == "__main__":
    run(main, orders=[b"order %d" % number for number in range(6)])
