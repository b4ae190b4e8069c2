"""A consumer group of two processes that report what they read to the demo before they commit it.

A member commits a batch only when the demo has said that it has it. So whatever happens to a member, nothing that was
committed is missing, and what was not committed is read again by whoever takes over.
"""

import multiprocessing
import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from typing import Any

from confluent_kafka import Consumer, KafkaException, TopicPartition

from flights.checker import ReadRecord
from flights.source import DemoError

__all__ = ["Member", "reports"]

_BATCH_RECORDS = 2000
_GO_ON, _HOLD, _LEAVE = "go on", "hold", "leave"


def _consume(pipe: "Connection[Any, Any]", settings: dict[str, Any], topic: str) -> None:
    """Run a member; the body of its process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the demo, which then ends us
    consumer = Consumer(settings)
    consumer.subscribe(
        [topic],
        on_assign=lambda _consumer, places: pipe.send(("assigned", [place.partition for place in places])),
    )
    with suppress(EOFError, BrokenPipeError):  # the demo is gone
        while True:
            batch = consumer.consume(_BATCH_RECORDS, timeout=0.2)
            broken = [message.error() for message in batch if message.error()]
            if broken and not broken[0].retriable():
                pipe.send(("failed", broken[0].str()))
                break
            records = [(m.partition(), m.offset(), m.key(), m.value()) for m in batch if not m.error()]
            pipe.send(("records", records))
            told = pipe.recv()
            if told == _LEAVE:
                break
            (consumer.pause if told == _HOLD else consumer.resume)(consumer.assignment())
            ends = {partition: offset + 1 for partition, offset, _, _ in records}
            with suppress(KafkaException):  # the group has moved on; whoever has the partition now reads it again
                if ends:
                    places = [TopicPartition(topic, partition, offset) for partition, offset in ends.items()]
                    consumer.commit(offsets=places, asynchronous=False)
    consumer.close()


class Member:
    """One member's process, seen from the demo."""

    def __init__(self, name: str, settings: dict[str, Any], topic: str) -> None:
        context = multiprocessing.get_context("spawn")
        self.name = name
        self.partitions: list[int] = []
        self.records = 0
        self.pipe, theirs = context.Pipe()
        self._process = context.Process(
            target=_consume, args=(theirs, {**settings, "client.id": name}, topic), name=name, daemon=True
        )
        self._process.start()
        theirs.close()

    def acknowledge(self, *, go_on: bool = True) -> None:
        """Let the member commit its last report; then it reads on, or holds and only stays in the group."""
        self.pipe.send(_GO_ON if go_on else _HOLD)

    def leave(self) -> None:
        """Let the member leave the group and end."""
        self.pipe.send(_LEAVE)
        self._process.join(10)

    def freeze(self) -> None:
        """Stop the process where it stands: no heartbeat, no word to anybody."""
        if self._process.pid is not None:
            os.kill(self._process.pid, signal.SIGSTOP)

    def kill(self) -> None:
        """End the process; works on a frozen one, and again."""
        self._process.kill()
        self._process.join()


def reports(members: list[Member], timeout: float) -> Iterator[tuple[Member, str, list[ReadRecord]]]:
    """Yield what the members report, as it comes: (member, "assigned" or "records", records).

    Args:
        members: those to listen to; take one out to stop listening to it.
        timeout: seconds that all of them may be silent.
    """
    while members:
        ready = wait([member.pipe for member in members], timeout)
        if not ready:
            raise DemoError(f"no member of the group reported anything for {timeout:g} s")
        for member in [member for member in members if member.pipe in ready]:
            try:
                kind, content = member.pipe.recv()
            except EOFError as error:
                raise DemoError(f"{member.name} died") from error
            if kind == "failed":
                raise DemoError(f"{member.name} can't consume: {content}")
            if kind == "assigned":
                member.partitions = content
                yield member, kind, []
            else:
                yield member, kind, content
