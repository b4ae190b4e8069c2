"""Regular expressions of KIP-848 members are matched off the loop: what goes on meanwhile, and what may have changed then."""

import asyncio
import threading

import pytest
from consumer_harness import Member, beat, consumer_service, joined, refusal

from odradek.errors import ErrorCode, KafkaError

SAFETY_S = 20
"""Only a broken broker takes so long."""


class Gate:
    """Holds up the matching of one expression until it is opened; notes every expression that is matched."""

    def __init__(self, service, monkeypatch, expression):
        self.expression = expression
        self.matched = []
        self._began = threading.Event()
        self._opened = threading.Event()
        self._match = service.log.matching_names
        monkeypatch.setattr(service.log, "matching_names", self._matching_names)

    def _matching_names(self, expression, names):
        self.matched.append(expression)
        if expression == self.expression:
            self._began.set()
            if not self._opened.wait(SAFETY_S):
                raise AssertionError("nothing else was served while an expression was matched")
        return self._match(expression, names)

    async def began(self):
        assert await asyncio.to_thread(self._began.wait, SAFETY_S)

    def open(self):
        self._opened.set()


async def test_while_an_expression_is_matched_all_others_are_served(monkeypatch):
    service = await consumer_service(orders=2)
    gate = Gate(service, monkeypatch, "or.*")
    slow = Member(service, "slow", topics=(), regex="or.*")
    joining = asyncio.ensure_future(slow.join())
    await gate.began()
    (neighbour,) = await joined(service, "neighbour")
    (stranger,) = await joined(service, "stranger", group="another")
    assert not joining.done()
    assert (neighbour.numbers(), stranger.numbers()) == ([0, 1], [0, 1])
    gate.open()
    await joining
    for _ in range(3):
        await neighbour.settle()
        await slow.settle()
    assert sorted(slow.numbers() + neighbour.numbers()) == [0, 1]
    assert slow.numbers()


async def test_a_member_that_left_meanwhile_is_not_brought_back(monkeypatch):
    service = await consumer_service(orders=1)
    a, b = await joined(service, "a", "b")
    gate = Gate(service, monkeypatch, "or.*")
    asking = asyncio.ensure_future(a.beat(regex="or.*"))
    await gate.began()
    await a.leave()
    gate.open()
    with pytest.raises(KafkaError) as refused:
        await asking
    assert refused.value.error_code is ErrorCode.UNKNOWN_MEMBER_ID
    assert (b.group.members.keys(), b.group.regexes) == ({"b"}, {})


async def test_of_two_expressions_of_a_member_the_one_that_is_served_last_stays_alone(monkeypatch):
    service = await consumer_service(orders=1, returns=1)
    (a,) = await joined(service, "a", topics=())
    gate = Gate(service, monkeypatch, "or.*")
    asking = asyncio.ensure_future(beat(service, "g", "a", a.epoch, regex="or.*"))
    await gate.began()
    changing = asyncio.ensure_future(beat(service, "g", "a", a.epoch, regex="re.*"))  # waits for its turn on the thread
    gate.open()
    await asyncio.gather(asking, changing, return_exceptions=True)
    (known,) = a.group.regexes
    assert known == a.group.members["a"].subscription.regex
    assert a.group.regexes[known].topics == {"orders" if known == "or.*" else "returns"}


async def test_topics_that_come_and_go_while_an_expression_is_matched_are_seen_by_the_next_heartbeat(monkeypatch):
    service = await consumer_service(orders=1)
    gate = Gate(service, monkeypatch, "or.*")
    a = Member(service, "a", topics=(), regex="or.*")
    joining = asyncio.ensure_future(a.join())
    await gate.began()
    service.topics.put("orders-2", 1)
    service.topics.drop("orders")
    gate.open()
    await joining
    assert a.group.regexes["or.*"].topics == {"orders"}
    await a.settle()
    assert a.group.regexes["or.*"].topics == {"orders-2"}
    assert (a.numbers("orders-2"), len(a.holds)) == ([0], 1)


async def test_a_topic_made_meanwhile_does_not_hide_that_the_group_s_other_expressions_have_to_be_looked_at(
    monkeypatch,
):
    service = await consumer_service(orders=1)
    (a,) = await joined(service, "a", topics=(), regex="re.*")
    gate = Gate(service, monkeypatch, "or.*")
    b = Member(service, "b", topics=(), regex="or.*")
    joining = asyncio.ensure_future(b.join())
    await gate.began()
    service.topics.put("returns", 1)
    gate.open()
    await joining
    assert gate.matched == ["or.*", "re.*"]
    assert a.group.subscribed_topics == {"orders", "returns"}


async def test_members_that_ask_for_the_same_at_once_have_it_matched_once(monkeypatch):
    service = await consumer_service(orders=3)
    members = await joined(service, *"abc", topics=(), regex="or.*")
    gate = Gate(service, monkeypatch, "or.*")
    service.topics.put("orders-2", 1)
    asking = [asyncio.ensure_future(member.beat()) for member in members]
    await gate.began()
    gate.open()
    await asyncio.gather(*asking)
    assert gate.matched == ["or.*"]


async def test_who_waits_for_an_expression_when_the_broker_stops_is_told_to_look_elsewhere(monkeypatch):
    service = await consumer_service(orders=1)
    gate = Gate(service, monkeypatch, "or.*")
    joining = asyncio.ensure_future(Member(service, "a", topics=(), regex="or.*").join())
    behind = asyncio.ensure_future(Member(service, "b", topics=(), regex="re.*").join())
    await gate.began()
    await service.coordinator.stop()
    for waiting in (joining, behind):
        with pytest.raises(KafkaError) as refused:
            await waiting
        assert refused.value.error_code is ErrorCode.NOT_COORDINATOR
    gate.open()
    said = {"owned": {}, "topics": (), "regex": "o", "rebalance_timeout_ms": 1}
    assert await refusal(service, "g", "c", 0, **said) is ErrorCode.NOT_COORDINATOR
