"""`send_many`: one call, one future, the same records as by so many sends."""

from __future__ import annotations

import threading

import pytest

import odradek
from odradek import errors


def test_results_come_in_the_order_of_the_values(producer, stored, unique):
    topic = unique("many")
    values = [b"%d" % at for at in range(5_000)]
    future = producer.send_many(topic, values, headers={"h": b"1"}, timestamp_ms=77)
    places = future.result(20)
    assert (len(future), len(places), future.done(), future.exception()) == (5_000, 5_000, True, None)
    by_place = {(at, record.offset): record for at in range(3) for record in stored(topic, at)}
    assert [by_place[place.partition, place.offset].value for place in places] == values
    assert {record.timestamp_ms for record in by_place.values()} == {77}
    assert by_place[places[0].partition, places[0].offset].headers == (("h", b"1"),)


def test_keys_decide_the_partitions(producer, unique):
    topic = unique("keyed")
    keys = [b"21", b"foobar", None, b"abc"]
    places = producer.send_many(topic, (b"v" for _ in keys), keys).result(20)
    for key, place in zip(keys, places, strict=True):
        if key is not None:
            assert producer.send(topic, b"x", key).result(10).partition == place.partition


def test_a_value_that_is_no_record_says_how_far_it_came(producer, unique):
    with pytest.raises(TypeError, match="value is int") as caught:
        producer.send_many(unique("bad"), [b"a", b"b", 5, b"c"], partition=0)
    assert "2 of the 4 records" in caught.value.__notes__[0]
    with pytest.raises(ValueError, match="1 keys for 2 values"):
        producer.send_many(unique("bad"), [b"a", b"b"], [b"k"])
    with pytest.raises(TypeError, match="sequences"):
        producer.send_many(unique("bad"), b"one record")


def test_whatever_is_bytes_or_none_may_stand_in_one_call(producer, stored, unique):
    topic = unique("mixed")
    values = [b"a", None, bytearray(b"b"), b"c", memoryview(b"d"), b"", b"e"] * 50
    keys = [None, b"k", b"k", bytearray(b"k"), b"k", None, b"k"] * 50
    places = producer.send_many(topic, tuple(values), keys, partition=1).result(20)
    assert [place.offset for place in places] == list(range(350))
    plain = [None if each is None else bytes(each) for each in [*keys, *values]]
    assert [(record.key, record.value) for record in stored(topic, 1)] == list(
        zip(plain[:350], plain[350:], strict=True)
    )


def test_keyed_records_keep_their_order_in_each_partition(producer, stored, unique):
    topic = unique("ordered")
    keys = [b"%d" % (at % 17) for at in range(3_000)]
    producer.send_many(topic, [b"%d" % at for at in range(3_000)], keys).result(20)
    numbers = {partition: [int(record.value) for record in stored(topic, partition)] for partition in range(3)}
    assert sorted(number for some in numbers.values() for number in some) == list(range(3_000))
    assert all(some and some == sorted(some) for some in numbers.values())


def test_a_partition_there_is_not_is_an_error_after_max_block_ms(embedded, unique):
    with (
        odradek.Producer(embedded.bootstrap_servers, max_block_ms=300) as producer,
        pytest.raises(errors.TimeoutError, match="7 was asked for") as caught,
    ):
        producer.send_many(unique("few"), [b"a"], partition=7)
    assert "0 of the 1 records" in caught.value.__notes__[0]


def test_it_waits_for_room_and_comes_through(embedded, stored, unique):
    topic = unique("room")
    with odradek.Producer(embedded.bootstrap_servers, buffer_memory=40_000, batch_size=4_000) as producer:
        future = producer.send_many(topic, [b"%d" % at * 50 for at in range(3_000)], partition=0)
        assert [place.offset for place in future.result(20)] == list(range(3_000))


def test_its_callback_comes_once(producer, unique):
    calls, reached = [], threading.Event()
    future = producer.send_many(unique("call"), [b"x" * 1_000] * 200)
    future.add_done_callback(lambda done: (calls.append(done), reached.set()))
    assert reached.wait(20)
    assert calls == [future]


def test_nothing_is_a_fine_number_of_records(producer, unique):
    future = producer.send_many(unique("none"), [])
    assert (future.result(0), len(future), future.done()) == ([], 0, True)


def test_a_failure_is_raised_by_result_and_told_by_exception(embedded, unique):
    producer = odradek.Producer(embedded.bootstrap_servers, linger_ms=60_000)
    future = producer.send_many(unique("fails"), [b"a", b"b"])
    producer._shut()
    assert isinstance(future.exception(10), errors.ClosedError)
    with pytest.raises(errors.ClosedError):
        future.result(10)
