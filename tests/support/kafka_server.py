"""Apache Kafka itself as a process: one node on loopback, from the jars that tests/support/get_kafka.sh fetches.

How it is configured and run is in `benches/versus/brokers.py`; here is what a test needs on top: free ports, a modest heap, and
waiting until it answers. For its command line tools see `kafka_tools.py`.
"""

from __future__ import annotations

from pathlib import Path

from benches.versus.brokers import Kafka
from kio.schema.errors import ErrorCode

from support import topics
from support.broker import QUICK_GROUPS, free_port
from support.wire import Wire

START_SECONDS = 120.0
# As Kafka comes, where the benchmarks settle on something else.
SETTINGS = {"auto.create.topics.enable": "true", **QUICK_GROUPS}


class KafkaServer:
    """A running Apache Kafka, as the `Broker` protocol of `broker.py` wants it."""

    def __init__(self, folder: Path) -> None:
        self._kafka = Kafka(folder, free_port(), controller_port=free_port(), heap="512m", settings=SETTINGS)
        self.bootstrap = self._kafka.address

    def start(self) -> None:
        """Start and wait until it serves groups and gives out producer ids, which it does a while after it first answers.

        Raises:
            RuntimeError: the process ended; with what it said. AssertionError: it isn't ready in time.
        """
        self._kafka.start()
        try:
            topics.until(self._answers, seconds=START_SECONDS)
            with Wire(self.bootstrap) as wire:
                topics.until(lambda: self._is_ready(wire), seconds=START_SECONDS)
        except BaseException:
            self._kafka.kill()
            raise

    def _answers(self) -> bool:
        from confluent_kafka import KafkaException
        from confluent_kafka.admin import AdminClient

        self._kafka.check()
        try:
            # A client that tries again and again until its second is over.
            AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0}).list_topics(timeout=1)
        except KafkaException:
            return False
        return True

    def _is_ready(self, wire: Wire) -> bool:
        self._kafka.check()
        pid = wire.call("init_producer_id", 1, {"transactional_id": None, "transaction_timeout": 1000})
        wire.call("find_coordinator", 2, {"key": "ready", "key_type": 0})  # has the topic of the offsets made
        beat = wire.call("heartbeat", 2, {"group_id": "ready", "generation_id": 1, "member_id": "nobody"})
        return (pid.error_code, beat.error_code) == (ErrorCode.none, ErrorCode.unknown_member_id)

    def stop(self) -> None:
        """Stop it as an operator would."""
        self._kafka.stop()

    def resident_bytes(self) -> int | None:
        """Nothing is claimed about its memory."""
        return None
