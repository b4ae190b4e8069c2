"""docs/cli.md against the commands: what one has the other has."""

import re
import shlex
from pathlib import Path

import click
import pytest
from test_cli_usage import COMMANDS

from odradek.cli import odradek

ROOT = Path(__file__).parents[2]
TEXT = (Path(__file__).parents[2] / "docs" / "cli.md").read_text()
LEAVES = [command for command in COMMANDS if not any(other[:-1] == command for other in COMMANDS)]


def _section(command: tuple[str, ...]) -> str:
    match = re.search(rf"^### odradek {' '.join(command)}$(.*?)(?=^##|\Z)", TEXT, re.MULTILINE | re.DOTALL)
    assert match, f"docs/cli.md has no section `### odradek {' '.join(command)}`"
    return match.group(1)


def _command(path: tuple[str, ...]) -> click.Command:
    command: click.Command = odradek
    for name in path:
        assert isinstance(command, click.Group)
        found = command.get_command(click.Context(command), name)
        assert found is not None
        command = found
    return command


COMMON = {"-b", "--bootstrap-server", "--command-config", "--timeout", "--json", "-h", "--help"}


@pytest.mark.parametrize("path", LEAVES, ids=" ".join)
def test_command_is_documented_with_every_option(path: tuple[str, ...]) -> None:
    section = _section(path)
    options = {
        option
        for parameter in _command(path).params
        if isinstance(parameter, click.Option)
        for option in [*parameter.opts, *parameter.secondary_opts]
        if option.startswith("--")
    }
    missing = {option for option in options - COMMON if f"`{option}" not in section}
    assert not missing, f"not in docs/cli.md under {' '.join(path)}: {sorted(missing)}"


@pytest.mark.parametrize("option", sorted(COMMON - {"-b", "-h"}))
def test_common_options_are_documented_once(option: str) -> None:
    assert f"`{option}" in TEXT.partition("\n## ")[2].partition("\n## ")[0]


def test_documentation_names_no_command_that_is_not_there() -> None:
    documented = {tuple(title.split()[1:]) for title in re.findall(r"^### (odradek .*)$", TEXT, re.MULTILINE)}
    assert documented == set(LEAVES)


@pytest.mark.parametrize("path", LEAVES, ids=" ".join)
def test_documented_options_exist(path: tuple[str, ...]) -> None:
    known = {name for parameter in _command(path).params for name in [*parameter.opts, *parameter.secondary_opts]}
    mentioned = set(re.findall(r"^\| `(--[a-z-]+)", _section(path), re.MULTILINE))
    assert mentioned <= known


def _shown() -> list[str]:
    """Return the command lines in the pages and under each command's help, without what the shell makes of them."""
    lines = [line for command in LEAVES for line in getattr(_command(command), "examples", ())]
    for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        lines += re.findall(r"^(?:\$ |`)(odradek [^`\n]+)", page.read_text(), re.MULTILINE)
    found = {command.strip() for line in lines for command in re.findall(r"(?:^|\| )(odradek [^|<>]+)", line)}
    return sorted(found - {"odradek --help"})


@pytest.mark.parametrize("line", _shown())
def test_each_command_line_shown_is_one_that_the_command_takes(line: str) -> None:
    words = shlex.split(line)[1:]
    path = max((command for command in LEAVES if tuple(words[: len(command)]) == command), key=len)
    command = _command(path)
    context = click.Context(command)
    values, rest, _order = command.make_parser(context).parse_args(words[len(path) :])
    assert rest == []
    assert {parameter.name for parameter in command.params if parameter.required} <= values.keys()


def test_the_pages_show_command_lines() -> None:
    assert len(_shown()) > 40
