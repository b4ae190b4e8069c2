"""Members of consumer groups for the integration tests: three client libraries behind one small shape.

A member is polled from the test's own thread, as a consumer wants to be; `until` polls all of them until something
holds. Run as a program this file is one librdkafka member in a process of its own, to be killed:
`python group_members.py BOOTSTRAP GROUP TOPIC` prints a line once it owns something.
"""

import sys
import time

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
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": group,
                "auto.offset.reset": "earliest",
                "enable.auto.commit": False,
                "session.timeout.ms": SESSION_MS,
                "heartbeat.interval.ms": 500,
                "log_level": 0,
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
    """kafka-python."""

    def __init__(self, bootstrap, group, topic, **config):
        from kafka import KafkaConsumer

        self.values = []
        self._topic = topic
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

    def poll(self):
        for records in self._consumer.poll(timeout_ms=50).values():
            self.values += [record.value for record in records]

    def owned(self):
        return [one.partition for one in self._consumer.assignment()]

    def commit(self):
        self._consumer.commit()

    def committed(self, topic, partitions):
        from kafka import TopicPartition as Named

        return [self._consumer.committed(Named(topic, partition)) for partition in range(partitions)]

    def close(self):
        self._consumer.close()


def main():
    """Be a member until killed."""
    bootstrap, group, topic = sys.argv[1:]
    member = Librdkafka(bootstrap, group, topic)
    until([member], member.owned, "an assignment")
    print("owns", *member.owned(), flush=True)
    while True:
        member.poll()


if __name__ == "__main__":
    main()
