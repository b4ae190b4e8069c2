"""Ctrl-C while the command starts: modules are imported, and nothing watches over that yet."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from cli_support import COMMAND, environment

_SITE = """
import signal
import sys


class CtrlC:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            sys.meta_path.remove(self)
            print("pressed", flush=True)
            signal.raise_signal(signal.SIGINT)


if {ignored}:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
sys.meta_path.insert(0, CtrlC())
"""
"""Python runs it, as `sitecustomize`, before anything else: presses Ctrl-C when the module is about to be imported."""


def _script() -> list[str]:
    """Return the command line that does what the installed script does."""
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    module, function = project["scripts"]["odradek"].split(":")
    return [sys.executable, "-P", "-c", f"import sys; from {module} import {function}; sys.exit({function}())"]


def _start(command: list[str], site: Path, *, module: str, ignored: bool = False) -> tuple[int, str, str]:
    (site / "sitecustomize.py").write_text(_SITE.format(module=module, ignored=ignored))
    path = os.pathsep.join(filter(None, [str(site), os.environ.get("PYTHONPATH")]))
    done = subprocess.run(
        [*command, "topics", "create", "--help"],
        capture_output=True,
        text=True,
        check=False,
        env={**environment("127.0.0.1:1"), "PYTHONPATH": path},
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("command", [COMMAND, _script()], ids=["module", "script"])
@pytest.mark.parametrize("module", ["odradek.cli", "click", "click.core", "odradek.cli.command", "odradek.cli.topics"])
def test_ctrl_c_during_the_imports_ends_the_command_without_a_word(
    command: list[str], module: str, tmp_path: Path
) -> None:
    """A traceback of half of Python's import machinery was shown."""
    assert _start(command, tmp_path, module=module) == (130, "pressed\n", "")


def test_who_ignores_ctrl_c_goes_on_ignoring_it(tmp_path: Path) -> None:
    """As the background jobs of a shell do, and what `nohup` starts."""
    code, out, err = _start(COMMAND, tmp_path, module="click", ignored=True)
    assert (code, err) == (0, "")
    assert out.startswith("pressed\nUsage: odradek topics create")
