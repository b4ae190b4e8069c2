"""What a consumer makes of topics that are deleted under it, or that never were."""

import pytest
from consuming import read, until

import odradek
from odradek.errors import UnknownTopicOrPartitionError

pytestmark = [pytest.mark.brokers("odradek", "kafka"), pytest.mark.protocols("classic", "consumer")]


@pytest.fixture
def admin(bootstrap):
    with odradek.Admin(bootstrap) as one:
        yield one


def gone(admin, topic):
    admin.delete_topics(topic)
    while True:
        try:
            admin.describe_topics(topic)
        except UnknownTopicOrPartitionError:
            return


def test_a_consumer_of_a_deleted_topic_does_not_wait_for_it_to_commit_and_close(
    admin, consumer, topic, unique, produce, caplog
):
    produce(topic, 1)
    one = consumer(unique("group"))
    one.subscribe(topic)
    read(one, 1)
    gone(admin, topic)
    one.close()
    assert "time ran out" not in caplog.text


def test_a_topic_that_does_not_exist_is_named_in_the_log(consumer, unique, caplog):
    name = unique("odrers")
    one = consumer(unique("group"), allow_auto_create_topics=False)
    one.subscribe(name)
    until(lambda: f"there is no topic '{name}'" in caplog.text, one, what="the warning")


def test_a_partition_that_the_topic_has_not_is_told_as_that(consumer, topic, caplog):
    one = consumer()
    one.assign([odradek.TopicPartition(topic, 7)])
    until(lambda: "there is no such partition; the topic has 1" in caplog.text, one, what="the warning")
