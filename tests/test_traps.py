"""The traps of other brokers and clients (field survey, section 6.4), each a test named by its number.

Numbers 5, 6, 7 and 12 are about transactions, which a later issue serves: here stands what holds already. Number 17 (the start of
three nodes) belongs to the issue "The cluster" and has no test yet; docs/protocol.md says so.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kio.schema.errors import ErrorCode
from support import batches, messages, topics
from support.broker import BrokerProcess
from support.wire import Wire

VECTORS = Path(__file__).parent / "vectors"

# The highest non-flexible version that KafkaJS 2.2 and aiokafka 0.14 both reach, by API.
OLD_CLIENTS = {
    "produce": (3, 7, 8), "fetch": (4, 10, 11), "list_offsets": (1, 3, 5), "metadata": (0, 1, 5, 6), "offset_commit": (2, 3, 5),
    "offset_fetch": (1, 3, 4), "find_coordinator": (0, 1), "join_group": (0, 1, 2, 5), "heartbeat": (0, 1, 3), "leave_group": (0, 1, 3),
    "sync_group": (0, 1, 3), "describe_groups": (0, 1), "list_groups": (0, 1, 2), "api_versions": (0, 1, 2), "create_topics": (2, 3),
    "delete_topics": (1,), "delete_records": (0, 1), "init_producer_id": (0, 1), "describe_configs": (1, 2), "alter_configs": (0, 1),
    "create_partitions": (0, 1), "delete_groups": (0, 1),
}  # fmt: skip

# Every option of a topic in Apache Kafka 4.3 that a broker without remote storage has.
TOPIC_OPTIONS = {
    "cleanup.policy", "compression.gzip.level", "compression.lz4.level", "compression.type", "compression.zstd.level",
    "delete.retention.ms", "file.delete.delay.ms", "flush.messages", "flush.ms", "index.interval.bytes",
    "max.compaction.lag.ms", "max.message.bytes", "message.timestamp.after.max.ms", "message.timestamp.before.max.ms",
    "message.timestamp.type", "min.cleanable.dirty.ratio", "min.compaction.lag.ms", "min.insync.replicas", "preallocate",
    "retention.bytes", "retention.ms", "segment.bytes", "segment.index.bytes", "segment.jitter.ms", "segment.ms",
    "unclean.leader.election.enable",
}  # fmt: skip


def test_trap_01_fetch_in_the_middle_of_a_batch_returns_the_whole_batch(wire: Wire, topic: str) -> None:
    topics.produce(wire, topic, batches.batch([b"a", b"b", b"c"]))
    topics.produce(wire, topic, batches.batch([b"d", b"e", b"f"], codec="gzip"))
    assert [entry.offset for entry in topics.fetch(wire, topic, 1)] == [0, 1, 2, 3, 4, 5]
    assert [entry.offset for entry in topics.fetch(wire, topic, 5)] == [3, 4, 5]


@pytest.mark.parametrize(
    "limits", [{"partition_max_bytes": 1}, {"max_bytes": 1}, {"max_bytes": 1, "partition_max_bytes": 0}]
)
def test_trap_02_first_batch_is_returned_though_larger_than_max_bytes(
    limits: dict[str, int], wire: Wire, topic: str
) -> None:
    topics.produce(wire, topic, batches.batch([b"x" * 100_000]))
    topics.produce(wire, topic, batches.batch([b"y" * 100_000]))
    assert [entry.value[:1] for entry in topics.fetch(wire, topic, 0, **limits)] == [b"x"]
    assert [entry.value[:1] for entry in topics.fetch(wire, topic, 1, **limits)] == [b"y"]


def test_trap_03_init_producer_id_serves_the_default_producers_of_today(wire: Wire) -> None:
    low, high = wire.advertised()[messages.API_KEYS["init_producer_id"]]
    assert (low, high >= 4) == (0, True)
    fields = {"transactional_id": None, "transaction_timeout": 60_000}
    ids = {wire.call("init_producer_id", version, fields).producer_id for version in range(low, min(high, 5) + 1)}
    assert len(ids) == min(high, 5) - low + 1


def test_trap_04_versions_that_clients_without_flexible_encoding_need_are_served(wire: Wire) -> None:
    ranges = wire.advertised()
    for api, needed in OLD_CLIENTS.items():
        low, high = ranges[messages.API_KEYS[api]]
        assert all(low <= version <= high for version in needed), (api, low, high)


def test_trap_05_transaction_apis_are_offered_from_version_0_or_not_at_all(wire: Wire) -> None:
    ranges = wire.advertised()
    for api in ("add_partitions_to_txn", "add_offsets_to_txn", "end_txn", "txn_offset_commit"):
        assert ranges.get(messages.API_KEYS[api], (0, 0))[0] == 0, api


@pytest.fixture
def transactional(own_broker: Callable[..., BrokerProcess], tmp_path: Path, connect: Callable[..., Wire]) -> Wire:
    """A broker that serves a partition written by Apache Kafka 4.3.1: see tests/vectors/kafka_transactions/README.md."""
    data_dir = tmp_path / "kafkas"
    started = own_broker(data_dir=data_dir)
    wire = connect(started.bootstrap)
    topics.create_topic(wire, "ledger")
    assert started.stop() == 0
    ours = data_dir / "ledger-0"
    for path in (VECTORS / "kafka_transactions").iterdir():
        if (
            path.suffix in {".log", ".index", ".timeindex", ".txnindex", ".snapshot"}
            or path.name == "leader-epoch-checkpoint"
        ):
            shutil.copy(path, ours / path.name)
    for name in ("recovery-point-offset-checkpoint", "log-start-offset-checkpoint", "replication-offset-checkpoint"):
        (data_dir / name).unlink(missing_ok=True)
    started.start()
    return connect(started.bootstrap)


# What the producers of tests/vectors/kafka_transactions did: see its README.
ABORTED_FIRST_OFFSETS = [0, 1, 10]
FIRST_OPEN_OFFSET = 14
END_OFFSET = 16


def committed_fetch(wire: Wire, offset: int) -> Any:
    """Fetch as a consumer of committed records does."""
    row = topics.try_fetch(wire, "ledger", offset, isolation_level=1)
    assert row.error_code is ErrorCode.none
    return row


def test_trap_06_aborted_transactions_are_sorted_by_first_offset(transactional: Wire) -> None:
    row = committed_fetch(transactional, 0)
    assert [entry.first_offset for entry in row.aborted_transactions] == ABORTED_FIRST_OFFSETS
    assert len({entry.producer_id for entry in row.aborted_transactions}) == 2
    late = committed_fetch(transactional, 9)
    assert [entry.first_offset for entry in late.aborted_transactions] == ABORTED_FIRST_OFFSETS[-1:]
    plain = topics.try_fetch(transactional, "ledger", 0)
    assert not plain.aborted_transactions


def test_trap_07_last_stable_offset_bounds_read_committed(transactional: Wire) -> None:
    row = committed_fetch(transactional, 0)
    assert (row.last_stable_offset, row.high_watermark) == (FIRST_OPEN_OFFSET, END_OFFSET)
    assert max(entry.offset for entry in batches.records_of(row.records)) < FIRST_OPEN_OFFSET
    assert committed_fetch(transactional, FIRST_OPEN_OFFSET).records in {None, b""}
    everything = topics.fetch(transactional, "ledger", 0)
    assert everything[-1].offset == END_OFFSET - 1
    assert topics.list_offset(transactional, "ledger", topics.LATEST, isolation_level=1)[0] == FIRST_OPEN_OFFSET
    assert topics.list_offset(transactional, "ledger", topics.LATEST)[0] == END_OFFSET


@pytest.mark.parametrize(
    "note",
    ["", "plain", "zażółć gęślą jaźń \N{GRINNING FACE}", "x" * 4_096],
    ids=["empty", "ascii", "unicode", "longest"],
)
def test_trap_08_commit_metadata_comes_back_as_it_went(
    note: str, wire: Wire, topic: str, unique: Callable[[str], str]
) -> None:
    group = unique("group")
    topics.until(lambda: wire.call("find_coordinator", 2, {"key": group, "key_type": 0}).error_code is ErrorCode.none)
    row = {"partition_index": 0, "committed_offset": 5, "committed_metadata": note}
    fields = {
        "group_id": group,
        "generation_id_or_member_epoch": -1,
        "member_id": "",
        "topics": [{"name": topic, "partitions": [row]}],
    }
    answer = wire.call("offset_commit", 7, fields).topics[0].partitions[0]
    if len(note.encode()) > 4_096:
        assert answer.error_code is ErrorCode.offset_metadata_too_large
        return
    assert answer.error_code is ErrorCode.none
    asked = {"group_id": group, "topics": [{"name": topic, "partition_indexes": [0]}]}
    stored = wire.call("offset_fetch", 5, asked).topics[0].partitions[0]
    assert (stored.committed_offset, stored.metadata) == (5, note)


@pytest.mark.parametrize("codec", list(batches.CODECS))
def test_trap_09_offsets_by_time_are_exact_inside_batches(codec: str, wire: Wire, topic: str) -> None:
    start = batches.NOW - 1_000_000
    # Out of order on purpose: the answer is the first offset whose timestamp is not earlier.
    times = [start + step for step in (0, 10, 30, 20, 20, 25, 60, 50, 55, 100, 90, 95)]
    for index in range(0, len(times), 3):
        entries = [batches.Entry(b"v" * 40, timestamp=time) for time in times[index : index + 3]]
        topics.produce(wire, topic, batches.batch(entries, codec=codec))
    for asked in range(start - 1, start + 102):
        expected = next(((offset, time) for offset, time in enumerate(times) if time >= asked), (-1, -1))
        assert topics.list_offset(wire, topic, asked) == expected, asked - start
    assert topics.list_offset(wire, topic, topics.MAX_TIMESTAMP) == (9, start + 100)


def test_trap_10_null_key_on_a_compacted_topic_is_an_invalid_record(wire: Wire, make_topic: Callable[..., str]) -> None:
    name = make_topic(cleanup_policy="compact")
    row = topics.try_produce(wire, name, batches.batch([batches.Entry(b"v", key=b"k"), batches.Entry(b"v")]))
    assert row.error_code is ErrorCode.invalid_record
    assert topics.list_offset(wire, name, topics.LATEST)[0] == 0


def test_trap_11_max_message_bytes_is_enforced_by_topic(wire: Wire, make_topic: Callable[..., str]) -> None:
    narrow, wide = make_topic(max_message_bytes=1_000), make_topic(max_message_bytes=3_000_000)
    large = batches.batch([b"x" * 2_000_000])
    assert topics.try_produce(wire, narrow, batches.batch([b"x" * 1_000])).error_code is ErrorCode.message_too_large
    assert topics.try_produce(wire, make_topic(), large).error_code is ErrorCode.message_too_large
    assert topics.produce(wire, wide, large) == 0


def test_trap_12_transaction_timeout_above_the_maximum_is_never_accepted(
    wire: Wire, unique: Callable[[str], str]
) -> None:
    fields = {"transactional_id": unique("txn"), "transaction_timeout": 2**31 - 1}
    response = wire.call("init_producer_id", 4, fields)
    assert response.error_code is not ErrorCode.none
    assert response.producer_id == -1
    if messages.API_KEYS["end_txn"] in wire.advertised():
        assert response.error_code is ErrorCode.invalid_transaction_timeout


def test_trap_13_api_versions_answers_the_future_in_v0_form(wire: Wire) -> None:
    newest = wire.advertised()[18][1]
    request = messages.encode_request(
        "api_versions", 3, {"client_software_name": "x", "client_software_version": "1"}, correlation_id=9
    )
    wire.send_frame(request[:2] + (newest + 1).to_bytes(2, "big") + request[4:])
    _, response = messages.decode_response("api_versions", 0, wire.receive_frame())
    assert response.error_code is ErrorCode.unsupported_version
    wire.send_frame(request)
    frame = wire.receive_frame()
    # A response header of version 0: the error code follows the correlation id at once, without tagged fields.
    assert frame[:6].hex() == "00000009" + "0000"


def test_trap_14_telemetry_is_not_advertised(wire: Wire) -> None:
    assert not {71, 72} & wire.advertised().keys()


@pytest.mark.parametrize("version", [11, 12, 16])
def test_trap_15_hints_that_are_not_given_are_minus_one(version: int, wire: Wire, topic: str) -> None:
    topic_id = topics.describe_topic(wire, topic).topic_id
    fields = topics.produce_fields(topic, batches.batch([b"x"]), topic_id=topic_id)
    produced = wire.call("produce", 10, fields).responses[0].partition_responses[0]
    assert (produced.current_leader.leader_id, produced.current_leader.leader_epoch) == (-1, -1)
    response = wire.call("fetch", version, topics.fetch_fields(topic, 0, topic_id=topic_id))
    row = response.responses[0].partitions[0]
    assert row.preferred_read_replica == -1
    if version >= 12:
        assert (row.current_leader.leader_id, row.current_leader.leader_epoch) == (-1, -1)
        assert (row.diverging_epoch.epoch, row.diverging_epoch.end_offset) == (-1, -1)
        assert (row.snapshot_id.epoch, row.snapshot_id.end_offset) == (-1, -1)


def first_use(wire: Wire, topic: str, group: str) -> None:
    """Do what a client does first, expecting each step to work at the first try."""
    assert wire.call("find_coordinator", 2, {"key": group, "key_type": 0}).error_code is ErrorCode.none
    fields: dict[str, Any] = {
        "group_id": group,
        "session_timeout": 10_000,
        "rebalance_timeout": 10_000,
        "member_id": "",
        "protocol_type": "consumer",
        "protocols": [{"name": "range", "metadata": b""}],
    }
    joined = wire.call("join_group", 1, fields)
    assert joined.error_code is ErrorCode.none
    produced = wire.call("produce", 7, topics.produce_fields(topic, batches.batch([b"x"])))
    assert produced.responses[0].partition_responses[0].error_code is ErrorCode.none
    row = {"partition_index": 0, "committed_offset": 1, "committed_metadata": ""}
    commit = {
        "group_id": group + "-commits",
        "generation_id_or_member_epoch": -1,
        "member_id": "",
        "topics": [{"name": topic, "partitions": [row]}],
    }
    assert wire.call("offset_commit", 2, commit).topics[0].partitions[0].error_code is ErrorCode.none


def test_trap_16_broker_is_ready_for_everything_when_it_says_so(own_broker: Callable[..., BrokerProcess]) -> None:
    started = own_broker()
    with Wire(started.bootstrap) as wire:
        created = wire.call(
            "create_topics", 5, {"topics": [_topic("first")], "timeout": 10_000, "validate_only": False}
        )
        assert created.topics[0].error_code is ErrorCode.none
        first_use(wire, "first", "group-1")
    started.kill()
    started.start()
    with Wire(started.bootstrap) as wire:
        first_use(wire, "first", "group-2")
        asked = {"group_id": "group-1-commits", "topics": [{"name": "first", "partition_indexes": [0]}]}
        stored = wire.call("offset_fetch", 5, asked)
        assert (stored.error_code, stored.topics[0].partitions[0].committed_offset) == (ErrorCode.none, 1)


def _topic(name: str) -> dict[str, Any]:
    return {"name": name, "num_partitions": 1, "replication_factor": 1, "assignments": [], "configs": []}


def test_trap_18_describe_configs_returns_every_default(wire: Wire, topic: str) -> None:
    node = str(wire.call("metadata", 9, topics.metadata_fields([])).brokers[0].node_id)
    resources = [
        {"resource_type": 2, "resource_name": topic, "configuration_keys": None},
        {"resource_type": 4, "resource_name": node, "configuration_keys": None},
    ]
    answer = wire.call("describe_configs", 1, {"resources": resources, "include_synonyms": False})
    of_topic, of_broker = ({row.name: row for row in result.configs} for result in answer.results)
    assert of_topic.keys() >= TOPIC_OPTIONS
    assert all(row.value is not None for row in of_topic.values())
    assert of_broker.keys() >= {
        "log.retention.ms",
        "num.partitions",
        "auto.create.topics.enable",
        "message.max.bytes",
        "log.dirs",
    }
