"""Ctrl-C on the way of records from a poll to the user: what the user does not get counts as not read.

Python looks for signals where a function begins and behind each call of native code. Each such place in a poll is interrupted
in turn, by a profiler that raises there: as a signal would, but at a place that the test chooses.
"""

import gc
import itertools
import sys
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
from consuming import read, until

from odradek import TopicPartition
from odradek.client.consumer.handover import Assign
from odradek.errors import ClosedError

COUNT = 60


@pytest.fixture(autouse=True)
def _no_collections():
    """Let the collector not run in what is interrupted: an exception in what it calls is lost, as Python has it."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


class CtrlC:
    """A profiler that raises at the n-th place where Python looks for signals."""

    def __init__(self, place):
        self.left = place

    def __call__(self, _frame, event, _argument):
        if event in {"call", "c_return"}:
            self.left -= 1
            if not self.left:
                raise KeyboardInterrupt


def interrupted(step, place):
    """Return what `step()` returns when it is interrupted there: None; or what it returned before it came there."""
    sys.setprofile(CtrlC(place))
    try:
        return step()
    except KeyboardInterrupt:
        return None
    finally:
        sys.setprofile(None)


@pytest.mark.parametrize("decodes", [False, True])
@pytest.mark.parametrize("call", ["poll", "poll_arrow", "__next__"])
@pytest.mark.parametrize("iterates", [False, True])
def test_ctrl_c_anywhere_in_a_call_leaves_what_it_did_not_return_unread(
    consumer, topic, produce, unique, iterates, call, decodes
):
    produce(topic, COUNT)
    options = {"value_deserializer": bytes.decode} if decodes else {}
    reader = consumer(unique("group"), max_poll_records=3, **options)
    one = TopicPartition(topic, 0)
    reader.assign([one])
    got = len(read(reader, 3))
    arguments = () if call == "__next__" else (10, 3)
    method = getattr(reader, call)
    for place in itertools.count(1):
        if iterates and place % 3 == 0:
            assert next(reader).offset == got  # which leaves some that were polled and not handed out
            got += 1
        result = interrupted(lambda: method(*arguments), place)
        if result is not None:
            got += 1 if call == "__next__" else len(result)
        assert reader.position(one) == got, f"interrupted at place {place}"
        if result is not None:
            break
    assert place > 3, "hardly anything was interrupted"
    assert [record.offset for record in read(reader, COUNT - got)] == list(range(got, COUNT))


def test_ctrl_c_while_an_assignment_is_taken_over_leaves_no_partition_held_and_unread(consumer, topic, produce, unique):
    produce(topic, 1)
    one, reader = TopicPartition(topic, 0), consumer(unique("group"))
    core = reader._core
    take_over = core.take_over
    began = 3  # the lambda and the call itself have come before
    for place in itertools.count(began):
        take_over([])
        added = interrupted(lambda: take_over([one]), place)
        assert reader.assignment() == {one}
        reader.seek(one, 0)  # of which the fetcher thinks nothing if it does not read the partition
        if added is not None:
            break
    assert place > began + 3, "hardly anything was interrupted"


def test_ctrl_c_anywhere_in_a_poll_that_takes_partitions_over_leaves_none_that_on_assigned_never_hears_of(
    consumer, topic, produce, unique
):
    """Ctrl-C behind the take-over, and before the callback, was the end of that callback: the event counted as settled."""
    produce(topic, 1)
    one, reader, told = TopicPartition(topic, 0), consumer(unique("group")), []
    reader.subscribe(topic, on_assigned=told.extend)
    until(lambda: told, reader)
    core = reader._core

    async def assign():  # as the membership does, which need not rebalance for each place
        core.handover._events.append(Assign(core.loop.create_future(), (one,)))
        core.handover.alert()

    for place in itertools.count(1):
        core.take_over([])
        told.clear()
        reader._loop.run(assign)
        finished = interrupted(lambda: reader.poll(0), place)
        reader.poll(0)
        assert (told, reader.assignment()) == ([one], {one}), f"interrupted at place {place}"
        if finished is not None:
            break
    assert place > 20, "hardly anything was interrupted"


class TwoCtrlC:
    """Raises behind the native poll, and again where the n-th Python function after that begins.

    A profiler or tracer that raises is done for: one of each it takes.
    """

    def __init__(self, method, later):
        self.method = method
        self.left = later
        self.first = False

    def profile(self, _frame, event, argument):
        if event == "c_return" and argument.__name__ == self.method:
            self.first = True
            raise KeyboardInterrupt

    def trace(self, _frame, event, _argument):
        if event == "call" and self.first:
            self.left -= 1
            if not self.left:
                raise KeyboardInterrupt


@pytest.mark.parametrize("method", ["poll", "poll_arrow"])
def test_a_second_ctrl_c_while_a_poll_ends_leaves_a_consumer_that_goes_on_where_it_was(
    consumer, topic, produce, method
):
    """It left one that took every later poll for one made by a callback, and counted as read what nobody had got."""
    produce(topic, COUNT)
    reader, one = consumer(max_poll_records=3), TopicPartition(topic, 0)
    reader.assign([one])
    got = len(read(reader, 3))
    for later in itertools.count(1):
        twice = TwoCtrlC(method, later)
        sys.settrace(twice.trace)
        sys.setprofile(twice.profile)
        try:
            getattr(reader, method)(10, 3)
            pytest.fail("nothing was interrupted")
        except KeyboardInterrupt:  # not by `raises`, a function of which would be traced
            pass
        finally:
            sys.setprofile(None)
            sys.settrace(None)
        with ThreadPoolExecutor(1) as elsewhere:
            assert elsewhere.submit(reader.position, one).result() == got
        records = reader.poll(10)
        assert records[0].offset == got
        got += len(records)
        if twice.left > 0:
            break
    assert later > 1, "nothing was interrupted twice"


CALLS = {
    "poll": lambda reader, _one: reader.poll(0.01),
    "poll_arrow": lambda reader, _one: reader.poll_arrow(0.01),
    "pause": lambda reader, one: reader.pause(one),
    "seek": lambda reader, one: reader.seek(one, 1),
    "position": lambda reader, one: reader.position(one),
    "commit": lambda reader, one: reader.commit({one: 1}),
    "commit_async": lambda reader, one: reader.commit_async({one: 1}),
    "committed": lambda reader, one: reader.committed(one),
}


def elsewhere(call):
    """Return what another thread gets from the call, which is not waited for if it hangs."""
    got = Future()

    def run():
        try:
            got.set_result(call())
        except Exception as error:  # noqa: BLE001  raised where it is waited for
            got.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return got.result(20)


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_ctrl_c_anywhere_in_a_call_leaves_the_consumer_to_other_threads(consumer, topic, produce, unique, call):
    """Behind the taking of the turn, and before anything would have given it back, it was held until the process ended.

    So was the lock of what a call waits by: the consumer's own thread hung in it, and with it every later call.
    """
    produce(topic, 1)
    reader, one = consumer(unique("group")), TopicPartition(topic, 0)
    reader.assign([one])
    assert reader.position(one) == 0
    kept = []  # as an interpreter keeps the last exception: with it, the frames of what was interrupted
    for place in itertools.count(1):
        sys.setprofile(CtrlC(place))
        try:
            call(reader, one)
            finished = True
        except KeyboardInterrupt as error:
            kept.append(error)
            finished = False
        finally:
            sys.setprofile(None)
        assert elsewhere(lambda: reader.position(one)) in {0, 1}, f"interrupted at place {place}"
        if finished:
            break
    assert place > 3, "hardly anything was interrupted"


def os_threads():
    """Return the ids of this process's threads, those of native code among them."""
    return {int(thread.name) for thread in Path("/proc/self/task").iterdir()}


def test_ctrl_c_anywhere_in_close_leaves_nothing_that_closing_again_does_not_end(consumer, topic, produce, unique):
    """A Ctrl-C when the end was near left the consumer's threads running: closing again did nothing."""
    produce(topic, 1)
    one = TopicPartition(topic, 0)
    threads = os_threads()
    for place in itertools.count(1):
        reader = consumer(unique("group"))
        reader.assign([one])
        read(reader, 1)  # which there is to commit
        finished = interrupted(lambda: reader.close() or "closed", place)  # noqa: B023
        reader.close()
        until(lambda: os_threads() <= threads, what=f"the end, interrupted at place {place}")
        with pytest.raises(ClosedError):
            reader.position(one)
        if finished:
            break
    assert place > 20, "hardly anything was interrupted"
