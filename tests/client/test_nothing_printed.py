"""Clients print nothing, whatever happens to them; who sets up logging reads of it there."""

import subprocess
import sys

import pytest

PROGRAM = """
import sys
import odradek
import logging
if sys.argv[1] == "set-up":
    logging.basicConfig(format="%(name)s %(levelname)s %(message)s")
def fail(metadata, error):
    raise ArithmeticError("of the callback")
with odradek.Broker() as broker:
    with odradek.Admin(broker.bootstrap_servers) as admin:
        admin.create_topics("orders")
    with odradek.Producer(broker.bootstrap_servers) as producer:
        producer.send("orders", b"one", on_delivery=fail).result(30)
    with odradek.Consumer(broker.bootstrap_servers, group_id="g", auto_offset_reset="earliest") as consumer:
        consumer.subscribe("orders")
        assert consumer.poll(30)
        broker.close()
        consumer.close(0.1)
"""


@pytest.mark.parametrize("logging", ["set-up", "not-set-up"])
def test_what_goes_wrong_is_logged_and_never_printed(logging):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, logging], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == ""
    if logging == "set-up":
        assert "odradek.client.producer ERROR a delivery callback failed" in done.stderr
        assert "odradek.client.consumer WARNING" in done.stderr
    else:
        assert done.stderr == ""
