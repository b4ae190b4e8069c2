"""Addresses that lead nowhere or to something else, met by each of our clients that moves records, for threads and on asyncio."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from support.broker import BrokerProcess, free_port
from support.impostors import NO_BROKERS, black_hole, peer

import odradek
from odradek import aio
from odradek.errors import NoBrokersAvailableError, TimeoutError  # noqa: A004

SECONDS = 20.0
QUICK = {"socket_connection_setup_timeout_ms": 300, "request_timeout_ms": 1_000}
AS_A_MEMBER = {"group_id": "readers", "auto_offset_reset": "earliest", "fetch_max_wait_ms": 200}
Use = Callable[..., Any]


def send(bootstrap: str, topic: str, **options: Any) -> None:
    with odradek.Producer(bootstrap, **options) as producer:
        producer.send(topic, b"x", partition=0).result(SECONDS)


def send_aio(bootstrap: str, topic: str, **options: Any) -> None:
    async def main() -> None:
        async with aio.Producer(bootstrap, **options) as producer:
            await (await producer.send(topic, b"x", partition=0))

    asyncio.run(main())


def read(bootstrap: str, topic: str, **options: Any) -> None:
    with odradek.Consumer(bootstrap, **AS_A_MEMBER, **options) as consumer:
        consumer.subscribe(topic)
        assert consumer.poll(SECONDS)


def read_aio(bootstrap: str, topic: str, **options: Any) -> None:
    async def main() -> None:
        async with aio.Consumer(bootstrap, **AS_A_MEMBER, **options) as consumer:
            await consumer.subscribe(topic)
            assert await consumer.poll(SECONDS)

    asyncio.run(main())


@pytest.fixture(params=[send, send_aio, read, read_aio], ids=lambda use: use.__name__)
def use(request: pytest.FixtureRequest) -> Use:
    """Send a record to partition 0, or read what is there."""
    use: Use = request.param
    return use


@pytest.fixture
def filled(bootstrap: str, topic: str) -> str:
    """A topic with a record in it."""
    send(bootstrap, topic)
    return topic


@pytest.fixture
def dead() -> Iterator[list[str]]:
    """Addresses that refuse, that take connections and say nothing, and where nothing comes back at all."""
    with ExitStack() as stack:
        silent, _ = stack.enter_context(peer(None))
        yield [f"127.0.0.1:{free_port()}", silent, stack.enter_context(black_hole())]


@pytest.mark.brokers("odradek", "kafka")
@pytest.mark.parametrize("place", range(4))
def test_one_living_server_among_dead_ones_is_enough(
    use: Use, place: int, dead: list[str], bootstrap: str, filled: str
) -> None:
    servers = [*dead[:place], bootstrap, *dead[place:]]
    use(",".join(servers), filled, **QUICK)


@pytest.mark.parametrize(("answer", "said"), NO_BROKERS)
def test_what_is_no_broker_is_said_with_its_address_and_without_waiting(use: Use, answer: bytes, said: str) -> None:
    with peer(answer) as (address, _):
        # The defaults would let a record wait for two minutes.
        with pytest.raises(NoBrokersAvailableError, match=said) as caught:
            use(address, "orders")
        assert address in str(caught.value)


def test_where_nobody_answers_every_address_is_named(use: Use, dead: list[str]) -> None:
    limits = {"max_block_ms": 1_500} if use in {send, send_aio} else {}
    with pytest.raises((NoBrokersAvailableError, TimeoutError)) as caught:
        use(",".join(dead), "orders", **QUICK, **limits)
    assert [address for address in dead if address not in str(caught.value)] == []


def test_a_broker_that_tells_an_address_where_nobody_is_has_its_listener_blamed(
    use: Use, own_broker: Callable[..., BrokerProcess]
) -> None:
    wrong = f"127.0.0.1:{free_port()}"
    broker = own_broker(advertised_listeners=f"PLAINTEXT://{wrong}")
    limits = {"delivery_timeout_ms": 1_500, "linger_ms": 0} if use in {send, send_aio} else {}
    with pytest.raises((NoBrokersAvailableError, TimeoutError), match="advertised") as caught:
        use(broker.bootstrap, "orders", **QUICK, **limits)
    assert wrong in str(caught.value)


def test_a_consumer_of_assigned_partitions_logs_why_nothing_comes(
    own_broker: Callable[..., BrokerProcess], caplog: pytest.LogCaptureFixture
) -> None:
    wrong = f"127.0.0.1:{free_port()}"
    broker = own_broker(advertised_listeners=f"PLAINTEXT://{wrong}")
    with odradek.Consumer(broker.bootstrap, **QUICK) as consumer:
        consumer.assign([odradek.TopicPartition("orders", 0)])
        end = time.monotonic() + SECONDS
        while not caplog.messages and time.monotonic() < end:
            assert consumer.poll(0.1) == []
    [message, *_] = caplog.messages
    assert message.startswith("nothing can be read of orders-0")
    assert wrong in message
    assert "advertised" in message
