"""Send records and see where they went."""

from run_example import run

import odradek
from odradek.types import RecordMetadata


def main(bootstrap_servers: str, topic: str = "orders") -> list[RecordMetadata]:
    with odradek.Producer(bootstrap_servers, key_serializer="str", value_serializer="json") as producer:
        futures = [
            producer.send(topic, {"order": number, "total": 9.5 * number}, key=f"customer-{number % 2}")
            for number in range(5)
        ]  # nothing waits here: records gather in batches, and a thread of Rust sends them
        written = [future.result(timeout=30) for future in futures]
    for metadata in written:
        print(f"{metadata.topic}-{metadata.partition} at offset {metadata.offset}")
    return written


if __name__ == "__main__":
    run(main)
