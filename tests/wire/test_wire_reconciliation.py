"""Members of a group of KIP-848 on their way to their target, step by step: what ConsumerGroupDescribe shows of them, and
what they may commit.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import pytest
from kio.schema.errors import ErrorCode
from support import topics
from support.consumer_member import ConsumerMember
from support.wire import Wire

pytestmark = pytest.mark.brokers("odradek", "kafka")

Join = Callable[..., ConsumerMember]
Places = dict[str, list[int]]


class Seen(NamedTuple):
    """A member as it is described."""

    epoch: int
    has: Places
    target: Places


@pytest.fixture
def group(unique: Callable[[str], str]) -> str:
    """A group's name."""
    return unique("group")


@pytest.fixture
def join(wire: Wire, group: str) -> Iterator[Join]:
    """Return a function that has a new member join, and waits until it is counted on; all leave in the end."""
    made: list[ConsumerMember] = []

    def one(*names: str, **said: Any) -> ConsumerMember:
        member = ConsumerMember(wire, group, *names, **said)
        made.append(member)
        member.join()
        until_aimed(wire, group, member, names)
        return member

    yield one
    for member in made:
        member.beat(member_epoch=-1)


def described(wire: Wire, group: str) -> Any:
    fields = {"group_ids": [group], "include_authorized_operations": False}
    (row,) = wire.call("consumer_group_describe", 1, fields).groups
    assert row.error_code is ErrorCode.none
    return row


def seen(wire: Wire, group: str, member: ConsumerMember) -> Seen:
    (row,) = (row for row in described(wire, group).members if row.member_id == member.member_id)
    return Seen(row.member_epoch, places(row.assignment), places(row.target_assignment))


def until_aimed(
    wire: Wire,
    group: str,
    member: ConsumerMember,
    names: Sequence[str],
    owned: Mapping[uuid.UUID, Sequence[int]] | None = None,
) -> None:
    """Heartbeat until the member's target is of these topics: Apache Kafka may see a new topic, or make a target, later."""

    def aimed() -> bool:
        if seen(wire, group, member).target.keys() == set(names):
            return True
        member.beat(owned)
        return False

    topics.until(aimed)


def places(assignment: Any) -> Places:
    assert len({row.topic_id for row in assignment.topic_partitions}) == len(assignment.topic_partitions)
    return {row.topic_name: sorted(row.partitions) for row in assignment.topic_partitions}


def topic_id(wire: Wire, name: str) -> uuid.UUID:
    return uuid.UUID(int=topics.describe_topic(wire, name).topic_id.int)


def test_a_member_is_shown_with_what_it_has_not_given_up(
    wire: Wire, group: str, join: Join, make_topic: Callable[..., str]
) -> None:
    topic = make_topic(partitions=4)
    number = topic_id(wire, topic)
    first = join(topic)
    old = first.epoch
    assert seen(wire, group, first) == (old, {topic: [0, 1, 2, 3]}, {topic: [0, 1, 2, 3]})
    second = join(topic)
    new = second.epoch
    kept, given = (seen(wire, group, one).target[topic] for one in (first, second))
    assert (len(kept), sorted(kept + given)) == (2, [0, 1, 2, 3])

    def stand() -> tuple[Any, ...]:
        row = described(wire, group)
        assert (row.group_epoch, row.assignment_epoch) == (new, new)
        return row.group_state, *seen(wire, group, first)[:2], *seen(wire, group, second)[:2]

    before = ("Reconciling", old, {topic: [0, 1, 2, 3]}, new, {})
    assert stand() == before, "who has not heard of it yet"
    told = first.beat()
    assert ([sorted(row.partitions) for row in told.assignment.topic_partitions], first.epoch) == ([kept], old)
    assert stand() == before, "who was told and says nothing"
    assert first.beat({number: [0, 1, 2, 3]}).assignment is None
    assert stand() == before, "who says that it has them still"
    assert second.beat().assignment is None
    assert stand() == before, "nobody else gets them yet"
    first.beat({number: kept})
    assert stand() == ("Reconciling", new, {topic: kept}, new, {}), "who has given them up"
    second.beat()
    assert stand() == ("Stable", new, {topic: kept}, new, {topic: given})


def test_topics_no_longer_subscribed_to_are_shown_until_they_are_given_up(
    wire: Wire, group: str, join: Join, make_topic: Callable[..., str]
) -> None:
    one, other = make_topic(partitions=2), make_topic(partitions=2)
    member = join(one, other)
    both = {one: [0, 1], other: [0, 1]}
    everything = {topic_id(wire, name): numbers for name, numbers in both.items()}
    member.beat(everything)
    assert seen(wire, group, member) == (member.epoch, both, both)
    old = member.epoch
    member.beat(everything, subscribed_topic_names=[one])
    until_aimed(wire, group, member, [one], everything)
    assert seen(wire, group, member) == (old, both, {one: [0, 1]})
    assert described(wire, group).group_state == "Reconciling"
    member.beat({topic_id(wire, one): [0, 1]})
    assert seen(wire, group, member) == (member.epoch, {one: [0, 1]}, {one: [0, 1]})
    assert member.epoch > old


def test_a_member_may_commit_in_an_older_epoch_what_it_has_not_given_up(
    wire: Wire, group: str, join: Join, make_topic: Callable[..., str]
) -> None:
    topic, other = make_topic(partitions=2), make_topic()
    number = topic_id(wire, topic)
    first = join(topic)
    old = first.epoch
    first.beat({number: [0, 1]})
    join(other)
    first.beat()
    assert first.epoch > old, "a rebalance that does not concern it"
    first.epoch = old  # an answer that it did not get
    second = join(topic)
    first.beat({number: [0, 1]})
    now = seen(wire, group, first)
    assert (now.has, len(now.target[topic])) == ({topic: [0, 1]}, 1)
    assert old < now.epoch < second.epoch

    def commit(member_epoch: int) -> list[ErrorCode]:
        rows = [
            {
                "partition_index": index,
                "committed_offset": 0,
                "committed_leader_epoch": -1,
                "committed_metadata": "",
            }
            for index in (0, 1)
        ]
        fields = {
            "group_id": group,
            "generation_id_or_member_epoch": member_epoch,
            "member_id": first.member_id,
            "group_instance_id": None,
            "topics": [{"name": topic, "partitions": rows}],
        }
        (row,) = wire.call("offset_commit", 9, fields).topics
        return [part.error_code for part in row.partitions]

    assert commit(now.epoch) == [ErrorCode.none] * 2
    assert commit(old) == [ErrorCode.none] * 2, "it has had both since then"
    assert commit(old - 1) == [ErrorCode.stale_member_epoch] * 2
    first.beat({number: now.target[topic]})
    assert commit(old) == [ErrorCode.stale_member_epoch] * 2, "one of them is gone"
