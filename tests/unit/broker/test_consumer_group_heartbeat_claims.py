"""What a member of a consumer group says to own is put together in time linear in what it says, however it says it."""

from types import SimpleNamespace
from uuid import UUID

from odradek.broker.handlers import consumer_group_heartbeat


def test_a_topic_named_once_a_partition_is_put_together_at_once():
    topic, count = UUID(int=7), 400_000  # copied at each: minutes, within which the broker serves nobody else
    said = (SimpleNamespace(topic_id=topic, partitions=(number,)) for number in range(count))
    assert consumer_group_heartbeat._owned(said) == {topic.bytes: frozenset(range(count))}


def test_a_topic_without_an_id_is_none_that_exists():
    said = (SimpleNamespace(topic_id=None, partitions=(-1, 5)), SimpleNamespace(topic_id=None, partitions=(5,)))
    assert consumer_group_heartbeat._owned(said) == {bytes(16): frozenset((-1, 5))}
