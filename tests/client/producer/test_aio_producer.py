"""The asyncio producer: the same records, one wake a burst of answers, cancellation without harm."""

from __future__ import annotations

import asyncio
import threading

import pytest

from odradek import aio, errors


async def test_a_future_is_awaited_for_its_metadata(embedded, stored, unique):
    topic = unique("aio")
    async with aio.Producer(embedded.bootstrap_servers) as producer:
        future = await producer.send(topic, b"value", b"key", partition=2, headers={"h": b"1"}, timestamp_ms=5)
        metadata = await future
        assert (metadata.topic, metadata.partition, metadata.offset, metadata.timestamp_ms) == (topic, 2, 0, 5)
        assert future.done()
        assert future.result() == metadata == await future
    assert stored(topic, 2)[0].value == b"value"


async def test_many_are_gathered_in_order_without_a_thread_of_python(embedded, unique):
    topic = unique("gather")
    async with aio.Producer(embedded.bootstrap_servers) as producer:
        futures = [await producer.send(topic, b"%d" % at, partition=0) for at in range(2_000)]
        names = {thread.name for thread in threading.enumerate()}
        results = await asyncio.gather(*futures)
        assert [metadata.offset for metadata in results] == list(range(2_000))
        assert not [name for name in names if "odradek-delivery" in name or "ThreadPool" in name]


async def test_send_many_comes_back_in_order(embedded, unique):
    async with aio.Producer(embedded.bootstrap_servers, buffer_memory=40_000, batch_size=4_000) as producer:
        many = await producer.send_many(unique("many"), [b"x" * 100 for _ in range(3_000)], partition=0)
        assert [metadata.offset for metadata in await many] == list(range(3_000))


async def test_flush_and_callbacks(embedded, unique):
    topic, seen = unique("flush"), []
    async with aio.Producer(embedded.bootstrap_servers, linger_ms=60_000) as producer:
        for _ in range(3):
            await producer.send(topic, b"x", partition=0, on_delivery=lambda *both: seen.append(both))
        await producer.flush(20)
        assert [metadata.offset for metadata, _ in seen] == [0, 1, 2]
        assert await producer.partitions_for(topic) == [0, 1, 2]
        assert producer.metrics()["record_send_total"] == 3


async def test_what_is_wrong_is_raised_by_send(embedded, unique):
    async with aio.Producer(embedded.bootstrap_servers, max_block_ms=300) as producer:
        with pytest.raises(TypeError, match="value is int"):
            await producer.send("t", 5)
        with pytest.raises(errors.InvalidTopicError):
            await producer.send("no/slash", b"x")
        with pytest.raises(errors.TimeoutError, match="7 was asked for"):
            await producer.send(unique("few"), b"x", partition=7)
    with pytest.raises(errors.ClosedError):
        await producer.send("t", b"x")


async def test_cancelling_one_who_waits_harms_nobody_else(embedded, unique):
    topic = unique("cancel")
    async with aio.Producer(embedded.bootstrap_servers, linger_ms=200) as producer:
        waiting = asyncio.Event()

        async def send(number: int) -> int:
            future = await producer.send(topic, b"x", partition=0)
            if number == 9:
                waiting.set()
            return (await future).offset

        tasks = [asyncio.create_task(send(number)) for number in range(10)]
        await waiting.wait()
        tasks[3].cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert isinstance(results[3], asyncio.CancelledError)
        others = [result for result in results if not isinstance(result, BaseException)]
        assert len(others) == 9
        assert sorted(others) == others


async def test_a_full_buffer_suspends_the_coroutine_and_not_the_loop(own_broker):
    broker = own_broker()
    async with aio.Producer(broker.bootstrap, buffer_memory=32_000, batch_size=8_000, max_block_ms=400) as producer:
        await (await producer.send("t", b"x"))
        broker.pause()

        def fill() -> asyncio.Task[object]:
            return asyncio.create_task(producer.send("t", b"x" * 1_000))

        filling = fill()
        try:
            while (await asyncio.wait([filling], timeout=0))[0]:
                filling = fill()
            assert producer.metrics()["waiting_threads"]
            assert not filling.done()  # it waits for room, and the loop runs this
            with pytest.raises(errors.BufferFullError):
                await filling
        finally:
            broker.go_on()
        await (await producer.send("t", b"room again"))


async def test_a_producer_of_another_loop_is_refused(embedded):
    producer = aio.Producer(embedded.bootstrap_servers)
    await producer.send("t", b"x")
    with pytest.raises(errors.OdradekError, match="another event loop"):
        await asyncio.to_thread(asyncio.run, producer.flush())
    await producer.close()
    await producer.close()


def test_it_works_under_uvloop(embedded, unique):
    import uvloop

    async def main() -> list[int]:
        async with aio.Producer(embedded.bootstrap_servers) as producer:
            futures = [await producer.send(unique("uv"), b"x") for _ in range(50)]
            return [(await future).offset for future in futures]

    assert uvloop.run(main()) == [0] * 50
