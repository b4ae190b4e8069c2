"""docs/testing.md: each example runs, in a pytest of its own that has the plugin; and the plugin is no burden to others."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "testing.md").read_text()
EXAMPLES = re.findall(r"^```python\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
NAMES = [re.findall(r"^def (test_\w+)", example, re.MULTILINE)[0] for example in EXAMPLES]


def run_pytest(directory: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run pytest as someone else's project does: the plugin as if by its entry point, none of our own settings."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:odradek",
        "-p",
        "no:asyncio",
        "-p",
        "odradek.pytest_plugin",
    ]
    return subprocess.run(
        [*command, "-p", "no:cacheprovider", *options],
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )


def own_project(directory: Path, source: str, ini: str = "") -> Path:
    (directory / "pytest.ini").write_text(f"[pytest]\naddopts = --strict-markers\nfilterwarnings = error\n{ini}")
    (directory / "test_example.py").write_text(source)
    return directory


@pytest.mark.interop
@pytest.mark.parametrize("example", EXAMPLES, ids=NAMES)
def test_every_example_of_the_page_passes(tmp_path: Path, example: str) -> None:
    result = run_pytest(own_project(tmp_path, example))
    assert result.returncode == 0, result.stdout + result.stderr
    assert re.search(r"[12] passed", result.stdout), result.stdout


def test_the_page_shows_every_fault() -> None:
    from odradek.broker.faults import Faults

    faults = [name for name in vars(Faults) if not name.startswith("_")]
    assert [name for name in faults if f"faults.{name}(" not in PAGE and f"### pause() and {name}()" not in PAGE] == []


FRESH = """
import pytest

seen = []

@pytest.mark.parametrize("turn", [1, 2])
def test_a_broker_of_its_own(odradek_broker, turn):
    assert odradek_broker.data_dir not in seen
    assert all(not directory.exists() for directory in seen)
    assert not list(odradek_broker.data_dir.glob("*-0"))
    seen.append(odradek_broker.data_dir)
    (odradek_broker.data_dir / "left-0").mkdir()

@pytest.mark.odradek_broker(num_partitions=5)
class TestSettings:
    @pytest.mark.odradek_broker(num_partitions=7)
    def test_the_nearest_marker_wins(self, odradek_broker, odradek_session_broker):
        assert odradek_broker._texts["num.partitions"] == "7"
        assert odradek_broker._texts["log.retention.hours"] == "2"
        assert odradek_session_broker._texts["num.partitions"] == "3"

    def test_the_class_s_marker_goes_before_the_ini_file(self, odradek_broker):
        assert odradek_broker._texts["num.partitions"] == "5"
"""


def test_each_test_has_a_fresh_broker_with_its_settings(tmp_path: Path) -> None:
    ini = "odradek_broker =\n    num.partitions=3\n    log.retention.hours=2\n"
    result = run_pytest(own_project(tmp_path, FRESH, ini))
    assert "4 passed" in result.stdout, result.stdout + result.stderr


@pytest.mark.parametrize(
    ("marker", "ini", "told"),
    [
        ("(num_partition=3)", "", "did you mean num.partitions"),
        ("('num_partitions')", "", "by name only"),
        ("()", "odradek_broker = num.partitions\n", "'num.partitions' is not NAME=VALUE"),
    ],
)
def test_a_bad_setting_is_an_error_that_names_it(tmp_path: Path, marker: str, ini: str, told: str) -> None:
    source = f"import pytest\n\n@pytest.mark.odradek_broker{marker}\ndef test_one(odradek_broker):\n    pass\n"
    result = run_pytest(own_project(tmp_path, source, ini))
    assert result.returncode != 0
    assert told in result.stdout + result.stderr


def test_the_plugin_loads_nothing_of_the_broker_before_a_test_wants_one() -> None:
    code = (
        "import sys, pytest; before = set(sys.modules); import odradek.pytest_plugin; "
        "print(sorted(set(sys.modules) - before))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30)
    assert result.stdout.strip() == "['odradek', 'odradek.pytest_plugin']"
