"""Ctrl-C on the way of records from a poll to the user: what the user does not get counts as not read.

Python looks for signals where a function begins and behind each call of native code. Each such place in a poll is interrupted
in turn, by a profiler that raises there: as a signal would, but at a place that the test chooses.
"""

import itertools
import sys

import pytest
from consuming import read

from odradek import TopicPartition

COUNT = 60


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
