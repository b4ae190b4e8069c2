"""The layout's hard limits: files of 600 lines, handlers of 150, a docstring at the head of every module."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FILE_LINES = 600
HANDLER_LINES = 150
# Tables and generated text, which a reader looks up and does not read.
TABLES: set[str] = set()

PYTHON = sorted(path for folder in ("python", "tests", "benches", "examples") for path in (ROOT / folder).rglob("*.py"))
RUST = sorted((ROOT / "rust").rglob("*.rs"))
HANDLERS = sorted((ROOT / "python" / "odradek" / "broker" / "handlers").glob("*.py"))


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def lines(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def test_there_is_something_to_look_at() -> None:
    assert len(PYTHON) > 50
    assert len(RUST) > 50
    assert len(HANDLERS) > 20


@pytest.mark.parametrize("path", [*PYTHON, *RUST], ids=name)
def test_file_keeps_to_its_cap(path: Path) -> None:
    assert lines(path) <= FILE_LINES or name(path) in TABLES


@pytest.mark.parametrize("path", HANDLERS, ids=name)
def test_handler_keeps_to_its_cap(path: Path) -> None:
    assert lines(path) <= HANDLER_LINES


@pytest.mark.parametrize("path", PYTHON, ids=name)
def test_python_module_says_what_it_is(path: Path) -> None:
    if path.name == "__init__.py" and not path.read_text(encoding="utf-8").strip():
        return
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize("path", RUST, ids=name)
def test_rust_file_says_what_it_is(path: Path) -> None:
    assert path.read_text(encoding="utf-8").startswith("//!")
