"""A member's life in a group, against the broker's own coordinator, with a clock turned by hand.

What holds whatever the protocol is tested with the classic one and with that of KIP-848 (`either`), the rest is classic;
`test_modern_member.py` has the other's own.
"""

import asyncio

import pytest
from group_world import MAX_POLL_MS, SESSION_MS, World, partitions

from odradek.client.consumer.classic_member import Phase
from odradek.errors import (
    CommitFailedError,
    DisconnectedError,
    ErrorCode,
    InternalError,
    KafkaError,
    MaxPollExceededError,
    NoBrokersAvailableError,
)
from odradek.protocol.api_keys import ApiKey
from odradek.types import OffsetAndMetadata

ALL = partitions("t", *range(6))


@pytest.fixture
async def world():
    world = await World().start()
    yield world
    await world.stop()


@pytest.fixture(params=["range", "848-uniform"])
async def either(request):
    """A world whose members, unless told otherwise, use one protocol or the other."""
    world = await World(usual=request.param).start()
    yield world
    await world.stop()


async def test_the_only_member_gets_everything(either):
    member = either.member()
    await either.settle(2_000)
    assert either.owned(member) == ALL
    assert member.log == [("assigned", ALL)]
    assert member.membership.rebalances == 1


async def test_eager_members_give_everything_up_before_they_join(world):
    first = world.member("range")
    await world.settle(2_000)
    second = world.member("range")
    await world.settle(6_000)
    assert first.log[:2] == [("assigned", ALL), ("revoked", ALL)]
    assert sorted([first.log[2], second.log[0]]) == [("assigned", ALL[:3]), ("assigned", ALL[3:])]
    assert (len(first.log), len(second.log)) == (3, 1)


async def test_cooperative_members_keep_what_does_not_move(world):
    first = world.member("cooperative-sticky")
    await world.settle(2_000)
    second = world.member("cooperative-sticky")
    await world.settle(8_000)
    assert first.told("assigned") == ALL
    assert len(first.told("revoked")) == 3
    assert sorted(second.told("assigned")) == sorted(first.told("revoked"))
    assert world.owned(first, second) == ALL


async def test_one_assignor_that_is_eager_makes_the_member_eager(world):
    first = world.member("range", "cooperative-sticky")
    await world.settle(2_000)
    world.member("range", "cooperative-sticky")
    await world.settle(6_000)
    assert first.told("revoked") == ALL


async def test_a_member_that_leaves_frees_its_partitions_at_once(either):
    first, second = either.member(), either.member()
    await either.settle(6_000)
    await second.leave()
    await either.settle(SESSION_MS // 2)
    assert either.owned(first) == ALL


async def test_a_member_that_dies_is_replaced_after_its_session(either):
    first, second = either.member(), either.member()
    await either.settle(6_000)
    await second.kill()
    await either.settle(SESSION_MS + 4_000)
    assert either.owned(first) == ALL


async def test_a_static_member_that_restarts_gets_its_partitions_without_a_rebalance(either):
    first, second = either.member(), either.member(instance_id="two")
    await either.settle(6_000)
    before, told = either.owned(second), list(first.log)
    await second.leave()
    again = either.member(instance_id="two")
    await either.settle(4_000)
    assert either.owned(again) == before
    assert first.log == told


async def test_a_fenced_static_member_is_told_at_every_poll_and_does_not_fence_back(world):
    first = world.member(instance_id="one")
    await world.settle(2_000)
    second = world.member(instance_id="one")
    await world.settle(10_000)
    assert {type(error) for error in first.raised} == {KafkaError}
    assert {error.error_code for error in first.raised} == {ErrorCode.FENCED_INSTANCE_ID}
    assert "group_instance_id" in str(first.raised[0])
    assert first.told("lost") == ALL
    assert world.owned(second) == ALL
    assert not second.raised
    told = len(first.raised)
    first.resume()
    await world.settle(10_000)
    assert len(first.raised) > told
    assert not second.raised


async def test_a_member_that_does_not_poll_leaves_and_its_next_poll_says_so(either):
    first, second = either.member(), either.member()
    await either.settle(6_000)
    first.stall()
    await either.settle(MAX_POLL_MS + 4_000)
    assert either.owned(second) == ALL
    first.resume()
    await either.settle(6_000)
    (error,) = first.raised
    assert isinstance(error, MaxPollExceededError)
    assert "max_poll_interval_ms is 20000" in str(error)
    assert "20.0 s" in str(error)
    assert first.told("lost")
    assert either.owned(first, second) == ALL, "it has joined again"


async def test_a_slow_handler_is_not_thrown_out_before_its_time(world):
    first, second = world.member("cooperative-sticky"), world.member("cooperative-sticky")
    await world.settle(8_000)
    before = world.owned(first)
    first.stall()
    await world.settle(MAX_POLL_MS - 3_000)
    first.resume()
    await world.settle(3_000)
    assert not first.raised
    assert world.owned(first) == before
    assert world.owned(first, second) == ALL


async def test_a_member_the_coordinator_has_forgotten_loses_its_partitions_and_joins_anew(either):
    first, second = either.member(), either.member()
    await either.settle(6_000)
    first.transport.cut = True
    await either.settle(SESSION_MS + 4_000)
    assert either.owned(second) == ALL
    first.transport.cut = False
    await either.settle(10_000)
    assert first.told("lost")
    assert either.owned(first, second) == ALL


async def test_an_assignment_that_waited_beyond_a_session_of_silence_is_not_taken_over(world):
    """Found by the simulation: the group had gone on, and poll took over what another member had by then."""
    first = world.member()
    await world.settle(2_000)
    second = world.member()
    second.stall()
    await world.settle(4_000)
    assert second.membership.phase is Phase.HANDING
    second.transport.cut = True
    await world.settle(SESSION_MS + 6_000)
    assert world.owned(first) == ALL
    second.resume()
    await world.settle(2_000)
    assert not second.told("assigned")
    second.transport.cut = False
    await world.settle(10_000)
    assert world.owned(first, second) == ALL
    assert len(world.owned(second)) == 3


async def test_what_poll_has_yet_to_give_up_when_a_session_of_silence_ends_is_not_taken_from_it_without_a_word(world):
    first = world.member("cooperative-sticky")
    await world.settle(2_000)
    first.stall()
    second = world.member("cooperative-sticky")
    await world.settle(4_000)
    assert first.membership.phase is Phase.HANDING
    first.transport.cut = True
    await world.settle(SESSION_MS - 1_000)
    first.resume()
    await world.settle(500)
    first.transport.cut = False
    await world.settle(10_000)
    assert world.owned(first, second) == ALL
    assert set(first.told("assigned")) - set(world.owned(first)) <= {*first.told("revoked"), *first.told("lost")}


async def test_more_partitions_of_a_topic_are_assigned(either):
    first, second = either.member(), either.member()
    await either.settle(6_000)
    either.grow("t", 8)
    await either.settle(8_000)
    assert either.owned(first, second) == partitions("t", *range(8))


async def test_a_topic_that_comes_to_match_the_pattern_is_assigned(either):
    member = either.member(topics="^t")
    await either.settle(2_000)
    either.grow("t2", 2)
    either.grow("other", 2)
    await either.settle(6_000)
    assert either.owned(member) == ALL + partitions("t2", 0, 1)


async def test_a_subscribed_topic_that_is_made_later_is_assigned(world):
    member = world.member(topics=["late"])
    await world.settle(2_000)
    assert member.log == [("assigned", [])]
    world.grow("late", 1)
    await world.settle(6_000)
    assert world.owned(member) == partitions("late", 0)


async def test_an_answer_that_lacks_a_topic_once_is_no_reason_to_rebalance(world):
    member = world.member()
    await world.settle(4_000)
    rebalances = member.membership.rebalances
    del world.counts["t"]
    world.metadata_version += 1
    await world.advance(SESSION_MS // 3)
    world.grow("t", 6)
    await world.settle(6_000)
    assert member.membership.rebalances == rebalances


@pytest.mark.parametrize(
    "code",
    [
        ErrorCode.COORDINATOR_LOAD_IN_PROGRESS,
        ErrorCode.COORDINATOR_NOT_AVAILABLE,
        ErrorCode.NOT_COORDINATOR,
        ErrorCode.REBALANCE_IN_PROGRESS,
        ErrorCode.UNKNOWN_MEMBER_ID,
    ],
)
@pytest.mark.parametrize("api", [ApiKey.JOIN_GROUP, ApiKey.SYNC_GROUP, ApiKey.HEARTBEAT], ids=lambda api: api.name)
async def test_an_error_that_passes_is_survived_in_every_request(world, api, code):
    first, second = world.member("cooperative-sticky"), world.member("cooperative-sticky")
    first.transport.refuse = {api: [code, code]}
    await world.settle(30_000)
    assert not first.transport.refuse[api]
    assert world.owned(first, second) == ALL
    assert not first.raised


async def test_an_error_that_does_not_pass_is_raised_and_the_next_poll_tries_again(world):
    member = world.member()
    member.transport.refuse = {ApiKey.JOIN_GROUP: [ErrorCode.GROUP_AUTHORIZATION_FAILED]}
    await world.settle(4_000)
    assert [error.error_code for error in member.raised] == [ErrorCode.GROUP_AUTHORIZATION_FAILED]
    assert world.owned(member) == ALL


async def test_a_bug_in_the_membership_is_raised_by_every_poll(world):
    member = world.member()
    await world.settle(2_000)
    member.membership._topics.changed = None
    await world.settle(6_000)
    assert isinstance(member.raised[0], InternalError)
    assert len(member.raised) > 1


async def test_a_cluster_that_never_answered_is_the_users_to_know(either):
    member = either.member()

    async def nobody(_group):
        raise NoBrokersAvailableError("nobody there")

    member.transport.coordinator = nobody
    await either.settle(2_000)
    assert isinstance(member.raised[0], NoBrokersAvailableError)
    del member.transport.coordinator
    await either.settle(4_000)
    assert either.owned(member) == ALL


async def test_a_commit_reaches_the_coordinator_and_comes_back(either):
    member = either.member()
    await either.settle(2_000)
    await member.commit(7)
    assert either.service.offset("g", "t", 5) == 7
    found = await member.commits.committed(ALL[:2], 5.0)
    assert [found[one].offset for one in ALL[:2]] == [7, 7]
    assert await member.commits.committed(partitions("t2", 0), 5.0) == {partitions("t2", 0)[0]: None}


async def test_a_commit_during_a_cooperative_rebalance_succeeds(world):
    first = world.member("cooperative-sticky")
    await world.settle(2_000)
    first.stall()  # the second can't get its share until the first has polled
    world.member("cooperative-sticky")
    await world.settle(4_000)
    await first.commit(9)
    assert world.service.offset("g", "t", 0) == 9


async def test_a_commit_after_the_partitions_went_fails_and_changes_nothing(either):
    first, second = either.member("range"), either.member("range")
    await either.settle(6_000)
    stale = {one: OffsetAndMetadata(3) for one in either.owned(first)}
    first.stall()
    await either.settle(MAX_POLL_MS + 4_000)
    await second.commit(50)
    with pytest.raises(CommitFailedError, match="not a member"):
        await first.commits.commit(stale, 1.0)
    assert either.service.offset("g", "t", 0) == 50


async def test_a_commit_is_not_carried_over_a_break_in_holding_the_partition(world):
    """An eager rebalance between two tries: another member may have read and committed further in between."""
    member = world.member("range")
    await world.settle(2_000)
    member.transport.refuse = {ApiKey.OFFSET_COMMIT: [DisconnectedError("cut")] * 8}
    commit = asyncio.ensure_future(member.commit(3, timeout=20.0))
    world.member("range")
    await world.settle(12_000)
    with pytest.raises(CommitFailedError, match="rebalanced meanwhile"):
        await commit
    assert world.service.offset("g", "t", 0) is None


async def test_leaving_while_the_join_is_waiting_frees_the_place(world):
    first = world.member("range")
    await world.settle(2_000)
    first.stall()
    second = world.member("range")
    await world.settle(3_000)
    assert second.membership.phase is Phase.JOINING
    await second.leave()
    first.resume()
    await world.settle(4_000)
    assert world.owned(first) == ALL
