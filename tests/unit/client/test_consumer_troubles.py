"""What is logged of partitions that stand still and of topics that don't exist, by a clock of its own."""

import asyncio

import pytest

from odradek.client.consumer.troubles import tell
from odradek.errors import ClosedError, DisconnectedError

REFUSED = ("orders", 3, 4.0, "refused")


class Turns:
    """A clock that goes on by what is slept, and a fetcher whose troubles are listed turn by turn; then it is closed.

    It is the way to the cluster as well: the topics that are missing stand in a list of their own.
    """

    def __init__(self, *turns: list[tuple[str, int, float, str]]) -> None:
        self.seconds = 100.0
        self.left = list(turns)
        self.absent: list[set[str] | Exception] = []

    async def missing(self) -> frozenset[str]:
        found = self.absent.pop(0) if self.absent else set()
        if isinstance(found, Exception):
            raise found
        return frozenset(found)

    def now(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        self.seconds += seconds

    def troubles(self) -> list[tuple[str, int, float, str]]:
        if not self.left:
            raise ClosedError("closed")
        return self.left.pop(0)


def told(caplog: pytest.LogCaptureFixture, *turns: list[tuple[str, int, float, str]]) -> list[str]:
    world = Turns(*turns)
    asyncio.run(tell(world, world, world))
    return caplog.messages


def told_missing(caplog: pytest.LogCaptureFixture, *turns: set[str] | Exception) -> list[str]:
    world = Turns(*[[] for _ in turns])
    world.absent = list(turns)
    asyncio.run(tell(world, world, world))
    return caplog.messages


def test_what_lasts_is_told_once_with_the_oldest_reason(caplog: pytest.LogCaptureFixture) -> None:
    both = [("late", 0, 3.5, "no leader"), REFUSED]
    assert told(caplog, both, both) == ["nothing can be read of orders-3 and 1 more for 4 s: refused"]


def test_what_passes_quickly_is_not_told(caplog: pytest.LogCaptureFixture) -> None:
    assert told(caplog, [("orders", 3, 2.9, "refused")], []) == []


def test_it_is_told_again_after_a_minute_or_when_it_came_back(caplog: pytest.LogCaptureFixture) -> None:
    assert len(told(caplog, *[[REFUSED]] * 31)) == 2
    caplog.clear()
    assert len(told(caplog, [REFUSED], [], [REFUSED])) == 2


def test_a_topic_that_stays_missing_is_told_by_name(caplog: pytest.LogCaptureFixture) -> None:
    assert told_missing(caplog, {"odrers"}, {"odrers", "late"}) == [
        "there is no topic 'odrers'; check the name. It is read from once it exists"
    ]


def test_a_topic_that_is_being_made_is_not_told(caplog: pytest.LogCaptureFixture) -> None:
    assert told_missing(caplog, {"new"}, set(), {"new"}, set()) == []


def test_missing_topics_are_told_again_after_a_minute_and_not_while_nobody_answers(
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert len(told_missing(caplog, *[{"odrers"}] * 32)) == 2
    caplog.clear()
    assert told_missing(caplog, {"odrers"}, DisconnectedError("away")) == []
