"""Test your own code against a real broker: `pytest examples/test_orders.py`. The fixtures come with odradek."""

import pytest

import odradek
from odradek.errors import TimeoutError as OdradekTimeoutError


def place_order(producer: odradek.Producer, customer: str, item: str) -> int:
    """Return the order's offset. This is the code under test."""
    return producer.send("orders", item, key=customer).result(timeout=30).offset


def test_orders_of_a_customer_stay_in_order(odradek_broker):
    servers = odradek_broker.bootstrap_servers
    with odradek.Producer(servers, key_serializer="str", value_serializer="str") as producer:
        assert [place_order(producer, "ada", item) for item in ("tea", "cake")] == [0, 1]
    with odradek.Consumer(servers, group_id="kitchen", auto_offset_reset="earliest") as consumer:
        consumer.subscribe("orders")
        found = [next(consumer).value for _ in range(2)]
    assert found == [b"tea", b"cake"]


@pytest.mark.odradek_broker(num_partitions=4)
def test_a_customer_has_one_partition(odradek_broker):
    with odradek.Producer(odradek_broker.bootstrap_servers, key_serializer="str") as producer:
        written = [producer.send("orders", b"tea", key="ada").result(timeout=30) for _ in range(8)]
        assert producer.partitions_for("orders") == [0, 1, 2, 3]
    assert len({metadata.partition for metadata in written}) == 1


def test_a_lost_acknowledgement_makes_no_second_order(odradek_broker):
    lost = odradek_broker.faults.drop_connection("Produce", after=True)
    with odradek.Producer(odradek_broker.bootstrap_servers) as producer:
        assert producer.send("orders", b"tea").result(timeout=30).offset == 0
    assert lost.hits == 1
    orders = odradek.TopicPartition("orders", 0)
    with odradek.Consumer(odradek_broker.bootstrap_servers) as consumer:
        assert consumer.end_offsets(orders) == {orders: 1}


def test_a_broker_that_hangs_is_an_error_in_time(odradek_broker):
    with odradek.Producer(
        odradek_broker.bootstrap_servers, linger_ms=0, request_timeout_ms=200, delivery_timeout_ms=400
    ) as producer:
        producer.partitions_for("orders")
        with odradek_broker.faults.pause(), pytest.raises(OdradekTimeoutError):
            producer.send("orders", b"tea").result(timeout=30)
