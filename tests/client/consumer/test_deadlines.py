"""Calls with a deadline end by it, whatever the broker leaves unanswered."""

import pytest

import odradek
from odradek import TopicPartition
from odradek.errors import TimeoutError  # noqa: A004

LONG_S = 3_600
ONE = TopicPartition("orders", 0)


@pytest.mark.parametrize("api", ["FindCoordinator", "OffsetFetch"])
@pytest.mark.parametrize("call", ["position", "committed"])
def test_a_call_ends_by_its_own_deadline_though_nobody_answers_for_the_group(orders_broker, api, call):
    """`position` waited `default_api_timeout_ms` for commits, and two requests longer, whatever its own time-out."""
    with odradek.Consumer(orders_broker.bootstrap_servers, group_id="g", auto_offset_reset="earliest") as consumer:
        consumer.assign([ONE])
        delay = orders_broker.faults.delay(api, LONG_S)
        with pytest.raises(TimeoutError, match=call):
            getattr(consumer, call)(ONE, timeout=0.2)
        assert delay.hits
        delay.remove()
