"""What clients show of themselves: their public names in `repr` and in errors, and in time-outs who stays silent."""

from __future__ import annotations

import asyncio

import pytest
from support.impostors import black_hole

import odradek
from odradek import aio
from odradek.errors import TimeoutError  # noqa: A004

NOBODY = "127.0.0.1:1"
PLACE = odradek.TopicPartition("orders", 0)


def test_each_client_shows_its_public_name_its_servers_and_whether_it_is_closed() -> None:
    for client in (odradek.Admin(NOBODY), odradek.Producer(NOBODY), odradek.Consumer(NOBODY, group_id="billing")):
        group = ", group 'billing'" if isinstance(client, odradek.Consumer) else ""
        name = type(client).__name__
        assert repr(client) == f"<odradek.{name} of {NOBODY}{group}>"
        client.close()
        assert repr(client) == f"<odradek.{name} of {NOBODY}{group}, closed>"


async def test_so_do_those_for_asyncio() -> None:
    for client in (aio.Admin(NOBODY), aio.Producer(NOBODY), aio.Consumer(NOBODY)):
        assert repr(client) == f"<odradek.aio.{type(client).__name__} of {NOBODY}>"
        await client.close()
        assert repr(client) == f"<odradek.aio.{type(client).__name__} of {NOBODY}, closed>"


def test_an_argument_too_few_is_told_by_the_public_name() -> None:
    for client in (odradek.Consumer, aio.Consumer, odradek.Producer, aio.Producer):
        with pytest.raises(TypeError, match=rf"^{client.__name__}\.__init__"):
            client()  # type: ignore[call-arg]
    with odradek.Producer(NOBODY) as producer, pytest.raises(TypeError, match=r"^Producer\.send\(\) missing"):
        producer.send()  # type: ignore[call-arg]


def test_an_argument_of_the_producer_of_the_wrong_type_is_named() -> None:
    with odradek.Producer(NOBODY) as producer:
        for name, wrong in (("partition", "0"), ("timestamp_ms", "0"), ("on_delivery", 5)):
            with pytest.raises(TypeError, match=rf"^{name} is {type(wrong).__name__}; it must be "):
                producer.send("orders", b"x", **{name: wrong})  # type: ignore[arg-type]
        with pytest.raises(TypeError, match=r"^timeout is str; it must be a number of seconds"):
            producer.flush("soon")  # type: ignore[arg-type]


def test_a_call_whose_time_ends_before_any_answer_names_who_stays_silent() -> None:
    with black_hole() as silent:
        with odradek.Admin(silent) as admin, pytest.raises(TimeoutError, match=silent):
            admin.list_topics(timeout=0.3)
        with odradek.Consumer(silent, group_id="readers") as consumer:
            for call in (
                lambda: consumer.topics(timeout=0.3),
                lambda: consumer.partitions_for("orders", timeout=0.3),
                lambda: consumer.end_offsets(PLACE, timeout=0.3),
                lambda: consumer.committed(PLACE, timeout=0.3),
            ):
                with pytest.raises(TimeoutError, match=silent):
                    call()
            consumer.close(0)
        producer = odradek.Producer(silent, max_block_ms=300)
        with pytest.raises(TimeoutError, match=silent):
            producer.send("orders", b"x")
        producer.close(0)

        async def main() -> None:
            async with aio.Admin(silent) as admin:
                await admin.list_topics(timeout=0.3)

        with pytest.raises(TimeoutError, match=silent):
            asyncio.run(main())
