"""A member's life in a group of KIP-848, heartbeat by heartbeat, against a coordinator that follows a script."""

import asyncio
import uuid

import pytest
from group_world import MAX_POLL_MS, partitions
from scripted import INTERVAL_S, Stage, said

from odradek.client.consumer.wanted import Wanted
from odradek.errors import (
    CommitFailedError,
    DisconnectedError,
    ErrorCode,
    InternalError,
    MaxPollExceededError,
    NoBrokersAvailableError,
    UnsupportedVersionError,
)

ALL = partitions("t", *range(6))


@pytest.fixture
async def stage():
    stage = Stage()
    yield stage
    await stage.stop()


def target(*numbers, topic="t"):
    return [(topic, number) for number in numbers]


async def test_the_first_heartbeat_says_everything_and_later_ones_only_that_the_member_lives(stage):
    member, script = stage.member(lines=[{"epoch": 4}], rack="here", remote_assignor="range")
    await stage.pass_time(2 * INTERVAL_S + 1)
    join, *others = script.beats
    assert (join.group_id, join.member_epoch, join.instance_id, join.subscribed_topic_regex) == ("g", 0, None, None)
    assert uuid.UUID(join.member_id)
    assert said(join) == {
        "topics": {"t"},
        "owned": set(),
        "rebalance_ms": MAX_POLL_MS,
        "assignor": "range",
        "rack": "here",
    }
    assert len(others) == 2, "one each interval that the coordinator named"
    assert [(one.member_id, one.member_epoch, said(one)) for one in others] == [(join.member_id, 4, {})] * 2
    assert member.membership.identity == (join.member_id, 4)
    assert member.log == [], "nothing was assigned, so there is nothing to tell"


async def test_an_assignment_is_handed_to_poll_and_then_confirmed_once_at_once(stage):
    member, script = stage.member(lines=[{"target": target(0, 1)}])
    await stage.pass_time(0.5)
    assert member.log == [("assigned", ALL[:2])]
    assert [said(one) for one in script.beats[1:]] == [{"owned": stage.places("t", 0, 1)}]
    await stage.pass_time(INTERVAL_S)
    assert said(script.beats[2]) == {}
    assert member.membership.rebalances == 1


async def test_a_partition_that_goes_is_confirmed_only_after_poll_has_given_it_up(stage):
    member, script = stage.member(lines=[{"target": target(0, 1)}])
    await stage.pass_time(0.5)
    member.stall()
    script.lines.append({"target": target(1), "epoch": 2})
    await stage.pass_time(2 * INTERVAL_S + 1)
    assert all(said(one) == {} for one in script.beats[2:]), "heartbeats go on, and don't say that it is given up"
    assert len(script.beats) >= 4
    assert member.told("revoked") == []
    member.resume()
    await stage.pass_time(0.5)
    assert member.log[1:] == [("revoked", ALL[:1]), ("assigned", [])]
    assert said(script.beats[-1]) == {"owned": stage.places("t", 1)}
    assert script.beats[-1].member_epoch == 2


async def test_a_target_that_comes_while_poll_is_busy_is_next_and_the_one_before_not_taken_over(stage):
    member, script = stage.member(lines=[{"target": target(0)}])
    await stage.pass_time(0.5)
    member.stall()
    script.lines.extend([{"target": target(1)}, {"target": target(2)}])
    await stage.pass_time(2 * INTERVAL_S + 1)
    member.resume()
    await stage.pass_time(0.5)
    assert member.log[1:] == [("revoked", ALL[:1]), ("assigned", ALL[2:3])]
    assert said(script.beats[-1]) == {"owned": stage.places("t", 2)}


async def test_what_was_given_up_is_said_at_once_also_when_the_target_has_changed_meanwhile(stage):
    member, script = stage.member(lines=[{"target": target(0)}])
    await stage.pass_time(0.5)
    member.stall()
    script.lines.extend([{"target": target(1)}, {"target": []}])
    await stage.pass_time(2 * INTERVAL_S + 1)
    member.resume()
    await stage.pass_time(0.25)
    assert member.log[1:] == [("revoked", ALL[:1])]
    assert said(script.beats[-1]) == {"owned": set()}


@pytest.mark.parametrize(
    "code", [ErrorCode.FENCED_MEMBER_EPOCH, ErrorCode.UNKNOWN_MEMBER_ID, ErrorCode.GROUP_ID_NOT_FOUND]
)
async def test_a_member_that_the_coordinator_does_not_know_loses_all_and_joins_anew_after_poll_has_heard(stage, code):
    member, script = stage.member(lines=[{"target": target(0, 1), "epoch": 7}])
    await stage.pass_time(0.5)
    member.stall()
    script.lines.append({"error": code})
    await stage.pass_time(INTERVAL_S)
    fenced = len(script.beats)
    await stage.pass_time(2 * INTERVAL_S)
    assert len(script.beats) == fenced, "no word to the group before poll has heard"
    assert member.membership.identity.generation == -1
    script.lines.append({"target": target(4), "epoch": 9})
    member.resume()
    await stage.pass_time(0.5)
    again = script.beats[fenced]
    assert (again.member_id, again.member_epoch) == (script.beats[0].member_id, 0)
    assert said(again) == said(script.beats[0])
    assert member.log[1:] == [("lost", ALL[:2]), ("assigned", ALL[4:5])]
    assert not member.raised


@pytest.mark.parametrize(
    "trouble",
    [
        {"error": ErrorCode.NOT_COORDINATOR},
        {"error": ErrorCode.COORDINATOR_NOT_AVAILABLE},
        {"error": ErrorCode.COORDINATOR_LOAD_IN_PROGRESS},
        DisconnectedError("cut"),
        NoBrokersAvailableError("nobody there"),
    ],
    ids=lambda one: one["error"].name if isinstance(one, dict) else type(one).__name__,
)
async def test_what_passes_is_tried_again_with_everything_said_and_nothing_lost(stage, trouble):
    member, script = stage.member(lines=[{"target": target(0), "epoch": 3}])
    await stage.pass_time(0.5)
    script.lines.extend([trouble, trouble])
    await stage.pass_time(INTERVAL_S + 2)
    *_, full = script.beats
    assert full.member_epoch == 3
    assert said(full) == {"topics": {"t"}, "owned": stage.places("t", 0), "rebalance_ms": MAX_POLL_MS}
    assert member.log == [("assigned", ALL[:1])]
    assert not member.raised


@pytest.mark.parametrize(
    ("code", "told"),
    [
        (ErrorCode.UNRELEASED_INSTANCE_ID, "group_instance_id"),
        (ErrorCode.UNSUPPORTED_ASSIGNOR, "the broker's own words"),
        (ErrorCode.INVALID_REGULAR_EXPRESSION, "the broker's own words"),
        (ErrorCode.INVALID_REQUEST, "the broker's own words"),
        (ErrorCode.TOPIC_AUTHORIZATION_FAILED, "the broker's own words"),
        (ErrorCode.GROUP_AUTHORIZATION_FAILED, "may not read with the group"),
        (ErrorCode.GROUP_MAX_SIZE_REACHED, "group.max.size"),
        (ErrorCode.GROUP_ID_NOT_FOUND, "use another group_id"),
        (ErrorCode.UNSUPPORTED_VERSION, "group_protocol='classic'"),
    ],
)
async def test_a_refused_join_is_raised_by_poll_with_what_to_do_and_tried_again_after_it(stage, code, told):
    member, script = stage.member(lines=[{"error": code, "message": "the broker's own words"}, {"target": target(5)}])
    member.stall()
    await stage.pass_time(2 * INTERVAL_S)
    assert len(script.beats) == 1
    member.resume()
    await stage.pass_time(0.5)
    (error,) = member.raised
    assert error.error_code == code
    assert told in str(error)
    assert "group 'g'" in str(error)
    assert [one.member_epoch for one in script.beats[:2]] == [0, 0]
    assert member.log == [("assigned", ALL[5:])]


async def test_a_broker_without_the_api_is_told_of_with_what_to_do(stage):
    member, _script = stage.member(
        lines=[UnsupportedVersionError("the broker does not serve CONSUMER_GROUP_HEARTBEAT")]
    )
    await stage.pass_time(0.5)
    (error,) = member.raised
    assert isinstance(error, UnsupportedVersionError)
    assert "group_protocol='classic'" in str(error)


async def test_a_cluster_that_never_answered_is_the_users_to_know(stage):
    member, _script = stage.member(lines=[NoBrokersAvailableError("nobody there"), {"target": target(0)}])
    await stage.pass_time(0.5)
    assert [type(error) for error in member.raised] == [NoBrokersAvailableError]
    assert member.log == [("assigned", ALL[:1])]


async def test_a_fenced_static_member_is_told_at_every_poll_and_says_no_more(stage):
    member, script = stage.member(
        lines=[{"target": target(0)}, {}, {"error": ErrorCode.FENCED_INSTANCE_ID}], instance_id="one"
    )
    await stage.pass_time(4 * INTERVAL_S)
    assert len(script.beats) == 3
    assert len(member.raised) > 1
    assert {error.error_code for error in member.raised} == {ErrorCode.FENCED_INSTANCE_ID}
    assert member.told("lost") == ALL[:1]


@pytest.mark.parametrize(("instance_id", "epoch"), [(None, -1), ("one", -2)])
async def test_leaving_is_said_and_a_static_member_says_that_it_may_come_back(stage, instance_id, epoch):
    member, script = stage.member(lines=[{"target": target(0)}], instance_id=instance_id)
    await stage.pass_time(0.5)
    await member.leave()
    last = script.beats[-1]
    assert (last.member_id, last.member_epoch, last.instance_id) == (script.beats[0].member_id, epoch, instance_id)
    assert said(last) == {}


@pytest.mark.parametrize(("answer", "goodbyes"), [({}, 1), (DisconnectedError("cut"), 2)])
async def test_who_left_for_not_polling_leaves_again_only_when_that_was_not_answered(stage, answer, goodbyes):
    member, script = stage.member()
    await stage.pass_time(0.5)
    member.stall()
    await stage.pass_time(MAX_POLL_MS / 1000 - 1)
    assert [one.member_epoch for one in script.beats].count(-1) == 0
    script.lines.append(answer)
    await stage.pass_time(2)
    assert script.beats[-1].member_epoch == -1
    await member.leave()
    assert [one.member_epoch for one in script.beats].count(-1) == goodbyes


async def test_a_member_whose_join_was_not_answered_yet_leaves_all_the_same(stage):
    member, script = stage.member(lines=[DisconnectedError("cut")] * 100)
    await stage.pass_time(0.5)
    script.lines.clear()
    await member.leave()
    assert script.beats[-1].member_epoch == -1


async def test_who_never_reached_the_coordinator_has_nobody_to_take_leave_of(stage):
    member, script = stage.member()
    script.cut = True
    await stage.pass_time(0.5)
    script.cut = False
    await member.leave()
    assert script.beats == []


async def test_a_member_that_does_not_poll_leaves_and_its_next_poll_says_so_and_joins_again(stage):
    member, script = stage.member(lines=[{"target": target(0)}])
    await stage.pass_time(0.5)
    member.stall()
    await stage.pass_time(MAX_POLL_MS / 1000 + 2)
    assert script.beats[-1].member_epoch == -1
    assert "lost" not in dict(member.log)
    script.lines.append({"target": target(1)})
    member.resume()
    await stage.pass_time(0.5)
    (error,) = member.raised
    assert isinstance(error, MaxPollExceededError)
    assert member.log[1:] == [("lost", ALL[:1]), ("assigned", ALL[1:2])]
    assert [one.member_epoch for one in script.beats[-3:]] == [-1, 0, 1]


async def test_who_does_not_poll_while_the_coordinator_is_gone_is_told_once(stage, caplog):
    """Found by the simulation: as nobody could be told of the leaving, it was tried again without end."""
    member, script = stage.member(lines=[{"target": target(0)}])
    await stage.pass_time(0.5)
    member.stall()

    async def gone(*_args, **_options):
        raise DisconnectedError("cut")

    script.request = gone
    await stage.pass_time(MAX_POLL_MS / 1000 + 2)
    assert caplog.text.count("passed between two polls") == 1
    del script.request
    member.resume()
    await stage.pass_time(0.5)
    assert [type(error) for error in member.raised] == [MaxPollExceededError]
    assert script.beats[-1].member_epoch >= 0


async def test_a_changed_subscription_is_said_at_once(stage):
    stage.add("u")
    member, script = stage.member()
    await stage.pass_time(0.5)
    member.membership.subscribe(Wanted.of("u"))
    await stage.pass_time(0.5)
    assert said(script.beats[-1]) == {"topics": {"u"}}


async def test_a_pattern_is_matched_here_and_the_names_are_said_as_topics_come_and_go(stage):
    stage.add("other")
    _member, script = stage.member(topics="^t")
    await stage.pass_time(0.5)
    assert script.beats[0].subscribed_topic_regex is None
    assert said(script.beats[0])["topics"] == {"t"}
    stage.add("t2")
    await stage.pass_time(INTERVAL_S)
    assert said(script.beats[-1]) == {"topics": {"t", "t2"}}
    del stage.counts["t2"]
    stage.metadata_version += 1
    await stage.pass_time(INTERVAL_S)
    assert said(script.beats[-1]) == {}, "an answer may lack a topic once"
    stage.metadata_version += 1
    await stage.pass_time(INTERVAL_S)
    assert said(script.beats[-1]) == {"topics": {"t"}}
    assert script.watched_all


async def test_partitions_of_a_topic_without_a_name_wait_and_the_others_do_not(stage):
    late = uuid.uuid4()
    member, script = stage.member(lines=[{"target": [("t", 0), (late, 0)]}])
    await stage.pass_time(1)
    assert member.log == [("assigned", ALL[:1])]
    stage.topic_ids["late"] = late
    await stage.pass_time(1)
    assert member.log[1:] == [("assigned", partitions("late", 0))]
    assert said(script.beats[-1]) == {"owned": stage.places("t", 0) | stage.places("late", 0)}


async def test_a_topic_that_was_made_anew_under_its_name_is_another(stage):
    member, script = stage.member(lines=[{"target": target(0)}])
    await stage.pass_time(0.5)
    stage.topic_ids["t"] = uuid.uuid4()
    script.lines.append({"target": target(0)})
    await stage.pass_time(INTERVAL_S)
    assert member.log == [("assigned", ALL[:1]), ("revoked", ALL[:1]), ("assigned", ALL[:1])]
    assert said(script.beats[-1]) == {"owned": stage.places("t", 0)}


async def test_an_assignment_that_poll_has_not_seen_is_taken_back_when_nobody_answers_for_long(stage):
    member, script = stage.member(lines=[{"target": target(0)}])
    member.stall()
    await stage.pass_time(0.5)
    script.lines.extend([DisconnectedError("cut")] * 20)
    await stage.pass_time(4 * INTERVAL_S + 1)
    member.resume()
    await stage.pass_time(0.5)
    assert member.log == []
    script.lines.clear()
    script.lines.append({"target": target(1), "epoch": 5})
    await stage.pass_time(INTERVAL_S)
    assert member.log == [("assigned", ALL[1:2])]


async def test_an_assignment_that_was_taken_back_is_asked_for_when_the_late_answer_comes(stage):
    answered = asyncio.Event()
    member, script = stage.member(lines=[{"target": target(0)}, answered, {}, {"target": target(2)}])
    member.stall()
    await stage.pass_time(4 * INTERVAL_S)
    assert len(script.beats) == 2, "the second waits for its answer"
    member.resume()
    await stage.pass_time(0.5)
    assert member.log == []
    answered.set()
    await stage.pass_time(0.5)
    assert said(script.beats[2])["topics"] == {"t"}
    assert member.log == [("assigned", ALL[2:3])]


async def test_what_poll_was_giving_up_when_doubts_came_is_given_to_it_again_when_it_is_still_the_members(stage):
    member, script = stage.member(lines=[{"target": target(0, 1)}])
    await stage.pass_time(0.5)
    handled, act = asyncio.Event(), member._event

    async def slowly(event):
        await handled.wait()
        await act(event)

    member._event = slowly
    script.lines.extend([{"target": target(1), "epoch": 2}, *[DisconnectedError("cut")] * 20])
    await stage.pass_time(4 * INTERVAL_S)
    script.lines.clear()
    script.lines.append({"target": target(0, 1), "epoch": 3})
    await stage.pass_time(2)
    assert not script.lines
    handled.set()
    await stage.pass_time(1)
    assert member.log[1:] == [("revoked", ALL[:1]), ("assigned", ALL[:1])]


async def test_what_poll_may_take_is_claimed_before_poll_has_seen_it_and_no_longer_once_it_is_taken_back(stage):
    """The coordinator gives away what it takes from a member that does not claim it."""
    member, script = stage.member(lines=[{"target": target(0)}])
    member.stall()
    await stage.pass_time(0.5)
    assert said(script.beats[-1]) == {"owned": stage.places("t", 0)}
    assert member.log == []
    script.lines.extend([DisconnectedError("cut")] * 12)
    await stage.pass_time(4 * INTERVAL_S)
    script.lines.clear()
    await stage.pass_time(2)
    assert said(script.beats[-1])["owned"] == set()


async def test_nothing_new_is_taken_while_a_claim_without_it_has_no_answer(stage):
    """By then the coordinator may have given it to another, which the answer will tell."""
    late, answered = uuid.uuid4(), asyncio.Event()
    both = [("t", 0), (late, 0)]
    member, script = stage.member(
        lines=[{"target": both}, {}, DisconnectedError("cut"), answered, {"target": both[:1]}]
    )
    await stage.pass_time(INTERVAL_S + 0.5)
    assert len(script.beats) == 4, "the last is on its way, and claims t-0 alone"
    stage.topic_ids["late"] = late
    await stage.pass_time(1)
    answered.set()
    await stage.pass_time(1)
    assert member.log == [("assigned", ALL[:1])]


async def test_a_coordinator_of_the_first_version_is_served_too(stage):
    member, script = stage.member(newest=0, lines=[{"target": target(0)}])
    await stage.pass_time(INTERVAL_S)
    assert member.log == [("assigned", ALL[:1])]
    assert uuid.UUID(script.beats[0].member_id)


async def test_a_bug_in_the_membership_is_raised_by_every_poll(stage):
    member, _script = stage.member(lines=[{"target": target(0)}])
    await stage.pass_time(0.5)
    member.membership._topics.names = None
    await stage.pass_time(INTERVAL_S + 1)
    assert isinstance(member.raised[0], InternalError)
    assert len(member.raised) > 1


# commits


async def owner(stage, **line):
    member, script = stage.member(lines=[{"target": target(0), "epoch": 5, **line}])
    await stage.pass_time(0.5)
    return member, script


async def test_commits_and_fetches_go_under_member_id_and_epoch(stage):
    member, script = await owner(stage)
    await member.commit(7)
    await member.commits.committed(ALL[:1], 1.0)
    who = member.membership.identity
    assert who.generation == 5
    (commit,), (fetch,) = script.commits, script.fetches
    assert (commit.member_id, commit.generation_id_or_member_epoch) == who
    assert (fetch.member_id, fetch.member_epoch) == who


async def test_a_commit_under_an_old_epoch_is_tried_again_under_the_new_one(stage):
    member, script = await owner(stage)
    script.commit_codes.append(ErrorCode.STALE_MEMBER_EPOCH)
    script.lines.append({"epoch": 6})
    beats = len(script.beats)
    commit = asyncio.ensure_future(member.commit(7))
    await stage.pass_time(1)
    await commit
    assert len(script.beats) == beats + 1, "the coordinator is asked for the epoch at once"
    assert [one.generation_id_or_member_epoch for one in script.commits] == [5, 6]


async def test_committed_offsets_are_asked_for_again_under_the_new_epoch(stage):
    member, script = await owner(stage)
    script.fetch_codes.append(ErrorCode.STALE_MEMBER_EPOCH)
    script.lines.append({"epoch": 6})
    asked = asyncio.ensure_future(member.commits.committed(ALL[:1], 5.0))
    await stage.pass_time(1)
    assert await asked == {ALL[0]: None}
    assert [one.member_epoch for one in script.fetches] == [5, 6]


@pytest.mark.parametrize(
    "code", [ErrorCode.UNKNOWN_MEMBER_ID, ErrorCode.FENCED_MEMBER_EPOCH, ErrorCode.GROUP_ID_NOT_FOUND]
)
async def test_a_commit_of_a_member_that_is_out_fails_and_has_the_heartbeat_find_out_at_once(stage, code):
    member, script = await owner(stage)
    script.commit_codes.append(code)
    script.lines.append({"error": ErrorCode.UNKNOWN_MEMBER_ID})
    with pytest.raises(CommitFailedError, match="rebalanced"):
        await member.commit(7)
    await stage.pass_time(0.5)
    assert member.told("lost") == ALL[:1]
    assert script.beats[-1].member_epoch in {0, 5}


async def test_a_commit_is_not_tried_again_when_the_partition_went_meanwhile(stage):
    member, script = await owner(stage)
    script.commit_codes.append(ErrorCode.STALE_MEMBER_EPOCH)
    script.lines.append({"epoch": 6, "target": []})
    commit = asyncio.ensure_future(member.commit(7))
    await stage.pass_time(1)
    with pytest.raises(CommitFailedError, match="rebalanced meanwhile"):
        await commit
    assert len(script.commits) == 1


async def test_while_the_member_is_out_commits_fail_and_committed_offsets_are_asked_for_as_nobody(stage):
    member, script = await owner(stage)
    member.stall()
    script.lines.append({"error": ErrorCode.FENCED_MEMBER_EPOCH})
    await stage.pass_time(INTERVAL_S)
    with pytest.raises(CommitFailedError, match="not a member"):
        await member.commit(7)
    await member.commits.committed(ALL[:1], 1.0)
    assert (script.fetches[-1].member_id, script.fetches[-1].member_epoch) == (None, -1)
