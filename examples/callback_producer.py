"""Send without keeping futures: a callback hears of each record, delivered or failed."""

from collections.abc import Sequence

from run_example import run

import odradek
from odradek.errors import KafkaError
from odradek.types import RecordMetadata


class Tally:
    """Counts what came of the records. It is called on the producer's delivery thread, one call after the other."""

    def __init__(self) -> None:
        self.delivered: list[RecordMetadata] = []
        self.failed: list[Exception] = []

    def __call__(self, metadata: RecordMetadata | None, error: Exception | None) -> None:
        if metadata is not None:
            self.delivered.append(metadata)
        elif error is not None:
            self.failed.append(error)


def main(
    bootstrap_servers: str, topic: str = "orders", values: Sequence[bytes] = (b"one", b"two", b"three" * 400)
) -> Tally:
    with odradek.Admin(bootstrap_servers) as admin:
        admin.create_topics(odradek.NewTopic(topic, configs={"max.message.bytes": "1000"}))
    tally = Tally()
    with odradek.Producer(bootstrap_servers, on_delivery=tally) as producer:
        for value in values:
            producer.send(topic, value)
    # leaving the block has waited for all of them
    print(f"{len(tally.delivered)} delivered")
    for error in tally.failed:
        reason = error.error_code.name if isinstance(error, KafkaError) else type(error).__name__
        print(f"failed: {reason}: {error}")
    return tally


if __name__ == "__main__":
    run(main)
