"""A broker of each test's own, with the topic that its clients write to and read."""

import pytest

import odradek


@pytest.fixture
def orders_broker(odradek_broker):
    """A fresh broker with the topic "orders"."""
    with odradek.Admin(odradek_broker.bootstrap_servers) as admin:
        admin.create_topics("orders")
    return odradek_broker
