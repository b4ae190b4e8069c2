"""Leaders that are not: what a broker refuses because another leads is sent and asked for again, and nothing is lost."""

import pytest

import odradek
from odradek import TopicPartition

QUICK = {"retry_backoff_ms": 1, "retry_backoff_max_ms": 10}
REFUSALS = ("NOT_LEADER_OR_FOLLOWER", "FENCED_LEADER_EPOCH", "KAFKA_STORAGE_ERROR", "UNKNOWN_TOPIC_OR_PARTITION")


@pytest.mark.parametrize("code", REFUSALS)
@pytest.mark.parametrize("idempotent", [True, False])
def test_records_that_were_refused_are_sent_again_once_and_in_order(orders_broker, code, idempotent):
    with odradek.Producer(orders_broker.bootstrap_servers, **QUICK, enable_idempotence=idempotent) as producer:
        producer.send("orders", b"before").result(30)
        refusal = orders_broker.faults.fail("Produce", code, times=3)
        futures = [producer.send("orders", b"%d" % number) for number in range(20)]
        assert [future.result(30).offset for future in futures] == list(range(1, 21))
        assert refusal.hits == 3
    with odradek.Consumer(orders_broker.bootstrap_servers, auto_offset_reset="earliest") as consumer:
        consumer.assign([TopicPartition("orders", 0)])
        values = []
        while len(values) < 21:
            values += [record.value for record in consumer.poll(30)]
    assert values == [b"before", *(b"%d" % number for number in range(20))]


@pytest.mark.parametrize("api", ["Fetch", "ListOffsets"])
@pytest.mark.parametrize("code", REFUSALS)
def test_a_consumer_that_is_refused_asks_again_and_misses_nothing(orders_broker, api, code):
    with odradek.Producer(orders_broker.bootstrap_servers) as producer:
        producer.send_many("orders", [b"%d" % number for number in range(20)]).result(30)
    refusal = orders_broker.faults.fail(api, code, times=3)
    with odradek.Consumer(orders_broker.bootstrap_servers, **QUICK, auto_offset_reset="earliest") as consumer:
        consumer.assign([TopicPartition("orders", 0)])
        offsets = []
        while len(offsets) < 20:
            offsets += [record.offset for record in consumer.poll(30)]
    assert offsets == list(range(20))
    assert refusal.hits == 3


@pytest.mark.parametrize("code", REFUSALS[:2])
def test_an_admin_that_is_refused_asks_again(orders_broker, code):
    refusal = orders_broker.faults.fail("ListOffsets", code, times=3)
    with odradek.Admin(orders_broker.bootstrap_servers, **QUICK) as admin:
        assert admin.list_offsets({TopicPartition("orders", 0): "latest"})[TopicPartition("orders", 0)].offset == 0
    assert refusal.hits == 3
