"""One round trip for each API that moves or finds records; each is run at every version that the broker advertises."""

from __future__ import annotations

from kio.schema.errors import ErrorCode
from support import batches, topics
from world import SEED_COUNT, SEED_TIMESTAMP, World


def produce(world: World, version: int) -> None:
    name = world.new_topic()
    topic_id = world.topic_id(name)
    for expected in (0, 2):
        fields = topics.produce_fields(name, batches.batch([b"a", b"b"]), topic_id=topic_id)
        row = world.call("produce", version, fields).responses[0].partition_responses[0]
        assert (row.error_code, row.base_offset) == (ErrorCode.none, expected)
        assert row.log_append_time is None
        if version >= 5:
            assert row.log_start_offset == 0
        if version >= 8:
            assert (row.record_errors, row.error_message) == ((), None)
        if version >= 10:
            assert (row.current_leader.leader_id, row.current_leader.leader_epoch) == (-1, -1)
    assert [entry.value for entry in topics.read_all(world.wire, name)] == [b"a", b"b"] * 2


def fetch(world: World, version: int) -> None:
    response = world.call("fetch", version, topics.fetch_fields(world.seed, 0, topic_id=world.seed_id))
    row = response.responses[0].partitions[0]
    assert (row.error_code, row.high_watermark, row.last_stable_offset) == (ErrorCode.none, SEED_COUNT, SEED_COUNT)
    assert [entry.value for entry in batches.records_of(row.records)] == [b"value-%d" % n for n in range(SEED_COUNT)]
    assert not row.aborted_transactions
    if version >= 5:
        assert row.log_start_offset == 0
    if version >= 7:
        assert (response.error_code, response.session_id) == (ErrorCode.none, 0)
    if version >= 11:
        assert row.preferred_read_replica == -1
    if version >= 12:
        assert (row.diverging_epoch.epoch, row.current_leader.leader_id) == (-1, -1)


def list_offsets(world: World, version: int) -> None:
    questions = {
        -1: (SEED_COUNT, -1),
        -2: (0, -1),
        SEED_TIMESTAMP + 3: (3, SEED_TIMESTAMP + 3),
        SEED_TIMESTAMP + 99: (-1, -1),
    }
    if version >= 7:
        questions[-3] = (SEED_COUNT - 1, SEED_TIMESTAMP + SEED_COUNT - 1)
    if version >= 8:
        questions[-4] = (0, -1)
    for timestamp, expected in questions.items():
        asked = {"name": world.seed, "partitions": [{"partition_index": 0, "timestamp": timestamp}]}
        fields = {"replica_id": -1, "isolation_level": 0, "topics": [asked], "timeout": 5_000}
        row = world.call("list_offsets", version, fields).topics[0].partitions[0]
        assert (row.error_code, (row.offset, row.timestamp)) == (ErrorCode.none, expected), timestamp
        if version >= 4 and expected[0] >= 0:
            assert row.leader_epoch == 0


def offset_for_leader_epoch(world: World, version: int) -> None:
    for asked, end_offset in ((0, SEED_COUNT), (7, -1)):
        row = {"partition": 0, "current_leader_epoch": -1, "leader_epoch": asked}
        fields = {"replica_id": -1, "topics": [{"topic": world.seed, "partitions": [row]}]}
        answer = world.call("offset_for_leader_epoch", version, fields).topics[0].partitions[0]
        assert (answer.error_code, answer.end_offset) == (ErrorCode.none, end_offset)


def delete_records(world: World, version: int) -> None:
    name = world.new_topic()
    topics.produce(world.wire, name, batches.batch([b"a", b"b", b"c"]))
    row = {"partition_index": 0, "offset": 2}
    fields = {"topics": [{"name": name, "partitions": [row]}], "timeout": 5_000}
    answer = world.call("delete_records", version, fields).topics[0].partitions[0]
    assert (answer.error_code, answer.low_watermark) == (ErrorCode.none, 2)
    assert topics.list_offset(world.wire, name, topics.EARLIEST)[0] == 2


def metadata(world: World, version: int) -> None:
    response = world.call("metadata", version, topics.metadata_fields([world.seed]))
    host, _, port = world.bootstrap.rpartition(":")
    assert [(row.host, row.port) for row in response.brokers] == [(host, int(port))]
    (row,) = response.topics
    assert (row.error_code, row.name, len(row.partitions)) == (ErrorCode.none, world.seed, 2)
    node = response.brokers[0].node_id
    for partition in row.partitions:
        assert (partition.leader_id, partition.replica_nodes, partition.isr_nodes) == (node, (node,), (node,))
    if version >= 10:
        assert row.topic_id == world.seed_id
    everything = world.call("metadata", version, topics.metadata_fields(None if version else []))
    assert world.seed in {row.name for row in everything.topics}
    if version:
        none = world.call("metadata", version, topics.metadata_fields([]))
        assert none.topics == ()
    if version >= 4:
        missing = world.call("metadata", version, topics.metadata_fields([world.name("missing")])).topics[0]
        assert missing.error_code is ErrorCode.unknown_topic_or_partition


def init_producer_id(world: World, version: int) -> None:
    fields = {"transactional_id": None, "transaction_timeout": 60_000}
    first = world.call("init_producer_id", version, fields)
    second = world.call("init_producer_id", version, fields)
    assert (first.error_code, first.producer_epoch) == (ErrorCode.none, 0)
    assert first.producer_id >= 0
    assert second.producer_id != first.producer_id


CASES = {
    case.__name__: case
    for case in (produce, fetch, list_offsets, offset_for_leader_epoch, delete_records, metadata, init_producer_id)
}
