"""One round trip for each API of consumer groups (KIP-848), at every version; and what the older APIs say of such groups."""

from __future__ import annotations

from typing import Any

from kio.schema.errors import ErrorCode
from support import consumer_member, topics
from support.consumer_member import staying
from world import World


def joining(world: World, group: str, topic: str, **said: Any) -> dict[str, Any]:
    """Return the first heartbeat of a new member."""
    return consumer_member.joining(group, world.name("member"), [topic], **said)


def join(world: World, version: int, first: dict[str, Any]) -> Any:
    """Return the heartbeat's answer by which a lone member has all partitions; Apache Kafka may assign later."""
    answers = [world.call("consumer_group_heartbeat", version, first)]
    assert (answers[0].error_code, answers[0].member_id) == (ErrorCode.none, first["member_id"])

    def is_assigned() -> bool:
        if answers[-1].assignment is None or not answers[-1].assignment.topic_partitions:
            again = staying(first, answers[-1].member_epoch, topic_partitions=[])
            answers.append(world.call("consumer_group_heartbeat", version, again))
        return bool(answers[-1].assignment and answers[-1].assignment.topic_partitions)

    topics.until(is_assigned)
    return answers[-1]


def consumer_group_heartbeat(world: World, version: int) -> None:
    api, group, topic = "consumer_group_heartbeat", world.name("group"), world.new_topic(partitions=2)
    world.find_coordinator(group)
    first = joining(world, group, topic)
    joined = join(world, version, first)
    assert joined.member_epoch > 0
    (row,) = joined.assignment.topic_partitions
    assert (row.topic_id, sorted(row.partitions)) == (world.topic_id(topic), [0, 1])
    owned = [{"topic_id": row.topic_id, "partitions": list(row.partitions)}]
    stays = world.call(api, version, staying(first, joined.member_epoch, topic_partitions=owned))
    assert (stays.error_code, stays.member_epoch, stays.assignment) == (ErrorCode.none, joined.member_epoch, None)
    refused = {
        ErrorCode.fenced_member_epoch: staying(first, joined.member_epoch + 7),
        ErrorCode.unknown_member_id: staying(first, 1, member_id="nobody"),
        ErrorCode.group_id_not_found: staying(first, 1, group_id=world.name("missing")),
        ErrorCode.unsupported_assignor: {**first, "server_assignor": "none-such"},
        ErrorCode.invalid_request: {**first, "rebalance_timeout": -1},
    }
    for expected, fields in refused.items():
        answer = world.call(api, version, fields)
        assert (answer.error_code, bool(answer.error_message)) == (expected, True)
    left = world.call(api, version, staying(first, -1))
    assert (left.error_code, left.member_epoch) == (ErrorCode.none, -1)
    again = world.call(api, version, staying(first, joined.member_epoch))
    assert again.error_code is ErrorCode.unknown_member_id
    static_members(world, version, topic)
    nonsense(world, version, topic)
    if version >= 1:
        expressions(world, version)


def static_members(world: World, version: int, topic: str) -> None:
    """A static member goes for a while; its successor has its partitions at once, in the epoch the group was in."""
    api, group = "consumer_group_heartbeat", world.name("group")
    first = joining(world, group, topic, instance_id="inst")
    joined = join(world, version, first)
    heir = {**first, "member_id": world.name("heir")}
    assert world.call(api, version, heir).error_code is ErrorCode.unreleased_instance_id
    away = world.call(api, version, staying(first, -2))
    assert (away.error_code, away.member_epoch) == (ErrorCode.none, -2)
    back = world.call(api, version, heir)
    assert (back.error_code, back.member_epoch) == (ErrorCode.none, joined.member_epoch)
    (row,) = back.assignment.topic_partitions
    assert sorted(row.partitions) == [0, 1]
    late = world.call(api, version, staying(first, joined.member_epoch))
    assert late.error_code is ErrorCode.fenced_instance_id
    stranger = world.call(api, version, staying(first, joined.member_epoch, instance_id="nobody"))
    assert stranger.error_code is ErrorCode.unknown_member_id
    assert world.call(api, version, staying(heir, -1)).error_code is ErrorCode.none


def nonsense(world: World, version: int, topic: str) -> None:
    """Requests that no group could serve."""
    first = joining(world, world.name("group"), topic)
    owned = [{"topic_id": world.topic_id(topic), "partitions": [0]}]
    changes: list[dict[str, Any]] = [
        {"topic_partitions": owned},
        {"topic_partitions": None},
        {"subscribed_topic_names": None},
        {"instance_id": ""},
        {"rack_id": ""},
        {"group_id": ""},
        {"member_epoch": -3},
        {"member_epoch": -2},
        {"member_epoch": 5, "member_id": ""},
    ]
    for change in changes:
        answer = world.call("consumer_group_heartbeat", version, {**first, **change})
        assert answer.error_code is ErrorCode.invalid_request, change
    nameless = world.call("consumer_group_heartbeat", version, {**first, "member_id": ""})
    assert nameless.error_code is (ErrorCode.invalid_request if version >= 1 else ErrorCode.none)


def expressions(world: World, version: int) -> None:
    """A member subscribes by a regular expression, which has to match names as a whole."""
    api, group, stem = "consumer_group_heartbeat", world.name("group"), world.name("stem")
    matches, _ = world.new_topic(stem), world.new_topic(f"x{stem}")
    first = joining(world, group, matches, subscribed_topic_names=None, subscribed_topic_regex=f"{stem}.*")
    joined = join(world, version, first)
    assert [row.topic_id for row in joined.assignment.topic_partitions] == [world.topic_id(matches)]
    for bad in ("(", "a)|(b", "*", "(?=a)"):
        answer = world.call(api, version, staying(first, joined.member_epoch, subscribed_topic_regex=bad))
        assert answer.error_code is ErrorCode.invalid_regular_expression, bad
    assert world.call(api, version, staying(first, -1)).error_code is ErrorCode.none


def consumer_group_describe(world: World, version: int) -> None:
    group, topic, missing = world.name("group"), world.new_topic(partitions=2), world.name("missing")
    world.find_coordinator(group)
    first = joining(world, group, topic, instance_id="static", server_assignor="range")
    epoch = join(world, 1, first).member_epoch
    classic = world.stable()
    asked = {"group_ids": [group, missing, classic.group], "include_authorized_operations": False}
    response = world.call("consumer_group_describe", version, asked)
    rows = {row.group_id: row for row in response.groups}
    found = rows[group]
    assert (found.error_code, found.group_state, found.assignor_name) == (ErrorCode.none, "Stable", "range")
    assert (found.group_epoch, found.assignment_epoch) == (epoch, epoch)
    (member,) = found.members
    assert (member.member_id, member.instance_id, member.member_epoch) == (first["member_id"], "static", epoch)
    assert (member.client_id, member.client_host.lstrip("/")) == ("wire", "127.0.0.1")
    assert list(member.subscribed_topic_names) == [topic]
    for assignment in (member.assignment, member.target_assignment):
        (row,) = assignment.topic_partitions
        assert (row.topic_id, row.topic_name, sorted(row.partitions)) == (world.topic_id(topic), topic, [0, 1])
    if version >= 1:
        assert member.member_type == 1
    assert {rows[missing].error_code, rows[classic.group].error_code} == {ErrorCode.group_id_not_found}
    told_by_older_apis(world, group, first, epoch)
    world.leave(classic)
    world.call("consumer_group_heartbeat", 1, staying(first, -1))


def told_by_older_apis(world: World, group: str, first: dict[str, Any], epoch: int) -> None:
    """Look at a consumer group through the APIs that were there before it."""
    fields = {"groups": [group], "include_authorized_operations": False}
    (row,) = world.call("describe_groups", 6, fields).groups
    assert (row.error_code, row.group_state) == (ErrorCode.group_id_not_found, "Dead")
    for types, states, listed in ((["consumer"], ["stable"], True), (["classic"], [], False), ([], ["Empty"], False)):
        response = world.call("list_groups", 5, {"states_filter": states, "types_filter": types})
        rows = {row.group_id: row for row in response.groups}
        assert (group in rows) is listed
        if listed:
            assert (rows[group].group_type, rows[group].group_state) == ("consumer", "Stable")
            assert rows[group].protocol_type == "consumer"
    deleted = world.call("delete_groups", 2, {"groups_names": [group]})
    assert [row.error_code for row in deleted.results] == [ErrorCode.non_empty_group]
    commit = {
        "group_id": group,
        "generation_id_or_member_epoch": epoch,
        "member_id": first["member_id"],
        "group_instance_id": None,
        "topics": [
            {
                "name": first["subscribed_topic_names"][0],
                "partitions": [
                    {
                        "partition_index": 0,
                        "committed_offset": 0,
                        "committed_leader_epoch": -1,
                        "committed_metadata": "",
                    }
                ],
            }
        ],
    }
    refused = {
        ErrorCode.none: commit,
        ErrorCode.unknown_member_id: {**commit, "member_id": "nobody"},
        ErrorCode.stale_member_epoch: {**commit, "generation_id_or_member_epoch": epoch + 1},
    }
    for expected, fields in refused.items():
        (row,) = world.call("offset_commit", 9, fields).topics
        assert [part.error_code for part in row.partitions] == [expected]
    asked = {"group_id": group, "member_id": first["member_id"], "member_epoch": epoch, "topics": None}
    for expected, fields in (
        (ErrorCode.none, asked),
        (ErrorCode.unknown_member_id, {**asked, "member_id": "nobody"}),
        (ErrorCode.stale_member_epoch, {**asked, "member_epoch": epoch - 1}),
    ):
        (answer,) = world.call("offset_fetch", 9, {"groups": [fields], "require_stable": False}).groups
        assert answer.error_code is expected
    used = {"name": first["subscribed_topic_names"][0], "partitions": [{"partition_index": 0}]}
    deletion = world.call("offset_delete", 0, {"group_id": group, "topics": [used]})
    assert deletion.topics[0].partitions[0].error_code is ErrorCode.group_subscribed_to_topic
    refused_join = world.call("join_group", 9, world.join_fields(group))
    assert refused_join.error_code in {ErrorCode.inconsistent_group_protocol, ErrorCode.member_id_required}


CASES = {case.__name__: case for case in (consumer_group_heartbeat, consumer_group_describe)}
