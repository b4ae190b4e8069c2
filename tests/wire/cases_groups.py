"""One round trip for each API of groups and committed offsets; each is run at every version that the broker advertises."""

from __future__ import annotations

from kio.schema.errors import ErrorCode
from world import PROTOCOL, Member, World


def find_coordinator(world: World, version: int) -> None:
    group = world.name("group")
    world.find_coordinator(group)
    response = world.call(
        "find_coordinator", version, {"key": group, "key_type": 0, "coordinator_keys": [group, "other"]}
    )
    host, _, port = world.bootstrap.rpartition(":")
    if version < 4:
        assert (response.error_code, response.host, response.port) == (ErrorCode.none, host, int(port))
        return
    assert [row.key for row in response.coordinators] == [group, "other"]
    assert {(row.error_code, row.host, row.port) for row in response.coordinators} == {
        (ErrorCode.none, host, int(port))
    }


def join_group(world: World, version: int) -> None:
    group = world.name("group")
    world.find_coordinator(group)
    response = world.call("join_group", version, world.join_fields(group))
    if version >= 4:
        assert response.error_code is ErrorCode.member_id_required
        assert response.member_id
        response = world.call("join_group", version, world.join_fields(group, response.member_id))
    assert (response.error_code, response.generation_id, response.protocol_name) == (ErrorCode.none, 1, "range")
    assert response.leader == response.member_id
    assert [(member.member_id, member.metadata) for member in response.members] == [
        (response.member_id, PROTOCOL["metadata"])
    ]
    if version >= 7:
        assert response.protocol_type == "consumer"
    world.leave(Member(group, response.member_id, 1))


def sync_group(world: World, version: int) -> None:
    member = world.joined()
    response = world.call("sync_group", version, world.sync_fields(member, b"mine"))
    assert (response.error_code, response.assignment) == (ErrorCode.none, b"mine")
    if version >= 5:
        assert (response.protocol_type, response.protocol_name) == ("consumer", "range")
    stale = world.call("sync_group", version, world.sync_fields(Member(member.group, member.member_id, 99)))
    assert stale.error_code is ErrorCode.illegal_generation
    world.leave(member)


def heartbeat(world: World, version: int) -> None:
    member = world.stable()
    fields = {"group_id": member.group, "generation_id": member.generation, "member_id": member.member_id}
    assert world.call("heartbeat", version, fields).error_code is ErrorCode.none
    assert world.call("heartbeat", version, fields | {"generation_id": 99}).error_code is ErrorCode.illegal_generation
    assert world.call("heartbeat", version, fields | {"member_id": "nobody"}).error_code is ErrorCode.unknown_member_id
    world.leave(member)


def leave_group(world: World, version: int) -> None:
    member = world.stable()
    one = {"member_id": member.member_id, "group_instance_id": None, "reason": "done"}
    fields = {"group_id": member.group, "member_id": member.member_id, "members": [one]}
    for expected in (ErrorCode.none, ErrorCode.unknown_member_id):
        response = world.call("leave_group", version, fields)
        if version < 3:
            assert response.error_code is expected
        else:
            assert response.error_code is ErrorCode.none
            assert [(row.member_id, row.error_code) for row in response.members] == [(member.member_id, expected)]


def offset_commit(world: World, version: int) -> None:
    group = world.name("group")
    world.find_coordinator(group)
    response = world.call("offset_commit", version, world.commit_fields(group, 3, "note"))
    (row,) = response.topics
    assert [(part.partition_index, part.error_code) for part in row.partitions] == [(0, ErrorCode.none)]
    assert row.topic_id == world.seed_id if version >= 10 else row.name == world.seed


def offset_fetch(world: World, version: int) -> None:
    group = world.name("group")
    world.commit(group, 4, "remember")
    rows = [{"name": world.seed, "topic_id": world.seed_id, "partition_indexes": [0, 1]}]
    asked = {"group_id": group, "topics": rows}
    response = world.call("offset_fetch", version, {**asked, "groups": [asked], "require_stable": False})
    answer = response if version < 8 else response.groups[0]
    (row,) = answer.topics
    found = sorted(
        (part.partition_index, part.committed_offset, part.metadata, part.error_code) for part in row.partitions
    )
    assert found == [(0, 4, "remember", ErrorCode.none), (1, -1, "", ErrorCode.none)]
    if version >= 2:
        assert answer.error_code is ErrorCode.none
        everything = {"group_id": group, "topics": None}
        response = world.call("offset_fetch", version, {**everything, "groups": [everything], "require_stable": False})
        (row,) = (response if version < 8 else response.groups[0]).topics
        assert [(part.partition_index, part.committed_offset) for part in row.partitions] == [(0, 4)]


def describe_groups(world: World, version: int) -> None:
    member = world.stable()
    missing = world.name("missing")
    response = world.call(
        "describe_groups", version, {"groups": [member.group, missing], "include_authorized_operations": False}
    )
    rows = {row.group_id: row for row in response.groups}
    found, absent = rows[member.group], rows[missing]
    assert (found.error_code, found.group_state, found.protocol_type, found.protocol_data) == (
        ErrorCode.none,
        "Stable",
        "consumer",
        "range",
    )
    (row,) = found.members
    assert (row.member_id, row.client_id, row.member_assignment) == (member.member_id, "wire", b"share")
    assert row.client_host.lstrip("/") == "127.0.0.1"
    assert absent.group_state == "Dead"
    assert absent.error_code is (ErrorCode.group_id_not_found if version >= 6 else ErrorCode.none)
    world.leave(member)


def list_groups(world: World, version: int) -> None:
    member = world.stable()
    response = world.call("list_groups", version, {"states_filter": [], "types_filter": []})
    assert response.error_code is ErrorCode.none
    (row,) = [row for row in response.groups if row.group_id == member.group]
    assert row.protocol_type == "consumer"
    if version >= 4:
        assert row.group_state == "Stable"
        filtered = world.call("list_groups", version, {"states_filter": ["Empty"], "types_filter": []})
        assert member.group not in {row.group_id for row in filtered.groups}
    if version >= 5:
        assert row.group_type == "classic"
        filtered = world.call("list_groups", version, {"states_filter": [], "types_filter": ["consumer"]})
        assert member.group not in {row.group_id for row in filtered.groups}
    world.leave(member)


def delete_groups(world: World, version: int) -> None:
    member, missing = world.stable(), world.name("missing")
    fields = {"groups_names": [member.group, missing]}
    response = world.call("delete_groups", version, fields)
    assert {row.group_id: row.error_code for row in response.results} == {
        member.group: ErrorCode.non_empty_group,
        missing: ErrorCode.group_id_not_found,
    }
    world.leave(member)
    response = world.call("delete_groups", version, {"groups_names": [member.group]})
    assert [row.error_code for row in response.results] == [ErrorCode.none]


def offset_delete(world: World, version: int) -> None:
    group = world.name("group")
    world.commit(group, 2)
    fields = {"group_id": group, "topics": [{"name": world.seed, "partitions": [{"partition_index": 0}]}]}
    response = world.call("offset_delete", version, fields)
    assert response.error_code is ErrorCode.none
    assert response.topics[0].partitions[0].error_code is ErrorCode.none
    asked = {"group_id": group, "topics": [{"name": world.seed, "partition_indexes": [0]}]}
    assert world.wire.call("offset_fetch", 5, asked).topics[0].partitions[0].committed_offset == -1


CASES = {
    case.__name__: case
    for case in (
        find_coordinator,
        join_group,
        sync_group,
        heartbeat,
        leave_group,
        offset_commit,
        offset_fetch,
        describe_groups,
        list_groups,
        delete_groups,
        offset_delete,
    )
}
