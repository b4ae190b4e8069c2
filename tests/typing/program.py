"""A user's program, which `make types` checks and nobody runs: what an editor knows of the clients.

A line that must not pass has a `type: ignore`; one that is not needed fails, too.
"""

from typing import assert_type

import odradek
from odradek import OffsetAndMetadata, Record, RecordMetadata, TopicPartition, aio


def told(metadata: RecordMetadata | None, error: Exception | None) -> None:
    if metadata is not None:
        assert_type(metadata.offset, int)
    assert error is None


def handle(record: Record) -> int:
    assert_type(record.headers, tuple[tuple[str, bytes | None], ...])
    return record.offset


def blocking(servers: str) -> None:
    with odradek.Producer(servers, linger_ms=20, acks="all", value_serializer="json", on_delivery=told) as producer:
        future = producer.send("orders", {"count": 1}, key=b"ada", headers={"lang": b"en"}, on_delivery=told)
        assert_type(future.result(timeout=10), RecordMetadata)
        assert_type(producer.send_many("orders", [1, 2]).result(), list[RecordMetadata])
        assert_type(producer.metrics(), dict[str, float])
    with odradek.Consumer(servers, group_id="g", auto_offset_reset="earliest", key_deserializer=str) as consumer:
        consumer.subscribe("orders", on_revoked=consumer.pause)
        records = consumer.poll(1.0)
        assert_type(records, list[Record])
        assert_type([handle(record) for record in records], list[int])
        for record in consumer:
            assert_type(record, Record)
            consumer.commit(record)
        consumer.commit({TopicPartition("orders", 0): 7})
        assert_type(consumer.committed(), dict[TopicPartition, OffsetAndMetadata | None])
        assert_type(consumer.poll_arrow(1.0).num_rows, int)
        consumer.commit(7)  # type: ignore[arg-type]
    with odradek.Admin(servers, default_api_timeout_ms=500) as admin:
        assert_type(admin.describe_topics("orders")["orders"].partitions[0].leader, int)
    odradek.Producer(servers, linger=20)  # type: ignore[call-arg]
    odradek.Producer(servers, linger_ms="soon")  # type: ignore[arg-type]
    odradek.Consumer(servers, linger_ms=20)  # type: ignore[call-arg]
    odradek.Admin(servers, group_id="g")  # type: ignore[call-arg]


async def on_a_loop(servers: str) -> None:
    async with aio.Producer(servers, compression_type="zstd") as producer:
        future = await producer.send("orders", b"one")
        assert_type(await future, RecordMetadata)
        assert_type(future.exception(), Exception | None)
    async with aio.Consumer(servers, group_id="g") as consumer:
        await consumer.subscribe("orders")
        assert_type(await consumer.poll(1.0), list[Record])
        async for record in consumer:
            assert_type(record, Record)
            await consumer.commit(record)
    async with aio.Admin(servers) as admin:
        assert_type(set(await admin.list_topics()), set[str])
    aio.Producer(servers, linger=20)  # type: ignore[call-arg]


def embedded() -> None:
    with odradek.Broker(num_partitions=3) as broker:
        assert_type(broker.bootstrap_servers, str)
        with broker.faults.delay("Produce", seconds=1) as fault:
            assert_type(fault.hits, int)
        broker.restore(broker.snapshot())
