"""Who gets what: each partition exactly once, evenly, and with as little moved as can be."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odradek.client.consumer.assignors import ASSIGNORS
from odradek.client.consumer.blobs import Subscription
from odradek.types import TopicPartition

NAMES = sorted(ASSIGNORS)
TOPICS = ["a", "b", "c"]
counts_of = st.dictionaries(st.sampled_from(TOPICS), st.integers(0, 9))
members_of = st.dictionaries(
    st.sampled_from([f"m{number}" for number in range(7)]),
    st.lists(st.sampled_from([*TOPICS, "missing"]), min_size=1, unique=True).map(tuple),
    min_size=1,
)


def partitions(topic, *numbers):
    return [TopicPartition(topic, number) for number in numbers]


def everything(members, counts):
    wanted = {topic for topics in members.values() for topic in topics}
    return sorted(TopicPartition(topic, n) for topic in counts if topic in wanted for n in range(counts[topic]))


def first_round(name, members, counts):
    """Assign to members that own nothing."""
    return ASSIGNORS[name]().assign({one: Subscription(topics) for one, topics in members.items()}, counts)


def next_round(name, members, counts, owned, generation=1):
    """Assign to members that tell what they had, as the assignor has them tell it."""
    assignor = ASSIGNORS[name]()
    subscriptions = {}
    for one, topics in members.items():
        had = tuple(owned.get(one, ()))
        data = assignor.user_data(had, generation)
        subscriptions[one] = Subscription(topics, data, had if assignor.cooperative else (), generation)
    return assignor.assign(subscriptions, counts)


def settled(name, members, counts, owned):
    """Run rounds until nothing moves, as cooperative members do."""
    for generation in range(1, 4):
        given_out = next_round(name, members, counts, owned, generation)
        if given_out == owned:
            break
        owned = given_out
    return owned


@pytest.mark.parametrize("name", NAMES)
@given(members=members_of, counts=counts_of)
def test_each_partition_goes_to_one_member_that_wants_it(name, members, counts):
    result = first_round(name, members, counts)
    assert result.keys() == members.keys()
    assert sorted(one for given_out in result.values() for one in given_out) == everything(members, counts)
    for member, given_out in result.items():
        assert {one.topic for one in given_out} <= set(members[member])


@pytest.mark.parametrize("name", NAMES)
@given(members=members_of, counts=counts_of)
def test_the_order_of_members_changes_nothing(name, members, counts):
    backwards = dict(reversed(members.items()))
    assert first_round(name, members, counts) == first_round(name, backwards, counts)


@pytest.mark.parametrize("name", ["roundrobin", "sticky", "cooperative-sticky"])
@given(count=st.integers(1, 6), counts=counts_of)
def test_members_that_want_the_same_get_equally_many(name, count, counts):
    members = {f"m{number}": tuple(TOPICS) for number in range(count)}
    sizes = [len(given_out) for given_out in first_round(name, members, counts).values()]
    assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize("name", ["sticky", "cooperative-sticky"])
@given(members=members_of, later=members_of, counts=counts_of, grown=counts_of)
def test_sticky_ends_even_whatever_was_before(name, members, later, counts, grown):
    owned = first_round(name, members, counts)
    result = settled(name, later, grown, {one: given_out for one, given_out in owned.items() if one in later})
    assert sorted(one for given_out in result.values() for one in given_out) == everything(later, grown)
    for given_out in result.values():
        for poor, topics in later.items():
            if any(one.topic in topics for one in given_out):
                assert len(given_out) - len(result[poor]) <= 1


@pytest.mark.parametrize("name", ["sticky", "cooperative-sticky"])
@given(count=st.integers(1, 6), size=st.integers(0, 20))
def test_a_member_that_joins_takes_its_share_and_nothing_else_moves(name, count, size):
    members = {f"m{number}": ("a",) for number in range(count)}
    before = first_round(name, members, {"a": size})
    after = settled(name, members | {"new": ("a",)}, {"a": size}, before)
    for member in members:
        assert set(after[member]) <= set(before[member])


@pytest.mark.parametrize("name", ["sticky", "cooperative-sticky"])
@given(count=st.integers(2, 6), size=st.integers(0, 20))
def test_when_a_member_leaves_the_others_keep_what_they_have(name, count, size):
    members = {f"m{number}": ("a",) for number in range(count)}
    before = first_round(name, members, {"a": size})
    del members["m0"]
    after = settled(name, members, {"a": size}, {one: before[one] for one in members})
    for member in members:
        assert set(before[member]) <= set(after[member])


@given(members=members_of, later=members_of, counts=counts_of)
def test_cooperative_never_gives_what_another_still_holds(members, later, counts):
    owned = first_round("cooperative-sticky", members, counts)
    result = next_round("cooperative-sticky", later, counts, owned)
    for member, given_out in result.items():
        for one in given_out:
            assert not any(one in owned.get(other, ()) for other in later if other != member)


def test_range_gives_consecutive_partitions_of_each_topic():
    result = first_round("range", {"x": ("a", "b"), "y": ("a", "b")}, {"a": 3, "b": 3})
    assert result == {
        "x": partitions("a", 0, 1) + partitions("b", 0, 1),
        "y": partitions("a", 2) + partitions("b", 2),
    }


def test_round_robin_deals_over_topics():
    result = first_round("roundrobin", {"x": ("a", "b"), "y": ("a", "b")}, {"a": 3, "b": 3})
    assert result == {
        "x": partitions("a", 0, 2) + partitions("b", 1),
        "y": partitions("a", 1) + partitions("b", 0, 2),
    }


def test_static_members_come_first_in_the_order_of_their_instance_ids():
    members = {"x": Subscription(("a",)), "y": Subscription(("a",), instance_id="2")}
    members["z"] = Subscription(("a",), instance_id="1")
    assert ASSIGNORS["range"]().assign(members, {"a": 3}) == {
        "z": partitions("a", 0),
        "y": partitions("a", 1),
        "x": partitions("a", 2),
    }


def test_of_two_claims_the_later_generation_holds():
    stale = Subscription(("a",), owned=tuple(partitions("a", 0, 1)), generation=3)
    fresh = Subscription(("a",), owned=tuple(partitions("a", 0)), generation=4)
    result = ASSIGNORS["cooperative-sticky"]().assign({"stale": stale, "fresh": fresh}, {"a": 2})
    assert result == {"stale": partitions("a", 1), "fresh": partitions("a", 0)}


def test_of_two_equal_claims_neither_holds_until_both_have_let_go():
    one = Subscription(("a",), owned=tuple(partitions("a", 0)), generation=3)
    result = ASSIGNORS["cooperative-sticky"]().assign({"x": one, "y": one}, {"a": 2})
    assert TopicPartition("a", 0) not in result["x"] + result["y"]


def test_sticky_reads_a_claim_that_lies_as_none():
    liar = Subscription(("a",), user_data=b"\x7f\xff\xff\xff")
    assert ASSIGNORS["sticky"]().assign({"x": liar}, {"a": 1}) == {"x": partitions("a", 0)}
