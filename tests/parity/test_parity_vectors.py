"""Golden batches that other clients made decode to the records they were asked to send."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from strategies import fields

if TYPE_CHECKING:
    from odradek.record import Codec

VECTORS = Path(__file__).parents[1] / "vectors"
CLIENTS = ("kafka-python", "librdkafka", "aiokafka", "java")
CODECS = ("none", "gzip", "snappy", "lz4", "zstd")
LONG_VALUE = "all work and no play makes a dull broker; " * 4000


def test_there_is_a_vector_for_each_client_and_codec() -> None:
    assert {path.stem for path in VECTORS.glob("*.json")} == {
        f"{client}-{codec}" for client in CLIENTS for codec in CODECS
    }


def encoded(text: str | None) -> bytes | None:
    return None if text is None else (LONG_VALUE if text == "LONG_VALUE" else text).encode()


@pytest.mark.parametrize("compression", CODECS)
@pytest.mark.parametrize("client", CLIENTS)
def test_the_batches_of_other_clients_decode_to_what_they_sent(codec: Codec, client: str, compression: str) -> None:
    batches = codec.decode_batches((VECTORS / f"{client}-{compression}.bin").read_bytes())
    assert {batch.compression for batch in batches} == {compression}
    sent = [
        (row["offset"], row["timestamp_ms"], encoded(row["key"]), encoded(row["value"]),
         tuple((name, encoded(text)) for name, text in row["headers"]))
        for row in json.loads((VECTORS / f"{client}-{compression}.json").read_text())
    ]  # fmt: skip
    assert [fields(record) for batch in batches for record in batch.records] == sent


@pytest.mark.parametrize("client", CLIENTS)
def test_our_encoding_of_the_same_records_is_byte_for_byte_theirs(codec: Codec, client: str) -> None:
    data = (VECTORS / f"{client}-none.bin").read_bytes()
    ours = b"".join(
        codec.encode_batch(
            [(record.timestamp_ms, record.key, record.value, record.headers) for record in batch.records],
            base_offset=batch.base_offset,
            producer_id=batch.producer_id,
            producer_epoch=batch.producer_epoch,
            base_sequence=batch.base_sequence,
            partition_leader_epoch=batch.partition_leader_epoch,
        )
        for batch in codec.decode_batches(data)
    )
    assert ours == data


def test_transactions_and_their_markers_are_told_apart(codec: Codec) -> None:
    batches = codec.decode_batches((VECTORS / "transactions.bin").read_bytes())
    assert [(batch.is_transactional, batch.is_control) for batch in batches] == [(True, False), (True, True)] * 2
    assert [batch.records[0].key for batch in batches if batch.is_control] == [b"\0\0\0\1", b"\0\0\0\0"]
    assert len({batch.producer_id for batch in batches}) == 1
    assert batches[0].producer_id >= 0


def test_records_stamped_by_the_broker_have_the_time_of_their_batch(codec: Codec) -> None:
    [batch] = codec.decode_batches((VECTORS / "log-append-time.bin").read_bytes())
    assert batch.timestamp_type == "LogAppendTime"
    assert {record.timestamp_ms for record in batch.records} == {batch.max_timestamp_ms}
    assert batch.max_timestamp_ms > 1_700_000_000_000
    assert [record.value for record in batch.records] == [b"value 0", b"value 1", b"value 2"]
