"""The asyncio clients wake their loop once a burst of answers: what a record costs there must not be a turn of the loop."""

import asyncio

from odradek import TopicPartition, aio

RECORDS = 20_000


def count_wakes(loop):
    """Count the calls of what waits for a descriptor, and calls from threads; return the list they are noted in."""
    wakes = []
    add_reader, call_soon_threadsafe = loop.add_reader, loop.call_soon_threadsafe

    def call(callback, *arguments, **options):
        wakes.append(callback)
        return call_soon_threadsafe(callback, *arguments, **options)

    loop.call_soon_threadsafe = call

    def add(fd, callback, *arguments):
        def woken():
            wakes.append(fd)
            callback(*arguments)

        return add_reader(fd, woken)

    loop.add_reader = add
    return wakes


def test_the_loop_is_woken_far_less_often_than_there_are_records(orders_broker):
    async def main():
        wakes = count_wakes(asyncio.get_running_loop())
        async with aio.Producer(orders_broker.bootstrap_servers) as producer:
            futures = [await producer.send("orders", b"v" * 100) for _ in range(RECORDS)]
            await asyncio.gather(*futures)
        sending = len(wakes)
        wakes.clear()
        async with aio.Consumer(orders_broker.bootstrap_servers) as consumer:
            await consumer.assign([TopicPartition("orders", 0)])
            consumer.seek_to_beginning()
            count = 0
            while count < RECORDS:
                count += len(await consumer.poll(30))
        return sending, len(wakes)

    sending, reading = asyncio.run(main())
    # A batch of 16 KiB holds more than 100 of these records; an answer to a fetch many batches.
    assert 0 < sending < RECORDS / 50
    assert 0 < reading < RECORDS / 50
