"""The broker's assignors: each partition has exactly one owner among its subscribers, evenly, and moves are few."""

from hypothesis import given
from hypothesis import strategies as st

from odradek.broker.coordinator.group.server_assignors import ASSIGNORS, MemberSpec, find

TOPICS = [bytes([number]) * 16 for number in range(5)]

counts = st.fixed_dictionaries({topic: st.integers(0, 12) for topic in TOPICS})
member_ids = st.lists(st.sampled_from([f"m{n:02}" for n in range(14)]), min_size=1, max_size=10, unique=True)
topic_sets = st.frozensets(st.sampled_from(TOPICS), max_size=5)


def specs(subscriptions, previous=None):
    return {
        member_id: MemberSpec(topics, None, (previous or {}).get(member_id, {}))
        for member_id, topics in subscriptions.items()
    }


def size(assignment):
    return sum(map(len, assignment.values()))


def places(assignment):
    return {(topic, partition) for topic, partitions in assignment.items() for partition in partitions}


def check_owners(members, partition_counts, given_to):
    assert given_to.keys() == members.keys()
    owners = {}
    for member_id, assignment in given_to.items():
        for topic, partitions in assignment.items():
            assert partitions, "a topic without partitions"
            assert topic in members[member_id].topics
            for partition in partitions:
                assert owners.setdefault((topic, partition), member_id) == member_id
    wanted = {topic for member in members.values() for topic in member.topics}
    assert owners.keys() == {(topic, n) for topic in wanted for n in range(partition_counts[topic])}


@given(counts, st.dictionaries(st.sampled_from([f"m{n}" for n in range(8)]), topic_sets, max_size=8), st.data())
def test_each_partition_goes_to_exactly_one_of_its_subscribers(partition_counts, subscriptions, data):
    for name in ASSIGNORS:
        first = find(name)(specs(subscriptions), partition_counts)
        check_owners(specs(subscriptions), partition_counts, first)
        # And again after anything has changed: members, what they want, topics that shrank or are gone.
        others = data.draw(st.dictionaries(st.sampled_from([f"m{n}" for n in range(8)]), topic_sets, max_size=8))
        counted = data.draw(counts)
        members = specs(others, first)
        check_owners(members, counted, find(name)(members, counted))


@given(counts, member_ids, member_ids)
def test_uniform_shares_alike_and_moves_no_more_than_it_must(partition_counts, before, after):
    topics = frozenset(TOPICS)
    first = find("uniform")(specs(dict.fromkeys(before, topics)), partition_counts)
    assert max(map(size, first.values())) - min(map(size, first.values())) <= 1
    again = find("uniform")(specs(dict.fromkeys(before, topics), first), partition_counts)
    assert again == first, "nothing changed, so nothing moves"
    second = find("uniform")(specs(dict.fromkeys(after, topics), first), partition_counts)
    sizes = [size(assignment) for assignment in second.values()]
    assert max(sizes) - min(sizes) <= 1
    share, extra = divmod(sum(partition_counts.values()), len(after))
    stayed = sorted((size(first[member_id]) for member_id in after if member_id in first), reverse=True)
    most = sum(min(had, share + (place < extra)) for place, had in enumerate(stayed))
    kept = sum(len(places(second[m]) & places(first[m])) for m in after if m in first)
    assert kept == most, "who stays keeps all that its share allows"


@given(counts, st.dictionaries(st.sampled_from([f"m{n}" for n in range(7)]), topic_sets, min_size=1, max_size=7))
def test_uniform_leaves_no_move_that_would_even_out_members_of_different_topics(partition_counts, subscriptions):
    given_to = find("uniform")(specs(subscriptions), partition_counts)
    for giver, assignment in given_to.items():
        for topic in assignment:
            for taker, topics in subscriptions.items():
                if topic in topics:
                    assert size(assignment) - size(given_to[taker]) <= 1, (giver, taker)
    assert find("uniform")(specs(subscriptions, given_to), partition_counts) == given_to


@given(st.integers(1, 9), member_ids)
def test_range_gives_runs_that_line_up_across_topics(count, members):
    topics = frozenset(TOPICS[:3])
    given_to = find("range")(specs(dict.fromkeys(members, topics)), dict.fromkeys(TOPICS, count))
    for assignment in given_to.values():
        assert len(set(assignment.values())) <= 1, "the same numbers in each topic"
        for partitions in assignment.values():
            assert sorted(partitions) == list(range(min(partitions), max(partitions) + 1))
    sizes = [size(given_to[member_id]) for member_id in sorted(given_to)]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] - sizes[-1] <= len(topics)


def test_range_puts_static_members_first_by_instance_id():
    topics = frozenset(TOPICS[:1])
    members = {"a": MemberSpec(topics), "z": MemberSpec(topics, "i1"), "y": MemberSpec(topics, "i2")}
    given_to = find("range")(members, {TOPICS[0]: 3})
    assert {member_id: set(given_to[member_id][TOPICS[0]]) for member_id in members} == {"z": {0}, "y": {1}, "a": {2}}


def test_nobody_gets_anything_where_nobody_is():
    assert [find(name)({}, {}) for name in ASSIGNORS] == [{}, {}]
