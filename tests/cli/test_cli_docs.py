"""docs/cli.md against the commands: what one has the other has."""

import re
from pathlib import Path

import click
import pytest
from test_cli_usage import COMMANDS

from odradek.cli import odradek

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
