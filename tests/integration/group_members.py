"""Members of consumer groups for the integration tests: three client libraries behind one small shape.

`until` polls all members until something holds. Run as a program this file is one librdkafka member in a process of its own, to be killed:
`python group_members.py BOOTSTRAP GROUP TOPIC [consumer]` prints a line once it owns something; `consumer` is the protocol of KIP-848.
"""

import queue
import sys
import threading
import time
from concurrent.futures import Future

from confluent_kafka import Consumer, TopicPartition

SESSION_MS = 6_000
PATIENCE_S = 40.0


def until(members, condition, what):
    """Poll the members in turn until the condition holds; fail when patience ends."""
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end, f"never happened: {what}"
        for member in members:
            member.poll()


def share(*members, partitions):
    """Return whether the members own all partitions, each exactly one of them, and nobody owns none."""
    owned = [partition for member in members for partition in member.owned()]
    return sorted(owned) == list(range(partitions)) and all(member.owned() for member in members)


class Librdkafka:
    """confluent-kafka, which is librdkafka."""

    def __init__(self, bootstrap, group, topic, **config):
        self.values = []
        self.revoked = []
        """Partitions that were taken away, in order."""
        self.generations = 0
        """How often the client was given an assignment, empty or not."""
        # In the consumer protocol the broker says how often, and how long a session is.
        times = {"session.timeout.ms": SESSION_MS, "heartbeat.interval.ms": 500}
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": group,
                "auto.offset.reset": "earliest",
                "enable.auto.commit": False,
                "log_level": 0,
                **({} if config.get("group.protocol") == "consumer" else times),
                **config,
            }
        )
        self._consumer.subscribe([topic], on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._revoked)

    def _assigned(self, _consumer, _partitions):
        self.generations += 1

    def _revoked(self, _consumer, partitions):
        self.revoked += [one.partition for one in partitions]

    def poll(self):
        record = self._consumer.poll(0.05)
        if record is not None and record.error() is None:
            self.values.append(record.value())

    def owned(self):
        return [one.partition for one in self._consumer.assignment()]

    def commit(self):
        self._consumer.commit(asynchronous=False)

    def committed(self, topic, partitions):
        asked = [TopicPartition(topic, partition) for partition in range(partitions)]
        return [one.offset for one in self._consumer.committed(asked, timeout=10)]

    def close(self):
        """Leave the group."""
        self._consumer.close()


class KafkaPython:
    """kafka-python, polled by a thread of its own.

    Its poll gives up a rebalance that is not complete when the poll's time ends and joins again, so members that are
    polled in turn for a moment each would rebalance for ever.
    """

    def __init__(self, bootstrap, group, topic, **config):
        from kafka import KafkaConsumer

        self.values = []
        self._consumer = KafkaConsumer(
            topic,
            bootstrap_servers=bootstrap,
            group_id=group,
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            session_timeout_ms=SESSION_MS,
            heartbeat_interval_ms=500,
            **config,
        )
        self._asked = queue.SimpleQueue()
        self._polled = threading.Event()
        self._over = False
        self._thread = threading.Thread(target=self._poll_on, daemon=True)
        self._thread.start()

    def _poll_on(self):
        while not self._over:
            while not self._asked.empty():
                answer, question = self._asked.get()
                try:
                    answer.set_result(question())
                except Exception as error:  # noqa: BLE001  handed to whoever asked
                    answer.set_exception(error)
            for records in self._consumer.poll(timeout_ms=1_000, max_records=1_000).values():
                self.values += [record.value for record in records]
            self._polled.set()

    def _ask(self, question):
        """Have the polling thread call `question` between two polls; a lock would never be free for long enough."""
        answer = Future()
        self._asked.put((answer, question))
        return answer.result()

    def poll(self):
        """Wait a moment for the thread to have polled."""
        self._polled.wait(0.1)
        self._polled.clear()

    def owned(self):
        return [one.partition for one in self._consumer.assignment()]

    def commit(self):
        self._ask(self._consumer.commit)

    def committed(self, topic, partitions):
        from kafka import TopicPartition as Named

        return self._ask(lambda: [self._consumer.committed(Named(topic, index)) for index in range(partitions)])

    def close(self):
        self._over = True
        self._thread.join()
        self._consumer.close()


def main():
    """Be a member until killed."""
    bootstrap, group, topic, *protocol = sys.argv[1:]
    member = Librdkafka(bootstrap, group, topic, **({"group.protocol": protocol[0]} if protocol else {}))
    until([member], member.owned, "an assignment")
    sys.stdout.write("owns\n")
    sys.stdout.flush()
    while True:
        member.poll()


if __name__ == "__main__":
    main()
