"""The bytes in `__consumer_offsets`: Kafka's own file read, and written again to the same bytes."""

import base64
import json
import struct
from pathlib import Path

import pytest

from odradek.broker.coordinator.group.records import (
    GroupKey,
    GroupMetadata,
    MalformedRecordError,
    MemberMetadata,
    OffsetCommit,
    OffsetKey,
    Record,
    decode,
    decode_key,
    encode,
)
from odradek.record import decode_batches

VECTORS = Path(__file__).parents[2] / "vectors" / "consumer_offsets"
KAFKAS = [
    record
    for batch in decode_batches((VECTORS / "00000000000000000000.log").read_bytes())
    if not batch.is_control
    for record in batch.records
]
DUMPED = {entry["offset"]: entry for entry in json.loads((VECTORS / "records.json").read_text(encoding="utf-8"))}


def test_the_vectors_hold_every_kind_of_record():
    kinds = {(entry["key"]["type"], entry["payload"] and entry["payload"]["version"]) for entry in DUMPED.values()}
    assert kinds == {("1", "4"), ("1", None), ("2", "3"), ("2", None)}
    assert {record.offset for record in KAFKAS} == DUMPED.keys()


@pytest.mark.parametrize("record", KAFKAS, ids=lambda record: f"offset {record.offset}")
def test_kafkas_record_reads_as_its_own_tool_says_and_writes_to_the_same_bytes(record):
    decoded = decode(record.key, record.value)
    dumped = DUMPED[record.offset]
    assert decoded.key._asdict() == dumped["key"]["data"]
    if dumped["payload"] is None:
        assert decoded.value is None
    elif isinstance(decoded.value, OffsetCommit):
        check_offset(decoded.value, dumped["payload"]["data"])
    else:
        check_group(decoded.value, dumped["payload"]["data"])
    assert encode(decoded) == (record.key, record.value)


def check_offset(commit, said):
    assert (commit.offset, commit.leader_epoch, commit.metadata) == (
        said["offset"],
        said["leaderEpoch"],
        said["metadata"],
    )
    assert commit.commit_timestamp_ms == said["commitTimestamp"]
    topic_id = said.get("topicId")
    assert commit.topic_id == (None if topic_id is None else base64.urlsafe_b64decode(topic_id + "=="))


def check_group(group, said):
    assert (group.protocol_type, group.generation, group.protocol, group.leader, group.state_timestamp_ms) == (
        said["protocolType"],
        said["generation"],
        said["protocol"],
        said["leader"],
        said["currentStateTimestamp"],
    )
    for member, theirs in zip(group.members, said["members"], strict=True):
        assert (member.member_id, member.instance_id) == (theirs["memberId"], theirs["groupInstanceId"])
        assert (member.client_id, member.client_host) == (theirs["clientId"], theirs["clientHost"])
        assert (member.rebalance_timeout_ms, member.session_timeout_ms) == (
            theirs["rebalanceTimeout"],
            theirs["sessionTimeout"],
        )
        assert b"orders" in member.subscription
        assert (b"orders" in member.assignment) == bool(theirs["assignment"]["assignedPartitions"])


MEMBER = MemberMetadata("m-1", "inst", "client", "/10.0.0.1", 60_000, 10_000, b"sub", b"ass")


@pytest.mark.parametrize(
    "record",
    [
        Record(OffsetKey("g", "t", 0), OffsetCommit(0, -1, "", 0)),
        Record(
            OffsetKey("gröup", "t", 2**31 - 1), OffsetCommit(2**63 - 1, 7, "m" * 4096, 1, topic_id=bytes(range(16)))
        ),
        Record(OffsetKey("g", "t", 1), OffsetCommit(5, -1, "note", 10, expire_timestamp_ms=20)),
        Record(OffsetKey("", "t", 1), None),
        Record(
            GroupKey("g"), GroupMetadata("consumer", 3, "range", "m-1", 99, (MEMBER, MEMBER._replace(instance_id=None)))
        ),
        Record(GroupKey("g"), GroupMetadata("", 0, None, None, -1)),
        Record(GroupKey("g"), None),
    ],
)
def test_what_is_written_reads_the_same(record):
    assert decode(*encode(record)) == record


def _string(text):
    return struct.pack(">h", len(text)) + text


@pytest.mark.parametrize(
    ("version", "value", "expected"),
    [
        (0, struct.pack(">q", 5) + _string(b"x") + struct.pack(">q", 9), OffsetCommit(5, -1, "x", 9)),
        (1, struct.pack(">q", 5) + _string(b"x") + struct.pack(">qq", 9, 10), OffsetCommit(5, -1, "x", 9, 10)),
        (2, struct.pack(">q", 5) + _string(b"x") + struct.pack(">q", 9), OffsetCommit(5, -1, "x", 9)),
        (3, struct.pack(">qi", 5, 2) + _string(b"x") + struct.pack(">q", 9), OffsetCommit(5, 2, "x", 9)),
        # version 4 with a tag of the future, which is skipped
        (4, struct.pack(">qi", 5, 2) + b"\2x" + struct.pack(">q", 9) + b"\1\x07\2ab", OffsetCommit(5, 2, "x", 9)),
    ],
)
def test_offsets_of_every_version_are_read(version, value, expected):
    key = struct.pack(">h", 0) + _string(b"g") + _string(b"t") + struct.pack(">i", 1)
    assert decode(key, struct.pack(">h", version) + value) == Record(OffsetKey("g", "t", 1), expected)


def _group_value(version):
    compact = version >= 4
    text = (lambda t: bytes([len(t) + 1]) + t) if compact else _string
    blob = (lambda b: bytes([len(b) + 1]) + b) if compact else (lambda b: struct.pack(">i", len(b)) + b)
    out = struct.pack(">h", version) + text(b"consumer") + struct.pack(">i", 3) + text(b"range") + text(b"m-1")
    out += struct.pack(">q", 77) if version >= 2 else b""
    out += b"\2" if compact else struct.pack(">i", 1)
    out += text(b"m-1") + (text(b"inst") if version >= 3 else b"") + text(b"c") + text(b"/h")
    out += struct.pack(">i", 60) if version >= 1 else b""
    out += struct.pack(">i", 10) + blob(b"sub") + blob(b"ass")
    return out + (b"\0\0" if compact else b"")


@pytest.mark.parametrize("version", range(5))
def test_groups_of_every_version_are_read(version):
    group = decode(b"\0\2" + _string(b"g"), _group_value(version)).value
    (member,) = group.members
    assert (group.protocol_type, group.generation, group.protocol, group.leader) == ("consumer", 3, "range", "m-1")
    assert group.state_timestamp_ms == (77 if version >= 2 else -1)
    assert member.instance_id == ("inst" if version >= 3 else None)
    assert member.rebalance_timeout_ms == (60 if version >= 1 else 10)
    assert (member.session_timeout_ms, member.subscription, member.assignment) == (10, b"sub", b"ass")


def test_records_of_newer_kinds_of_groups_are_left_alone():
    key = struct.pack(">h", 11) + _string(b"g")
    assert decode_key(key) is None
    assert decode(key, b"anything") is None


@pytest.mark.parametrize("kind", [0, 1])
def test_a_record_cut_short_anywhere_is_malformed(kind):
    record = Record(OffsetKey("g", "t", 1), OffsetCommit(5, 1, "x", 9, topic_id=bytes(16)))
    if kind:
        record = Record(GroupKey("g"), GroupMetadata("consumer", 3, "range", "m-1", 99, (MEMBER,)))
    key, value = encode(record)
    for end in range(len(key)):
        with pytest.raises(MalformedRecordError):
            decode(key[:end], value)
    for end in range(len(value)):
        with pytest.raises(MalformedRecordError):
            decode(key, value[:end])


def test_a_value_of_an_unknown_version_is_malformed():
    key, value = encode(Record(OffsetKey("g", "t", 1), OffsetCommit(5, 1, "x", 9)))
    with pytest.raises(MalformedRecordError, match="version 5"):
        decode(key, b"\0\5" + value[2:])


def test_a_lying_count_of_members_costs_nothing():
    value = (
        struct.pack(">h", 3)
        + _string(b"")
        + struct.pack(">i", 0)
        + b"\xff\xff\xff\xff"
        + struct.pack(">qi", 0, 2**31 - 1)
    )
    with pytest.raises(MalformedRecordError, match="elements"):
        decode(b"\0\2" + _string(b"g"), value)
