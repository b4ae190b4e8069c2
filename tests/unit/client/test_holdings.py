"""What a consumer holds, as its poll and its loop see it at once."""

import pytest

from odradek.client.consumer.subscription import Holdings
from odradek.types import TopicPartition

ONE, TWO = TopicPartition("t", 0), TopicPartition("t", 1)


def test_a_partition_is_fetched_before_anybody_may_give_it_a_position():
    holdings = Holdings()
    seen = []
    assert holdings.replace([ONE], lambda: seen.append(holdings.held())) == [ONE]
    assert seen == [frozenset()]
    assert list(holdings.unpositioned()) == [ONE]


def test_what_the_fetcher_refuses_changes_nothing():
    holdings = Holdings()
    holdings.replace([ONE], lambda: None)
    token = holdings.token(ONE)

    def refuse():
        raise RuntimeError

    with pytest.raises(RuntimeError):
        holdings.replace([TWO], refuse)
    assert (holdings.held(), holdings.token(ONE)) == ({ONE}, token)


def test_who_keeps_a_partition_keeps_its_token_and_position():
    holdings = Holdings()
    holdings.replace([ONE], lambda: None)
    token = holdings.token(ONE)
    assert holdings.position(ONE, lambda: None, token)
    assert holdings.replace([ONE, TWO], lambda: None) == [TWO]
    assert holdings.token(ONE) == token
    assert list(holdings.unpositioned()) == [TWO]
