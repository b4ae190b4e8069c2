"""The bytes of consumer groups in `__consumer_offsets`: Kafka's own file read, written again, and loaded."""

import base64
import json
from pathlib import Path

import pytest
from group_harness import FakeLog, FakeTopic, FakeTopics, Service

from odradek.broker.coordinator.group.consumer_members import ConsumerState, HeartbeatRequest, MemberState
from odradek.broker.coordinator.group.consumer_records import (
    ConsumerGroupKey,
    ConsumerGroupMetadata,
    CurrentAssignment,
    CurrentKey,
    PartitionMetadata,
    PartitionMetadataKey,
    RegexKey,
    ResolvedRegex,
    Subscription,
    SubscriptionKey,
    TargetEpoch,
    TargetEpochKey,
    TargetKey,
    TargetMember,
)
from odradek.broker.coordinator.group.records import MalformedRecordError, OffsetCommit, Record, decode, encode
from odradek.broker.coordinator.group.service import OFFSETS_TOPIC
from odradek.record import decode_batches

VECTORS = Path(__file__).parents[2] / "vectors" / "consumer_offsets"
SEGMENT = (VECTORS / "consumer-groups.log").read_bytes()
KAFKAS = [record for batch in decode_batches(SEGMENT) for record in batch.records]
DUMPED = {
    entry["offset"]: entry for entry in json.loads((VECTORS / "consumer-groups.json").read_text(encoding="utf-8"))
}
TOPIC = bytes(range(16))


def test_the_vectors_hold_every_kind_of_record():
    kinds = {entry["key"]["type"] for entry in DUMPED.values()}
    assert kinds == {"1", "3", "5", "6", "7", "8", "16"}
    assert {record.offset for record in KAFKAS} == DUMPED.keys()


@pytest.mark.parametrize("record", KAFKAS, ids=lambda record: f"offset {record.offset}")
def test_kafkas_record_reads_as_its_own_tool_says_and_writes_to_the_same_bytes(record):
    decoded = decode(record.key, record.value)
    dumped = DUMPED[record.offset]
    assert list(decoded.key) == list(dumped["key"]["data"].values())
    if dumped["payload"] is None:
        assert decoded.value is None
    else:
        check(decoded.value, dumped["payload"]["data"])
    assert encode(decoded) == (record.key, record.value)


def check(value, said):
    if isinstance(value, ConsumerGroupMetadata):
        assert tuple(value) == (said["epoch"], said.get("metadataHash", 0))
    elif isinstance(value, TargetEpoch):
        assert tuple(value) == (said["assignmentEpoch"], said["assignmentTimestamp"])
    elif isinstance(value, TargetMember):
        assert value.partitions == {named(row): frozenset(row["partitions"]) for row in said["topicPartitions"]}
    elif isinstance(value, CurrentAssignment):
        assert tuple(value) == (
            said["memberEpoch"],
            said["previousMemberEpoch"],
            said["state"],
            *(
                {named(row): dict(zip(row["partitions"], row["assignmentEpochs"], strict=True)) for row in said[kind]}
                for kind in ("assignedPartitions", "partitionsPendingRevocation")
            ),
        )
    elif isinstance(value, ResolvedRegex):
        assert tuple(value) == (frozenset(said["topics"]), said["version"], said["timestamp"])
    elif isinstance(value, Subscription):
        assert said.pop("classicMemberMetadata", None) is None
        said["subscribedTopicNames"] = tuple(said["subscribedTopicNames"])
        assert tuple(value) == tuple(said.values())
    else:
        assert isinstance(value, OffsetCommit)


def named(row):
    return base64.urlsafe_b64decode(row["topicId"] + "==")


async def loaded():
    log = FakeLog()
    log.partitions[OFFSETS_TOPIC, 0] = [(0, KAFKAS[-1].offset, SEGMENT)]
    return await Service(log=log, topic=FakeTopic(1), topics=FakeTopics(orders=3)).start()


async def test_the_groups_of_apache_kafka_are_there_with_their_members():
    service = await loaded()
    states = {group.group_id: (group.type_name, group.state) for group in service.coordinator.groups()}
    assert states == {
        "modern": ("consumer", ConsumerState.STABLE),
        "pattern": ("consumer", ConsumerState.STABLE),
        "left": ("consumer", ConsumerState.EMPTY),
    }
    group = service.coordinator.describe("modern")
    by_name = {member.subscription.client_id: member for member in group.members.values()}
    assert {name: sum(map(len, member.assigned.values())) for name, member in by_name.items()} == {"one": 1, "two": 2}
    assert group.static_ids == {"inst": by_name["two"].member_id}
    assert len(group.owners) == 3
    assert all(member.state is MemberState.STABLE for member in by_name.values())
    assert set(service.coordinator.describe("pattern").subscribed_topics) == {"sales-eu", "sales-us"}
    assert service.offset("modern", "orders", 2) == 0


async def test_a_member_that_apache_kafka_knew_goes_on_by_heartbeat():
    service = await loaded()
    group = service.coordinator.describe("modern")
    for member in list(group.members.values()):
        said = HeartbeatRequest("modern", member.member_id, member.epoch, member.subscription.instance_id)
        answer = await service.coordinator.consumer_heartbeat(said, 1)
        assert answer.member_id == member.member_id


PLACES = {TOPIC: {0: 1, 5: 7}}


@pytest.mark.parametrize(
    "record",
    [
        Record(ConsumerGroupKey("g"), ConsumerGroupMetadata(3, -5)),
        Record(ConsumerGroupKey("gröup"), None),
        Record(SubscriptionKey("g", "m"), Subscription("i", "r", "c", "/h", ("a", "b"), "x.*", 9, "range")),
        Record(SubscriptionKey("g", "m"), Subscription(None, None, "", "", (), None, -1, None)),
        Record(TargetEpochKey("g"), TargetEpoch(2)),
        Record(TargetKey("g", "m"), TargetMember({TOPIC: frozenset({2, 1})})),
        Record(TargetKey("g", "m"), TargetMember({})),
        Record(CurrentKey("g", "m"), CurrentAssignment(-2, 4, 0, PLACES, {})),
        Record(CurrentKey("g", "m"), CurrentAssignment(5, 4, 1, {}, PLACES)),
        Record(CurrentKey("g", "m"), None),
        Record(RegexKey("g", "a|b"), ResolvedRegex(frozenset({"a", "b"}), 7, 8)),
        Record(PartitionMetadataKey("g"), None),
    ],
)
def test_what_is_written_is_read(record):
    key, value = encode(record)
    assert decode(key, value) == record
    for cut in range(len(value or b"")):
        with pytest.raises(MalformedRecordError):
            decode(key, value[:cut])


def test_a_current_assignment_of_an_older_broker_counts_from_the_members_epoch():
    key, value = encode(Record(CurrentKey("g", "m"), CurrentAssignment(5, 4, 0, {TOPIC: {3: 2}}, {})))
    tagged = b"\1\0\5\2\0\0\0\2"
    assert tagged in value
    assert decode(key, value.replace(tagged, b"\0")).value.assigned == {TOPIC: {3: 5}}


def test_what_older_brokers_kept_of_topics_is_known_to_be_there():
    key, _ = encode(Record(PartitionMetadataKey("g"), None))
    assert decode(key, b"\0\0anything").value == PartitionMetadata()
    with pytest.raises(TypeError):
        encode(Record(PartitionMetadataKey("g"), PartitionMetadata()))
