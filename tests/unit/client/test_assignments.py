"""What members are assigned, read from bytes that anybody may have written."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odradek.client.consumer.blobs import assigned_by
from odradek.types import TopicPartition


def assignment(topics: dict[str, list[int]], *, user_data: bytes = b"") -> bytes:
    out = struct.pack(">hi", 3, len(topics))
    for topic, numbers in topics.items():
        name = topic.encode()
        out += struct.pack(">h", len(name)) + name + struct.pack(f">i{len(numbers)}i", len(numbers), *numbers)
    return out + struct.pack(">i", len(user_data)) + user_data


def test_partitions_are_read_and_user_data_is_left() -> None:
    data = assignment({"a": [0, 2], "b": [], "c": [1]}, user_data=b"anything")
    assert assigned_by(data) == (TopicPartition("a", 0), TopicPartition("a", 2), TopicPartition("c", 1))


@pytest.mark.parametrize("count", [2**31 - 1, -1])
def test_a_count_that_lies_gives_nothing(count: int) -> None:
    assert assigned_by(struct.pack(">hih", 0, 1, 1) + b"t" + struct.pack(">i", count)) == ()


def test_a_cut_assignment_gives_nothing() -> None:
    data = assignment({"a": [0, 1]})[:-4]
    for size in range(len(data)):
        assert assigned_by(data[:size]) == ()


@given(st.binary(max_size=64))
def test_no_bytes_are_an_exception(data: bytes) -> None:
    assert isinstance(assigned_by(data), tuple)
