"""The small languages of the command line: times, durations, offsets files, escapes, templates, tables."""

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import click
import pytest

from odradek.cli.failures import CommandError
from odradek.cli.output import columns
from odradek.cli.parameters import unescape
from odradek.cli.produce import LineFormat
from odradek.cli.record_format import json_writer, line_writer, template_writer
from odradek.cli.reset_offsets import parse_datetime, parse_duration, read_offsets_file
from odradek.client.consumer.record import Record


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("P7D", timedelta(days=7)),
        ("PT1H30M", timedelta(hours=1, minutes=30)),
        ("P1DT2H3M4.5S", timedelta(days=1, hours=2, minutes=3, seconds=4.5)),
        ("pt0s", timedelta(0)),
    ],
)
def test_durations_are_iso_8601(text: str, duration: timedelta) -> None:
    assert parse_duration(text) == duration


@pytest.mark.parametrize("text", ["", "P", "PT", "7D", "P7", "P1DT", "PT5", "P-1D", "P1M", "P1Y", "1h"])
def test_other_durations_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="ISO 8601 duration"):
        parse_duration(text)


def test_a_time_without_zone_is_utc_and_one_with_zone_is_kept() -> None:
    assert parse_datetime("2026-11-21T08:00:00") == datetime(2026, 11, 21, 8, tzinfo=UTC)
    assert parse_datetime("2026-11-21T08:00:00.250+02:00") == datetime(
        2026, 11, 21, 8, 0, 0, 250_000, tzinfo=timezone(timedelta(hours=2))
    )
    with pytest.raises(ValueError, match="ISO 8601 time"):
        parse_datetime("noon")


def test_offsets_file_takes_both_forms_and_skips_other_groups(tmp_path: Path) -> None:
    file = tmp_path / "offsets.csv"
    file.write_text("orders,0,5\n\nmine,orders,1,6\nother,orders,2,7\n")
    assert read_offsets_file(file, "mine") == {("orders", 0): 5, ("orders", 1): 6}


@pytest.mark.parametrize("line", ["orders,0", "orders,x,1", "orders,0,-1", ",0,1", "a,b,c,d,e"])
def test_bad_line_of_an_offsets_file_is_named(tmp_path: Path, line: str) -> None:
    file = tmp_path / "offsets.csv"
    file.write_text(f"orders,0,5\n{line}\n")
    with pytest.raises(CommandError, match=r"offsets\.csv:2: expected topic,partition,offset"):
        read_offsets_file(file, "mine")


def test_escapes_are_single_bytes_and_the_rest_is_utf8() -> None:
    assert unescape(r"a\tb\n\x00\\n é \q") == b"a\tb\n\x00\\n \xc3\xa9 \\q"


def test_line_splits_at_the_first_separator_only() -> None:
    form = LineFormat(b"::", b"NIL")
    assert form.split(b"k::v::w") == (b"k", b"v::w")
    assert form.split(b"NIL::NIL") == (None, None)
    assert form.split(b"::") == (b"", b"")
    with pytest.raises(ValueError, match="no key separator"):
        form.split(b"k:v")


RECORD = Record(
    topic="t",
    partition=3,
    offset=42,
    timestamp_ms=1700,
    timestamp_type="LogAppendTime",
    key=b"k",
    value=None,
    headers=(("h", b"1"), ("h", None)),
    leader_epoch=0,
    key_size=1,
    value_size=-1,
)


def test_template_writes_every_token() -> None:
    write = template_writer(r"%t|%p|%o|%k|%K|%s|%S|%T|%h|%%\t")
    assert write(RECORD) == b"t|3|42|k|1||-1|1700|h=1,h=|%\t"


@pytest.mark.parametrize("template", ["%x", "%", "%t%"])
def test_unknown_token_is_refused(template: str) -> None:
    with pytest.raises(click.UsageError, match="unknown token"):
        template_writer(template)


def test_line_writer_orders_fields_as_kafka_does() -> None:
    names = ("timestamp", "partition", "offset", "headers", "key")
    write = line_writer({**{f"print.{name}": "true" for name in names}, "key.separator": " ", "null.literal": "~"})
    assert write(RECORD) == b"LogAppendTime:1700 Partition:3 Offset:42 h:1,h:~ k ~\n"


def test_json_keeps_repeated_headers_and_null() -> None:
    assert json_writer(RECORD) == (
        b'{"topic": "t", "partition": 3, "offset": 42, "timestamp": 1700, "timestamp_type": "LogAppendTime", '
        b'"headers": [{"name": "h", "value": "1"}, {"name": "h", "value": null}], "key": "k", "value": null}\n'
    )


def test_columns_align_numbers_right_and_show_none_as_a_dash() -> None:
    assert columns(("NAME", "COUNT", "NOTE"), [("a", 5, "x"), ("long", None, None), ("b", 1000, "y")]) == [
        "NAME  COUNT  NOTE",
        "a         5  x",
        "long      -  -",
        "b      1000  y",
    ]
