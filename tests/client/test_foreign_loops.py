"""The asyncio clients, awaited in another event loop than their own: refused at once, and none the worse for it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

import odradek
from odradek import aio
from odradek.errors import UsageError


async def elsewhere(call: Callable[[], Awaitable[object]]) -> None:
    """Await the call in a loop of another thread, which has to refuse it."""

    async def main() -> None:
        await call()

    with pytest.raises(UsageError, match="another event loop"):
        await asyncio.to_thread(asyncio.run, main())


async def test_a_producer_sends_flushes_and_closes_only_in_its_own_loop(orders_broker: odradek.Broker) -> None:
    calls: list[Callable[[aio.Producer], Any]] = [
        lambda one: one.send("orders", b"x"),
        lambda one: one.send("never-seen", b"x"),
        lambda one: one.send_many("orders", [b"x"]),
        lambda one: one.flush(),
        lambda one: one.partitions_for("orders"),
        lambda one: one.close(),
    ]
    async with aio.Producer(orders_broker.bootstrap_servers) as producer:
        await (await producer.send("orders", b"x"))
        for call in calls:
            await elsewhere(lambda call=call: call(producer))
        written = await (await producer.send("orders", b"x"))
        assert written.offset == 1, "nothing was written from elsewhere, and the producer is open"


async def test_a_consumer_is_awaited_only_in_its_own_loop(orders_broker: odradek.Broker) -> None:
    place = odradek.TopicPartition("orders", 0)
    calls: list[Callable[[aio.Consumer], Any]] = [
        lambda one: one.poll(0),
        lambda one: one.poll_arrow(0),
        anext,
        lambda one: one.subscribe("orders"),
        lambda one: one.unsubscribe(),
        lambda one: one.assign([place]),
        lambda one: one.commit(),
        lambda one: one.committed(),
        lambda one: one.position(place),
        lambda one: one.beginning_offsets(),
        lambda one: one.end_offsets(),
        lambda one: one.offsets_for_times({place: 0}),
        lambda one: one.partitions_for("orders"),
        lambda one: one.topics(),
        lambda one: one.close(),
    ]
    async with aio.Consumer(orders_broker.bootstrap_servers, group_id="readers") as consumer:
        await consumer.assign([place])
        for call in calls:
            await elsewhere(lambda call=call: call(consumer))
        assert await consumer.position(place) == 0, "it goes on where it belongs"


async def test_an_admin_client_belongs_to_the_loop_of_its_first_call(orders_broker: odradek.Broker) -> None:
    async with aio.Admin(orders_broker.bootstrap_servers) as admin:
        assert list(await admin.list_topics()) == ["orders"]
        await elsewhere(admin.list_topics)
        await elsewhere(admin.close)
        assert list(await admin.list_topics()) == ["orders"]
