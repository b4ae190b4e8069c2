"""What a broker tells clients before a handler is loaded is what the handlers serve."""

from odradek.broker import handlers
from odradek.broker.served import SERVED


def test_the_table_that_is_published_says_what_the_handler_files_say():
    assert list(SERVED) == sorted(
        (row.api_key.value, *row.versions) for row in handlers.load().values() if row.advertised
    )
