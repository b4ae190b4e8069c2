"""docs/protocol.md held to the code: to the handler files and to what a live broker answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support import protocol_table

from odradek.broker.handlers import load
from odradek.protocol.api_keys import ApiKey

if TYPE_CHECKING:
    from support.wire import Wire

ROWS = protocol_table.rows()


def test_protocol_page_lists_exactly_what_the_broker_advertises(wire: Wire) -> None:
    assert {row.key: (row.low, row.high) for row in ROWS} == wire.advertised()


def test_protocol_page_is_in_order_and_lists_nothing_twice() -> None:
    keys = [row.key for row in ROWS]
    assert keys == sorted(set(keys))


def test_protocol_page_agrees_with_the_handler_files() -> None:
    handlers = {int(key): handler.versions for key, handler in load().items() if handler.advertised}
    assert {row.key: (row.low, row.high) for row in ROWS if row.side == "Python"} == handlers


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_protocol_page_names_each_api_and_says_what_is_left_out(row: protocol_table.Promise) -> None:
    assert row.name.lower() == ApiKey(row.key).name.replace("_", "").lower()
    assert row.notes
