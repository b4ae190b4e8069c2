"""Whole exchanges byte by byte: requests spelled out in hex, and the answers that Apache Kafka 4.3.1 gives to the same bytes.

No codec stands between the test and the socket. What differs by broker (host, port, ids) is masked or filled in.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest
from support import batches, topics
from support.wire import Wire

pytestmark = pytest.mark.brokers("odradek", "kafka")

RECORD_BATCH = bytes.fromhex(
    "0000000000000000"  # base offset
    "00000000"  # length, filled in by the test
    "ffffffff"  # leader epoch
    "02"  # magic
    "00000000"  # crc, filled in by the test
    "0000"  # attributes
    "00000000"  # last offset delta
    "0000000000000000"  # base timestamp, filled in by the test
    "0000000000000000"  # max timestamp, filled in by the test
    "ffffffffffffffff"  # producer id
    "ffff"  # producer epoch
    "ffffffff"  # base sequence
    "00000001"  # record count
    "12000000026104626300"  # one record: key "a", value "bc", no headers
)


def exchange(wire: Wire, request: str) -> bytes:
    """Send a frame given in hex and return the answer."""
    wire.send_frame(bytes.fromhex(request))
    return wire.receive_frame()


def test_api_versions_v0(wire: Wire) -> None:
    answer = exchange(wire, "0012 0000 0000002a ffff")
    assert answer[:6].hex() == "0000002a" + "0000"
    (count,) = struct.unpack_from(">i", answer, 6)
    assert len(answer) == 10 + 6 * count


def test_api_versions_v3_has_response_header_v0(wire: Wire) -> None:
    answer = exchange(wire, "0012 0003 0000002a 0004 74657374 00 05 74657374 02 31 00")
    assert answer[:6].hex() == "0000002a" + "0000"
    # A compact array follows at once: no tagged fields in the header.
    assert answer[6] > 1


def test_metadata_v0_of_nothing_known(wire: Wire, bootstrap: str, unique: Callable[[str], str]) -> None:
    host, _, port = bootstrap.rpartition(":")
    name = b"a//b"
    answer = exchange(wire, "0003 0000 00000007 ffff 00000001" + struct.pack(">h", len(name)).hex() + name.hex())
    node = answer[8:12]
    expected = (
        struct.pack(">ii", 7, 1) + node + struct.pack(">h", len(host)) + host.encode() + struct.pack(">i", int(port))
        + struct.pack(">ihh", 1, 17, len(name)) + name + struct.pack(">i", 0)
    )  # fmt: skip
    assert answer == expected


def test_find_coordinator_v0(wire: Wire, bootstrap: str) -> None:
    host, _, port = bootstrap.rpartition(":")
    topics.until(lambda: exchange(wire, "000a 0000 00000001 ffff 0001 67")[4:6] == b"\0\0")
    answer = exchange(wire, "000a 0000 00000009 ffff 0001 67")
    assert answer[:6].hex() == "00000009" + "0000"
    assert answer[10:] == struct.pack(">h", len(host)) + host.encode() + struct.pack(">i", int(port))


def test_heartbeat_v0_of_a_stranger(wire: Wire) -> None:
    answer = exchange(wire, "000c 0000 00000003 ffff 0006 6e6f626f6479 00000001 0001 6d")
    assert answer.hex() == "00000003" + "0019"


def test_heartbeat_v4_of_a_stranger(wire: Wire) -> None:
    answer = exchange(wire, "000c 0004 00000003 ffff 00 07 6e6f626f6479 00000001 02 6d 00 00")
    # correlation id, header tags, throttle time, error 25, body tags
    assert answer.hex() == "00000003" + "00" + "00000000" + "0019" + "00"


def test_init_producer_id_v0(wire: Wire) -> None:
    answer = exchange(wire, "0016 0000 00000004 ffff ffff 0000ea60")
    correlation_id, throttle, error, _, epoch = struct.unpack(">iihqh", answer)
    assert (correlation_id, throttle, error, epoch) == (4, 0, 0, 0)


def test_produce_and_fetch_by_hand(wire: Wire, topic: str) -> None:
    name = struct.pack(">h", len(topic)) + topic.encode()
    batch = batches.altered(
        RECORD_BATCH, length=len(RECORD_BATCH) - 12, base_timestamp=batches.NOW, max_timestamp=batches.NOW
    )
    body = b"\xff\xff" + struct.pack(">hii", 1, 1000, 1) + name + struct.pack(">iii", 1, 0, len(batch)) + batch
    wire.send_frame(bytes.fromhex("0000 0003 00000005 ffff") + body)
    answer = wire.receive_frame()
    # correlation id, one topic, its name, one partition: 0, error 0, base offset 0, append time -1; throttle time
    assert answer == struct.pack(">ii", 5, 1) + name + struct.pack(">iihqqi", 1, 0, 0, 0, -1, 0)
    fetch = (
        struct.pack(">iiiib", -1, 0, 1, 1 << 20, 0)
        + struct.pack(">i", 1)
        + name
        + struct.pack(">iiqi", 1, 0, 0, 1 << 20)
    )
    wire.send_frame(bytes.fromhex("0001 0004 00000006 ffff") + fetch)
    answer = wire.receive_frame()
    stored = batches.altered(batch, leader_epoch=0)
    head = struct.pack(">iii", 6, 0, 1) + name + struct.pack(">iihqq", 1, 0, 0, 1, 1)
    assert answer in {
        head + aborted + struct.pack(">i", len(stored)) + stored for aborted in (b"\xff\xff\xff\xff", b"\0\0\0\0")
    }
