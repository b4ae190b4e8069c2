"""docs/client.md: the code of each section runs, and prints what its comments say. So does the README's Python."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import odradek

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)
PRINTS = re.compile(r"^\s*print\(.*\)  # (.*)$", re.MULTILINE)


def programs() -> dict[str, str]:
    """Return the code of each section, by its heading."""
    found = {}
    for page in ("docs/client.md", "README.md"):
        for section in re.split(r"^## ", (ROOT / page).read_text(), flags=re.MULTILINE):
            code = "".join(BLOCK.findall(section))
            if code:
                found[f"{page}: {section.splitlines()[0]}"] = code
    return found


PROGRAMS = programs()


@pytest.fixture(scope="module")
def servers() -> Iterator[str]:
    """A broker of the page's own, whose topics have three partitions."""
    with odradek.Broker(num_partitions=3) as broker:
        yield broker.bootstrap_servers


def test_the_pages_have_code_with_claims() -> None:
    assert len(PROGRAMS) >= 8
    assert sum(len(PRINTS.findall(code)) for code in PROGRAMS.values()) >= 25


@pytest.mark.parametrize("title", list(PROGRAMS))
def test_each_section_runs_and_prints_what_it_says(title: str, servers: str, tmp_path: Path) -> None:
    code = PROGRAMS[title]
    if "polars" in code:
        pytest.importorskip("polars")
    if "confluent_kafka" in code:
        pytest.importorskip("confluent_kafka")
    script = tmp_path / "section.py"
    script.write_text(code.replace("localhost:9092", servers))
    result = subprocess.run(
        [sys.executable, "-W", "error", str(script)], capture_output=True, text=True, timeout=50, check=False
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines() == PRINTS.findall(code)
