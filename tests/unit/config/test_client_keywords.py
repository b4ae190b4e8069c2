"""odradek/client/keywords.py is what the tables of the clients' options say."""

from pathlib import Path

import pytest

from odradek.client import keywords
from odradek.config.client import CLIENT_OPTIONS, resolve
from odradek.config.client_keywords import render

KEYWORDS = {
    "producer": keywords.ProducerKeywords,
    "consumer": keywords.ConsumerKeywords,
    "admin": keywords.AdminKeywords,
}


def test_the_file_is_written_from_the_tables():
    written = Path(keywords.__file__).read_text()
    assert written == render(), "run: python -m odradek.config.client_keywords > python/odradek/client/keywords.py"


@pytest.mark.parametrize("kind", KEYWORDS)
def test_each_client_has_its_options_and_no_others(kind):
    names = {name.replace(".", "_") for name in CLIENT_OPTIONS[kind]} - {"bootstrap_servers"}
    assert KEYWORDS[kind].__optional_keys__ == names
    resolve(kind, "localhost:9092", dict.fromkeys(names))  # None = not set
