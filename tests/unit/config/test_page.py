"""docs/configuration.md is what the tables of options say."""

from pathlib import Path

from odradek.config.broker import BROKER_OPTIONS
from odradek.config.page import render
from odradek.config.topic import TOPIC_OPTIONS

PAGE = Path(__file__).resolve().parents[3] / "docs" / "configuration.md"


def test_the_page_is_written_from_the_tables():
    assert PAGE.read_text() == render(), "run: python -m odradek.config.page > docs/configuration.md"


def test_the_page_names_every_option():
    text = PAGE.read_text()
    assert [name for name in {**TOPIC_OPTIONS, **BROKER_OPTIONS} if f"| `{name}`" not in text] == []
