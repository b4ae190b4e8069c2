"""The consumer for asyncio: the same names, awaited; cancelled calls; loops that are kept busy."""

import asyncio
import contextlib
import gc
import itertools
import time

import pytest
from consuming import PATIENCE_S, quick

import odradek.aio
from odradek.errors import ClosedError, MaxPollExceededError, UsageError
from odradek.types import TopicPartition

pytestmark = [pytest.mark.brokers("odradek", "kafka"), pytest.mark.protocols("classic", "consumer")]


@pytest.fixture
async def consumer(bootstrap, protocol):
    """Return a function that makes consumers; all are closed in the end."""
    made = []

    def make(group_id=None, **options):
        made.append(odradek.aio.Consumer(bootstrap, group_id=group_id, **quick(protocol, **options)))
        return made[-1]

    yield make
    for one in made:
        await one.close()


async def until(condition, *consumers):
    records = []
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end
        for one in consumers:
            records += await one.poll(0.05)
    return records


async def read(one, count):
    records = []
    end = time.monotonic() + PATIENCE_S
    while len(records) < count:
        assert time.monotonic() < end, f"{len(records)} of {count} records"
        records += await one.poll(0.5)
    return records


async def eventually(condition):
    """Let the loop run until the condition holds."""
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end
        await asyncio.sleep(0.01)


async def test_members_share_a_topic_and_coroutine_callbacks_are_awaited(consumer, make_topic, produce, unique):
    topic, group = make_topic(partitions=4), unique("group")
    owned, told = set(), []

    async def came(partitions):
        await asyncio.sleep(0)
        owned.update(partitions)
        told.append("assigned")

    async def went(partitions):
        await asyncio.sleep(0)
        owned.difference_update(partitions)

    first, second = consumer(group), consumer(group)
    await first.subscribe(topic, on_assigned=came, on_revoked=went)
    await second.subscribe(topic)
    await until(lambda: len(first.assignment()) == 2 == len(second.assignment()), first, second)
    assert owned == first.assignment()
    assert told
    values = produce(topic, 100, partitions=4)
    got = await asyncio.gather(read(first, 50), read(second, 50))
    assert sorted(one.value for part in got for one in part) == sorted(one for part in values.values() for one in part)


async def test_iteration_commits_and_queries(consumer, topic, produce, unique):
    values = produce(topic, 60)[0]
    one = TopicPartition(topic, 0)
    group = unique("group")
    first = consumer(group, enable_auto_commit=False)
    await first.subscribe(topic)
    seen = []
    async for record in first:
        seen.append(record.value)
        if len(seen) == 40:
            break
    assert seen == values[:40]
    assert await first.position(one) == 40
    await first.commit()
    heard = []
    first.commit_async({one: 39}, lambda offsets, error: heard.append((offsets[one].offset, error)))
    await until(lambda: heard, first)
    assert heard == [(39, None)]
    assert (await first.committed())[one].offset == 39
    assert await first.end_offsets() == {one: 60}
    assert await first.beginning_offsets() == {one: 0}
    assert (await first.offsets_for_times({one: 0}))[one].offset == 0
    assert topic in await first.topics()
    assert await first.partitions_for(topic) == [0]
    first.seek(one, 5)
    assert (await read(first, 1))[0].offset == 5
    await first.close()
    second = consumer(group)
    await second.subscribe(topic)
    assert (await read(second, 1))[0].offset == 39


async def test_polls_that_are_cancelled_lose_nothing(consumer, topic, produce, unique):
    one = consumer(unique("group"), max_poll_records=7)
    await one.subscribe(topic)
    values = produce(topic, 500)[0]
    seen = []
    for turns in range(100_000):
        task = asyncio.ensure_future(one.poll())
        for _ in range(turns % 5):
            await asyncio.sleep(0)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            seen += [record.value for record in await task]
        if len(seen) == 500:
            break
    assert seen == values


class Cancelled:
    """Awaits work in a task that is cancelled where it waits for the n-th time."""

    def __init__(self, work, place):
        self.work = work
        self.left = place

    def __await__(self):
        step, argument = self.work.send, None
        while True:
            try:
                waiting = step(argument)
            except StopIteration as end:
                return end.value
            self.left -= 1
            if not self.left:
                asyncio.current_task().cancel()  # as asyncio does for Ctrl-C
            try:
                step, argument = self.work.send, (yield waiting)
            except BaseException as error:  # noqa: BLE001  thrown in at once
                step, argument = self.work.throw, error


CALLS = {
    "position": lambda reader, one: reader.position(one),
    "commit": lambda reader, one: reader.commit({one: 1}),
    "committed": lambda reader, one: reader.committed(one),
    "poll": lambda reader, _one: reader.poll(0.01),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
async def test_a_call_that_is_cancelled_anywhere_leaves_a_consumer_that_works(consumer, topic, produce, unique, call):
    produce(topic, 1)
    one = TopicPartition(topic, 0)
    for place in itertools.count(1):
        reader = consumer(unique("group"))
        await reader.assign(one)
        work = Cancelled(call(reader, one), place)
        await asyncio.wait([asyncio.ensure_future(work)])
        assert await reader.position(one, timeout=20) in {0, 1}
        await reader.commit({one: 1}, timeout=20)
        assert (await reader.committed(one))[one].offset == 1
        await reader.close()
        if work.left > 0:
            break
    assert place > 1, "nothing was cancelled"


async def test_a_callback_that_is_cancelled_with_its_poll_is_finished_by_the_next(consumer, topic, unique):
    one = consumer(unique("group"))
    begun, go_on, done = asyncio.Event(), asyncio.Event(), []

    async def slow(partitions):
        begun.set()
        await go_on.wait()
        done.append(partitions)

    await one.subscribe(topic, on_assigned=slow)
    task = asyncio.ensure_future(one.poll())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    go_on.set()
    await until(lambda: done, one)
    assert done == [[TopicPartition(topic, 0)]]


async def test_an_unsubscribe_that_is_cancelled_goes_on_and_frees_its_partitions(consumer, make_topic, unique):
    topic, group = make_topic(partitions=2), unique("group")
    one, other = consumer(group), consumer(group)
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow(_partitions):
        begun.set()
        await go_on.wait()

    await one.subscribe(topic, on_revoked=slow)
    await until(one.assignment, one)
    leaving = asyncio.ensure_future(one.unsubscribe())
    await begun.wait()
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    go_on.set()
    await other.subscribe(topic)
    await until(lambda: len(other.assignment()) == 2, other)
    await one.unsubscribe()
    assert (one.assignment(), one.subscription()) == (set(), None)


async def test_a_loop_that_only_polls_and_never_waits_keeps_its_membership(consumer, topic, produce, unique):
    produce(topic, 20_000)
    told = []
    one = consumer(unique("group"), max_poll_records=1)
    await one.subscribe(topic, on_assigned=told.append, on_revoked=told.append)
    await until(one.assignment, one)
    heartbeats = one._core.membership._requests.heartbeat
    beats = []

    async def counted(who):
        beats.append(who)
        return await heartbeats(who)

    one._core.membership._requests.heartbeat = counted
    end = time.monotonic() + PATIENCE_S
    while len(beats) < 3:
        assert time.monotonic() < end
        await one.poll()
        one.seek_to_beginning()
    assert told == [[TopicPartition(topic, 0)]]


async def test_being_late_is_told(consumer, topic, unique):
    one = consumer(unique("group"), max_poll_interval_ms=500)
    await one.subscribe(topic)
    await until(one.assignment, one)
    await eventually(lambda: one.group_metadata().generation < 0)
    with pytest.raises(MaxPollExceededError, match="max_poll_interval_ms is 500"):
        await one.poll(0)
    await until(one.assignment, one)


async def test_two_tasks_may_not_poll_at_once(consumer, topic, unique):
    one = consumer(unique("group"))
    await one.subscribe(topic)
    waiting = asyncio.ensure_future(one.poll())
    await asyncio.sleep(0)
    with pytest.raises(UsageError, match="another task"):
        await one.poll(0)
    await eventually(one.assignment)
    one.wakeup()
    assert await waiting == []


async def test_arrow_batches(consumer, topic, produce):
    pyarrow = pytest.importorskip("pyarrow")
    values = produce(topic, 100)[0]
    one = consumer()
    await one.assign([TopicPartition(topic, 0)])
    seen = []
    while len(seen) < 100:
        seen += pyarrow.record_batch(await one.poll_arrow(5.0))["value"].to_pylist()
    assert seen == values


async def test_after_close_everything_is_a_closed_error(consumer, topic, unique):
    one = consumer(unique("group"))
    await one.subscribe(topic)
    await until(one.assignment, one)
    await one.close()
    await one.close()
    assert [record async for record in one] == []
    with pytest.raises(ClosedError):
        await one.poll(0)
    with pytest.raises(ClosedError):
        await one.subscribe(topic)


async def test_closing_that_runs_out_of_time_leaves_no_task_of_the_consumer_behind(consumer, topic, unique, caplog):
    before = asyncio.all_tasks()
    one = consumer(unique("group"))
    await one.subscribe(topic)
    await until(one.assignment, one)
    one.commit_async({TopicPartition(topic, 0): 0})
    await one.close(timeout=0)
    assert "closing ran out of time" in caplog.text
    assert asyncio.all_tasks() <= before


def test_it_is_made_inside_a_loop(bootstrap):
    with pytest.raises(UsageError, match="coroutine"):
        odradek.aio.Consumer(bootstrap)


def forget(held):
    held.clear()
    gc.collect()


async def test_a_forgotten_member_warns_and_gives_its_place_up_when_its_session_ends(
    bootstrap, consumer, topic, unique, protocol
):
    group_id = unique("group")
    held = [odradek.aio.Consumer(bootstrap, group_id=group_id, **quick(protocol))]
    await held[0].subscribe(topic)
    await until(held[0].assignment, held[0])
    with pytest.warns(ResourceWarning, match="was not closed"):
        forget(held)
    other = consumer(group_id)
    await other.subscribe(topic)
    await until(other.assignment, other)  # max_poll_interval_ms is 5 minutes: heartbeats have ended


def test_it_works_under_uvloop(bootstrap, topic, produce, unique, protocol):
    import uvloop

    produce(topic, 10)

    async def main():
        async with odradek.aio.Consumer(bootstrap, group_id=unique("group"), **quick(protocol)) as one:
            await one.subscribe(topic)
            return await read(one, 10)

    assert len(uvloop.run(main())) == 10
