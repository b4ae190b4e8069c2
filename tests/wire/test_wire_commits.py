"""OffsetCommit of members of a settled group, which Rust serves: as Python does it, in every version, to the byte.

The same request is sent twice: alone, and right behind a ListGroups in one write, where it may not overtake what Python has
to answer and so is Python's as well.
"""

from __future__ import annotations

import struct
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kio.schema.errors import ErrorCode
from support import batches, messages, topics
from support.wire import Wire
from world import Member, World

from odradek.broker.coordinator.group.records import OffsetCommit, Record, decode, encode
from odradek.broker.coordinator.group.service import OFFSETS_TOPIC, partition_of

COMMIT = "offset_commit"
VERSIONS = range(2, 11)
PARTITIONS = 3
NO_EPOCH = -1

note = st.one_of(st.none(), st.text(max_size=300), st.just("x" * 4_096), st.just("x" * 4_097), st.just("ü" * 4_096))
row = st.fixed_dictionaries(
    {
        "partition_index": st.integers(-1, PARTITIONS),
        "committed_offset": st.integers(0, 2**63 - 1),
        "committed_leader_epoch": st.integers(-1, 2**31 - 1),
        "committed_metadata": note,
    }
)
rows = st.lists(row, max_size=6, unique_by=lambda one: one["partition_index"])


@pytest.fixture(scope="module")
def world(bootstrap: str) -> Iterator[World]:
    """What the requests are about."""
    made = World(bootstrap)
    yield made
    made.wire.close()


@pytest.fixture(scope="module")
def places(world: World) -> list[tuple[str, uuid.UUID]]:
    """Name and id of two topics, and of none."""
    names = [world.new_topic(partitions=PARTITIONS) for _ in range(2)]
    return [*((name, world.topic_id(name)) for name in names), ("missing", uuid.UUID(int=7))]


@pytest.fixture(scope="module")
def member(world: World) -> Member:
    """A member of a stable group, who does not leave: its session is ended by the broker's end."""
    return world.stable()


def frame(version: int, fields: dict[str, Any], number: int) -> bytes:
    encoded = messages.encode_request(COMMIT, version, fields, correlation_id=number, client_id="c")
    return struct.pack(">i", len(encoded)) + encoded


def in_rust(world: World, version: int, fields: dict[str, Any]) -> bytes:
    world.wire.send_raw(frame(version, fields, 77))
    return world.wire.receive_frame()


def in_python(world: World, version: int, fields: dict[str, Any]) -> bytes:
    before = messages.encode_request("list_groups", 4, {"states_filter": []}, correlation_id=76, client_id="c")
    world.wire.send_raw(struct.pack(">i", len(before)) + before + frame(version, fields, 77))
    world.wire.receive_frame()
    return world.wire.receive_frame()


def log_of(world: World, group: str) -> tuple[str, int]:
    return OFFSETS_TOPIC, partition_of(group, len(topics.describe_topic(world.wire, OFFSETS_TOPIC).partitions))


def stored_since(world: World, group: str, offset: int) -> list[batches.Entry]:
    name, partition = log_of(world, group)
    return [entry for entry in topics.fetch(world.wire, name, offset, partition=partition) if entry.offset >= offset]


def end_of(world: World, group: str) -> int:
    name, partition = log_of(world, group)
    return int(topics.list_offset(world.wire, name, topics.LATEST, partition=partition)[0])


def undated(entry: batches.Entry) -> Record:
    """Return a record as it would be had it been committed at 0."""
    record = decode(entry.key or b"", entry.value)
    assert record is not None
    assert isinstance(record.value, OffsetCommit)
    assert record.value.commit_timestamp_ms <= entry.timestamp
    assert encode(record) == (entry.key, entry.value), "byte for byte what Python writes"
    return record._replace(value=record.value._replace(commit_timestamp_ms=0))


def request(member: Member, asked: list[tuple[tuple[str, uuid.UUID], list[Any]]]) -> dict[str, Any]:
    return {
        "group_id": member.group,
        "generation_id_or_member_epoch": member.generation,
        "member_id": member.member_id,
        "group_instance_id": None,
        "retention_time": -1,
        "topics": [{"name": name, "topic_id": topic_id, "partitions": parts} for (name, topic_id), parts in asked],
    }


@pytest.mark.parametrize("version", VERSIONS)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_both_ways_answer_and_store_the_same(
    world: World, places: list[tuple[str, uuid.UUID]], member: Member, version: int, data: st.DataObject
) -> None:
    chosen = data.draw(st.lists(st.sampled_from(places), min_size=1, max_size=3, unique=True))
    asked = [(place, data.draw(rows)) for place in chosen]
    fields = request(member, asked)
    since = end_of(world, member.group)
    answers, written = [], []
    for serve in (in_rust, in_python):
        answers.append(serve(world, version, fields))
        end = end_of(world, member.group)
        found = stored_since(world, member.group, since) if end > since else []
        written.append([undated(entry) for entry in found])
        since = end
    assert answers[0] == answers[1]
    assert written[0] == written[1]


@pytest.mark.parametrize("version", VERSIONS)
def test_what_was_committed_is_fetched_whoever_served_it(
    world: World, places: list[tuple[str, uuid.UUID]], member: Member, version: int
) -> None:
    def fetched() -> dict[int, tuple[int, str]]:
        wanted = [{"name": places[0][0], "partition_indexes": list(range(PARTITIONS))}]
        answer = world.call("offset_fetch", 7, {"group_id": member.group, "topics": wanted, "require_stable": True})
        parts = answer.topics[0].partitions
        return {part.partition_index: (part.committed_offset, part.metadata) for part in parts}

    def one(partition: int, offset: int) -> dict[str, Any]:
        row = {"partition_index": partition, "committed_offset": offset, "committed_leader_epoch": NO_EPOCH}
        return request(member, [(places[0], [row | {"committed_metadata": f"note {offset}"}])])

    base = 1_000 * version
    for offset, serve in enumerate((in_rust, in_python, in_rust, in_rust, in_python), start=base):
        serve(world, version, one(0, offset))
        assert fetched()[0] == (offset, f"note {offset}")
    in_python(world, version, one(1, base))
    in_rust(world, version, one(1, base + 1))
    in_rust(world, version, one(2, base + 2))
    in_python(world, version, one(2, base + 3))
    assert {index: offset for index, (offset, _) in fetched().items()} == {0: base + 4, 1: base + 1, 2: base + 3}


def test_an_unknown_member_is_refused_in_every_version(world: World, places: list[tuple[str, uuid.UUID]]) -> None:
    member = world.stable()
    row = {"partition_index": 0, "committed_offset": 1, "committed_leader_epoch": NO_EPOCH, "committed_metadata": ""}
    for version in VERSIONS:
        stranger = request(Member(member.group, "nobody", member.generation), [(places[0], [row])])
        answer = world.call(COMMIT, version, stranger)
        assert answer.topics[0].partitions[0].error_code is ErrorCode.unknown_member_id
        stale = request(Member(member.group, member.member_id, member.generation + 1), [(places[0], [row])])
        answer = world.call(COMMIT, version, stale)
        assert answer.topics[0].partitions[0].error_code is ErrorCode.illegal_generation
    world.leave(member)


def test_an_acknowledged_commit_of_a_member_outlives_a_kill(own_broker: Any) -> None:
    broker = own_broker()
    world = World(broker.bootstrap)
    member = world.stable()
    for offset in range(1, 51):
        row = {"partition_index": 0, "committed_offset": offset, "committed_leader_epoch": 3, "committed_metadata": "m"}
        answer = world.call(COMMIT, 8, request(member, [((world.seed, world.seed_id), [row])]))
        assert answer.topics[0].partitions[0].error_code is ErrorCode.none
    world.wire.close()
    broker.kill()
    broker.start()
    with Wire(broker.bootstrap) as wire:
        wanted = {"group_id": member.group, "topics": [{"name": world.seed, "partition_indexes": [0]}]}
        answer = topics.until(lambda: wire.call("offset_fetch", 7, wanted | {"require_stable": True}))
        part = answer.topics[0].partitions[0]
        assert (part.committed_offset, part.committed_leader_epoch, part.metadata) == (50, 3, "m")


def test_what_many_commit_at_once_both_ways_is_never_seen_to_go_back(
    connect: Any, world: World, places: list[tuple[str, uuid.UUID]], member: Member
) -> None:
    """Three connections commit, each a partition of its own; a fourth reads what was acknowledged before, or more."""
    acknowledged = [0] * PARTITIONS
    wires = [connect() for _ in range(PARTITIONS)]

    def commit(partition: int) -> None:
        wire = wires[partition]
        for offset in range(10**6, 10**6 + 200):
            row = {"partition_index": partition, "committed_offset": offset, "committed_leader_epoch": NO_EPOCH}
            asked = [(places[1], [row | {"committed_metadata": ""}])]
            if offset % 7 == 0:  # has an error in it: Python's, and all of the request with it
                asked.append((places[2], [{**row, "committed_metadata": None}]))
            code = wire.call(COMMIT, 8, request(member, asked)).topics[0].partitions[0].error_code
            assert code is ErrorCode.none, code
            acknowledged[partition] = offset

    wanted = [{"name": places[1][0], "partition_indexes": list(range(PARTITIONS))}]
    with ThreadPoolExecutor(PARTITIONS) as pool:
        work = [pool.submit(commit, partition) for partition in range(PARTITIONS)]
        finished = False
        while not finished:
            finished = all(one.done() for one in work)
            before = list(acknowledged)
            answer = world.wire.call(
                "offset_fetch", 7, {"group_id": member.group, "topics": wanted, "require_stable": True}
            )
            found = {part.partition_index: part.committed_offset for part in answer.topics[0].partitions}
            assert all(found[partition] >= before[partition] for partition in range(PARTITIONS)), (found, before)
        for one in work:
            one.result()
    assert set(found.values()) == {10**6 + 199}
