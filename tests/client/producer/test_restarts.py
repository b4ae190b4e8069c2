"""A broker that is killed and started again under an idempotent producer: no loss, no duplicate, no reordering.

Every record carries its number within its partition, so what the partition holds at the end says it all.
"""

from __future__ import annotations

import itertools
import threading

import pytest
from support import topics
from support.wire import Wire

import odradek
from odradek.client.native import DeliveryFuture

PARTITIONS = 3


def values_of(bootstrap: str, topic: str, partition: int) -> list[bytes]:
    wire = Wire(bootstrap)
    try:
        return [record.value for record in topics.read_all(wire, topic, partition=partition)]
    finally:
        wire.close()


def send_until(producer: odradek.Producer, stop: threading.Event, futures: list[list[DeliveryFuture]]) -> None:
    for number in itertools.count():
        if stop.is_set():
            return
        for partition in range(PARTITIONS):
            futures[partition].append(producer.send("t", b"%d" % number, partition=partition))


def survive(own_broker, rounds: int, **options: object) -> None:
    broker = own_broker(num_partitions=str(PARTITIONS))
    stop = threading.Event()
    futures: list[list[DeliveryFuture]] = [[] for _ in range(PARTITIONS)]
    with odradek.Producer(broker.bootstrap, buffer_memory=2_000_000, linger_ms=1, **options) as producer:
        producer.partitions_for("t")
        thread = threading.Thread(target=send_until, args=(producer, stop, futures))
        thread.start()
        try:
            for _ in range(rounds):
                sent = producer.metrics()["record_send_total"]
                while producer.metrics()["record_send_total"] < sent + 5_000:
                    futures[0][-1].result(30)
                broker.kill()
                broker.start()
        finally:
            stop.set()
            thread.join()
        producer.flush(50)
        metrics = producer.metrics()
    assert metrics["record_error_total"] == 0
    assert metrics["batch_retry_total"] > 0, "no kill hit a batch under way"
    for partition in range(PARTITIONS):
        expected = [b"%d" % number for number in range(len(futures[partition]))]
        assert values_of(broker.bootstrap, "t", partition) == expected
        offsets = [future.result(0).offset for future in futures[partition]]
        assert [offset for offset in offsets if offset >= 0] == [at for at, offset in enumerate(offsets) if offset >= 0]


@pytest.mark.timeout(120)
def test_nothing_is_lost_doubled_or_reordered_over_two_kills(own_broker):
    survive(own_broker, 2)


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize("codec", ["none", "lz4"])
def test_nothing_is_lost_doubled_or_reordered_over_ten_kills(own_broker, codec):
    survive(own_broker, 10, compression_type=codec)
