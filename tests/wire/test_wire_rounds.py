"""JoinGroup and SyncGroup that Rust gathers for Python: answered as those that Python decodes, in every version."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from kio.schema.errors import ErrorCode
from rounds_members import Member, rejoin, share, stable, sync
from support import topics

import odradek

JOIN_VERSIONS = range(10)
SYNC_VERSIONS = range(6)


@pytest.fixture(scope="module")
def broker() -> Iterator[odradek.Broker]:
    """A broker in this process, whose engine can be asked how much it gathered."""
    with odradek.Broker() as running:
        yield running


@pytest.fixture
def group(broker: odradek.Broker, unique: Callable[[str], str]) -> Iterator[Callable[..., list[Member]]]:
    """Return a function that makes a stable group of so many members, the leader first."""
    made: list[Member] = []

    def make(count: int, versions: tuple[int, int] = (9, 5)) -> list[Member]:
        name = unique("group")
        members = [Member(broker.bootstrap_servers, name) for _ in range(count)]
        made.extend(members)
        stable(broker.bootstrap_servers, name, members)
        for one in members:
            one.versions = versions
        return sorted(members, key=lambda one: not one.leads)

    yield make
    for one in made:
        one.wire.close()


def gathered(broker: odradek.Broker) -> int:
    return int(broker._server.engine.metrics()["gathered_requests"])  # the only way to tell


def until_fenced(member: Member) -> None:
    fields = {
        "group_id": member.group,
        "generation_id": member.generation,
        "member_id": member.member_id,
        "group_instance_id": member.instance,
    }
    topics.until(lambda: member.wire.call("heartbeat", 4, fields).error_code is ErrorCode.fenced_instance_id)


def versions() -> list[tuple[int, int]]:
    return list(itertools.zip_longest(JOIN_VERSIONS, SYNC_VERSIONS, fillvalue=5))


def until_ordinary(ask: Callable[[], tuple[Any, int]], told: Any) -> None:
    """Ask until none was gathered, which one may be when what stands before it is answered at once; always told the same."""
    for _ in range(20):
        answer, count = ask()
        assert answer == told
        if count == 0:
            return
    raise AssertionError("some were gathered each time")


@pytest.mark.parametrize("pair", versions(), ids=str)
def test_both_ways_answer_a_settled_generation_to_the_byte(broker, group, pair):
    leader, follower = group(2, versions=pair)

    def ask(send: Callable[..., None], *, plain: bool) -> tuple[bytes, int]:
        before = gathered(broker)
        send(plain=plain)
        return send.__self__.receive_frame(), gathered(broker) - before

    for send in (follower.send_join, follower.send_sync, leader.send_sync):
        answer, count = ask(send, plain=True)
        assert count == 1
        until_ordinary(partial(ask, send, plain=False), answer)


@pytest.mark.parametrize("pair", versions(), ids=str)
def test_a_round_is_told_the_same_both_ways(broker, group, pair):
    members = group(3, versions=pair)

    def undated(answers: list[Any]) -> list[Any]:
        return [dataclasses.replace(answer, generation_id=0) for answer in answers]

    def turn(*, plain: bool) -> tuple[list[Any], int]:
        before = gathered(broker)
        joined = rejoin(members, plain=[plain] * 3)
        assert {answer.generation_id for answer in joined} == {members[0].generation}
        sync(members, plain=[plain] * 3)
        count = gathered(broker) - before
        rejoin(members)  # so that the next turn's metadata is this one's
        sync(members)
        return undated(joined), count

    told, count = turn(plain=True)
    assert count == 6
    until_ordinary(partial(turn, plain=False), told)


def test_fifty_members_in_both_ways_and_all_versions_share_each_generation(broker, group):
    members = group(50)
    for number, one in enumerate(members):
        one.versions = (number % 10, number % 6)
    before = gathered(broker)
    for turn in range(4):
        plain = [number % (turn + 2) > 0 for number in range(50)]
        last = members[0].generation
        answers = rejoin(members, plain=plain)
        assert {(answer.error_code, answer.generation_id) for answer in answers} == {(ErrorCode.none, last + 1)}
        sync(members, plain=plain[::-1])
    assert gathered(broker) - before > 100


def test_a_leader_that_hands_in_nothing_ends_the_round(group):
    leader, *followers = group(3)
    rejoin([leader, *followers])
    for one in followers:
        one.send_sync()
    leader.send_sync(shares=[])
    answers = [one.synced() for one in (leader, *followers)]
    assert {(answer.error_code, answer.assignment) for answer in answers} == {(ErrorCode.none, b"")}


def test_a_changed_join_sends_back_those_that_wait_for_the_leader(group):
    members = group(3)
    leader, second, third = members
    rejoin(members)
    second.send_sync()
    third.send_join(protocols=[{"name": "range", "metadata": b"other"}])
    assert second.synced().error_code is ErrorCode.rebalance_in_progress
    second.send_join()
    leader.send_join()
    assert {one.joined().generation_id for one in members} == {leader.generation}
    sync(members)


def test_a_member_that_leaves_lets_those_that_wait_go_on(group):
    leader, second, third = group(3)
    for one in (leader, second):
        one.metadata = b"other"
        one.send_join()
    third.wire.call("leave_group", 1, {"group_id": third.group, "member_id": third.member_id})
    assert {one.joined().generation_id for one in (leader, second)} == {third.generation + 1}
    assert set(leader.everybody) == {leader.member_id, second.member_id}
    sync([leader, second])


def test_a_new_member_joins_those_that_are_gathered(broker, group):
    members = group(3)
    for one in members[:2]:
        one.metadata = b"other"
        one.send_join()
    fourth = Member(broker.bootstrap_servers, members[0].group)
    fourth.send_join()
    assert fourth.joined().error_code is ErrorCode.member_id_required
    fourth.send_join()
    members[2].send_join()
    everybody = [*members, fourth]
    assert {one.joined().generation_id for one in everybody} == {members[0].generation}
    assert set(members[0].everybody) == {one.member_id for one in everybody}
    sync(everybody)
    fourth.wire.close()


def test_the_join_of_a_client_that_died_counts(group):
    leader, second, third = group(3)
    third.metadata = b"other"
    second.metadata = b"other"
    second.send_join()
    third.send_join()
    third.wire.close()
    leader.send_join()
    assert {one.joined().generation_id for one in (leader, second)} == {third.generation + 1}
    assert third.member_id in leader.everybody
    sync([leader, second])


def test_a_static_member_that_comes_back_takes_over_while_others_are_parked(broker, unique):
    name = unique("group")
    members = [Member(broker.bootstrap_servers, name, instance="i" if number == 2 else None) for number in range(3)]
    third = members[2]
    leader, second = [one for one in stable(broker.bootstrap_servers, name, members) if one is not third]
    leader.metadata = b"other"
    second.metadata = b"other"
    for one in (leader, second):
        one.send_join()
    again = Member(broker.bootstrap_servers, name, instance=third.instance)
    again.send_join()
    until_fenced(third)
    third.send_join()
    assert third.joined().error_code is ErrorCode.fenced_instance_id
    assert {one.joined().generation_id for one in (leader, second, again)} == {leader.generation}
    sync([leader, second, again])
    for one in (*members, again):
        one.wire.close()


def test_requests_behind_a_parked_one_are_answered_after_it(group):
    leader, second = group(2)
    leader.metadata = b"other"
    leader.send_join()
    numbers = [leader.wire.send("list_groups", 4, {"states_filter": []}) for _ in range(3)]
    second.send_join()
    assert second.joined().error_code is ErrorCode.none
    assert leader.joined().error_code is ErrorCode.none
    for number in numbers:
        assert leader.wire.receive("list_groups", 4, number).error_code is ErrorCode.none


def test_a_fault_takes_the_requests_it_is_for_to_python(broker, group):
    _, follower = group(2)
    before = gathered(broker)
    broker.faults.fail("JoinGroup", "REBALANCE_IN_PROGRESS")
    follower.send_join()
    assert follower.joined().error_code is ErrorCode.rebalance_in_progress
    assert gathered(broker) == before
    follower.send_join()
    assert follower.joined().error_code is ErrorCode.none
    assert gathered(broker) == before + 1


def test_a_broker_that_stops_answers_those_that_are_parked(unique):
    with odradek.Broker() as broker:
        members = [Member(broker.bootstrap_servers, "g") for _ in range(3)]
        leader, second, third = stable(broker.bootstrap_servers, "g", members)
        rejoin(members)
        before = gathered(broker)
        second.send_sync()
        third.send_sync()
        topics.until(
            lambda: leader.wire.call("list_groups", 4, {"states_filter": []}) and gathered(broker) == before + 2
        )
    assert [one.synced().error_code for one in (second, third)] == [ErrorCode.not_coordinator] * 2
    for one in members:
        one.wire.close()


def test_after_a_kill_in_the_middle_of_a_round_the_last_settled_generation_goes_on(own_broker):
    broker = own_broker()
    members = stable(broker.bootstrap, "g", [Member(broker.bootstrap, "g") for _ in range(10)])
    for waits in ("join", "sync"):
        settled = members[0].generation
        if waits == "join":
            for one in members[:-1]:
                one.metadata = b"other"
                one.send_join()
        else:
            rejoin(members)
            for one in members[1:]:
                one.send_sync()
        broker.kill()
        for one in members:
            one.wire.close()
        broker.start()
        back = [Member(broker.bootstrap, "g") for _ in members]
        for one, old in zip(back, members, strict=True):
            one.member_id, one.generation, one.everybody = old.member_id, settled, []
        for one in back[1:]:
            one.send_sync()
            answer = one.synced()
            assert (answer.error_code, answer.assignment) == (ErrorCode.none, share(one.member_id, settled))
        answers = rejoin(back)
        assert {(answer.error_code, answer.generation_id) for answer in answers} == {(ErrorCode.none, settled + 1)}
        sync(back)
        members = sorted(back, key=lambda one: not one.leads)
    for one in members:
        one.wire.close()
