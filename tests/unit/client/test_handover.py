"""Whoever posts something for poll is told truly whether poll has done it."""

import asyncio
from collections import deque

import pytest

from odradek.client.consumer.handover import Handover


class DroppedMeanwhile(deque):
    """Everything is dropped right after poll has looked at the oldest event, before it could mark it."""

    def __init__(self, handover):
        super().__init__()
        self.handover = handover

    def __getitem__(self, at):
        event = super().__getitem__(at)
        self.handover.clear()
        return event


@pytest.mark.parametrize("what", ["assign", "revoke"])
async def test_what_was_dropped_while_poll_reached_for_it_is_not_done(what):
    handover = Handover(asyncio.get_running_loop(), lambda: None)
    handover._events = DroppedMeanwhile(handover)
    posted = asyncio.ensure_future(getattr(handover, what)([("t", 0)]))
    await asyncio.sleep(0)
    assert handover.take() is None
    assert await asyncio.wait_for(posted, 10) is False


@pytest.mark.parametrize("what", ["assign", "revoke"])
async def test_what_poll_had_in_hand_when_all_was_dropped_is_done_when_poll_has_done_with_it(what):
    handover = Handover(asyncio.get_running_loop(), lambda: None)
    posted = asyncio.ensure_future(getattr(handover, what)([("t", 0)]))
    await asyncio.sleep(0)
    event = handover.take()
    handover.clear()
    await asyncio.sleep(0)
    assert not posted.done()
    handover.settle(event)
    assert await asyncio.wait_for(posted, 10) is True
