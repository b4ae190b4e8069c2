"""What waits for a poll outlasts Ctrl-C: whoever posted it would wait for it for ever."""

import asyncio
from types import SimpleNamespace

import pytest

from odradek.client.consumer.handover import Handover
from odradek.client.consumer.settling import settle
from odradek.client.consumer.subscription import Holdings


class Interrupted(Handover):
    """Ctrl-C comes right after the first event was taken, before anybody could look at it."""

    struck = False

    def take(self):
        event = super().take()
        if event is not None and not self.struck:
            self.struck = True
            raise KeyboardInterrupt
        return event


async def test_an_event_taken_when_ctrl_c_comes_is_settled_by_the_next_poll():
    handover = Interrupted(asyncio.get_running_loop(), lambda: None)
    core = SimpleNamespace(handover=handover, called_back=[], commit_due=False, errors=[], position_soon=lambda: None)
    core.holdings = Holdings()
    posted = asyncio.ensure_future(handover.lost())
    await asyncio.sleep(0)
    core.take_over = lambda _target: []
    with pytest.raises(KeyboardInterrupt):
        list(settle(core))
    assert handover.attention
    list(settle(core))
    await asyncio.wait_for(posted, 10)


async def test_an_event_taken_when_ctrl_c_comes_is_dropped_with_the_rest_when_the_membership_ends():
    handover = Interrupted(asyncio.get_running_loop(), lambda: None)
    posted = asyncio.ensure_future(handover.assign([]))
    await asyncio.sleep(0)
    with pytest.raises(KeyboardInterrupt):
        list(settle(SimpleNamespace(handover=handover, holdings=Holdings())))
    handover.clear()
    await asyncio.wait_for(posted, 10)
    assert handover.take() is None
