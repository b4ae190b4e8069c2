"""docs/client-options.md is what the tables of the clients' options say."""

from pathlib import Path

from odradek.config.client import CLIENT_OPTIONS
from odradek.config.client_page import render

PAGE = Path(__file__).resolve().parents[3] / "docs" / "client-options.md"


def test_the_page_is_written_from_the_tables():
    assert PAGE.read_text() == render(), "run: python -m odradek.config.client_page > docs/client-options.md"


def test_the_page_names_every_option_once():
    text = PAGE.read_text()
    names = {name for table in CLIENT_OPTIONS.values() for name in table}
    assert [name for name in names if text.count(f"| `{name}` |") != 1] == []
