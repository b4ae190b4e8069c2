"""Read one partition without a group: from a time on, to where it ends now."""

from run_example import run

import odradek


def main(bootstrap_servers: str, topic: str = "orders", partition: int = 0, since_ms: int = 0) -> list[bytes]:
    one = odradek.TopicPartition(topic, partition)
    values: list[bytes] = []
    with odradek.Consumer(bootstrap_servers) as consumer:
        consumer.assign([one])
        found = consumer.offsets_for_times({one: since_ms})[one]
        end = consumer.end_offsets(one)[one]
        start = end if found is None else found.offset
        consumer.seek(one, start)
        while consumer.position(one) < end:
            values += [record.value for record in consumer.poll(timeout=10) if record.offset < end]
    print(f"{one.topic}-{one.partition}, offsets {start} to {end - 1}: {values}")
    return values


if __name__ == "__main__":
    run(main, orders=[b"order %d" % number for number in range(6)])
