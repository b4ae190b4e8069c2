"""Hand partitions over cleanly: a worker keeps a count by partition, and commits it before another worker goes on.

The count travels as the metadata of the committed offset, so that the next owner begins with it.
"""

import threading
from collections.abc import Iterable

from run_example import run

import odradek
from odradek import TopicPartition
from odradek.types import OffsetAndMetadata


class Worker:
    """Counts the records of the partitions that are its own at the moment."""

    def __init__(self, bootstrap_servers: str, topic: str, group_id: str, total: int) -> None:
        self._topic = topic
        self._total = total
        self._counts: dict[TopicPartition, int] = {}
        self.events: list[tuple[str, frozenset[TopicPartition]]] = []
        self.assigned = threading.Event()
        self.consumer = odradek.Consumer(
            bootstrap_servers, group_id=group_id, enable_auto_commit=False, auto_offset_reset="earliest"
        )

    def on_assigned(self, partitions: list[TopicPartition]) -> None:
        self.events.append(("assigned", frozenset(partitions)))
        for partition, committed in self.consumer.committed(partitions).items():
            self._counts[partition] = int(committed.metadata or 0) if committed else 0
        self.assigned.set()

    def on_revoked(self, partitions: list[TopicPartition]) -> None:
        self.events.append(("revoked", frozenset(partitions)))
        self.save(partitions)  # still ours until this returns
        for partition in partitions:
            self._counts.pop(partition, None)

    def on_lost(self, partitions: list[TopicPartition]) -> None:
        self.events.append(("lost", frozenset(partitions)))
        for partition in partitions:  # somebody else's already: what was not committed is counted there
            self._counts.pop(partition, None)

    def save(self, partitions: Iterable[TopicPartition]) -> None:
        self.consumer.commit(
            {one: OffsetAndMetadata(self.consumer.position(one), str(self._counts[one])) for one in partitions}
        )

    def work(self, finished: threading.Event) -> None:
        with self.consumer as consumer:
            consumer.subscribe(
                self._topic, on_assigned=self.on_assigned, on_revoked=self.on_revoked, on_lost=self.on_lost
            )
            while not finished.is_set():
                for record in consumer.poll(timeout=0.1):
                    self._counts[TopicPartition(record.topic, record.partition)] += 1
                if sum(consumer.lag().values()) == 0 and consumer.assignment():
                    self.save(consumer.assignment())


def main(
    bootstrap_servers: str, topic: str = "orders", group_id: str = "counters", records: int = 100
) -> tuple[Worker, Worker, int]:
    first, second = (Worker(bootstrap_servers, topic, group_id, records) for _ in range(2))
    finished = threading.Event()
    threads = [threading.Thread(target=worker.work, args=(finished,)) for worker in (first, second)]

    def send() -> None:
        producer.send_many(topic, [b"order"] * records, keys=[b"%d" % number for number in range(records)]).result(30)

    def counted() -> int:
        offsets = admin.list_group_offsets(group_id)
        return sum(int(committed.metadata or 0) for committed in offsets.values())

    with odradek.Producer(bootstrap_servers) as producer, odradek.Admin(bootstrap_servers) as admin:
        send()
        threads[0].start()
        first.assigned.wait(30)
        threads[1].start()  # joins the group; the first worker gives up some of its partitions
        second.assigned.wait(30)
        send()
        while counted() < 2 * records:
            pass
        finished.set()
        for thread in threads:
            thread.join()
        total = counted()
    for name, worker in (("first", first), ("second", second)):
        for event, partitions in worker.events:
            print(f"{name}: {event} {sorted(one.partition for one in partitions)}")
    print(f"{total} records counted")
    return first, second, total


if __name__ == "__main__":
    run(main, partitions=4)
