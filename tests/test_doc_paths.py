"""The pages held to the tree: each file, folder and make target that they name, or link to, is there."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
FOLDERS = ("benches", "docs", "examples", "python", "rust", "tests")
SUFFIXES = "md|py|pyi|rs|sh|svg|toml"
NAMED = re.compile(rf"`(\.{{3}}/)?((?:[\w{{}},*-]+/)+(?:[\w{{}},*-]+\.(?:{SUFFIXES}))?|[\w{{}},*-]+\.(?:{SUFFIXES}))`")
LINKED = re.compile(r"\]\(([^)#\s]+)")
# Files of a user's own, and what is made when it is first needed.
NOT_OURS = {"orders.jsonl", "server.properties"}


def tree() -> list[str]:
    """Return every file and folder as /path, folders with a slash at the end."""
    paths = [path for folder in FOLDERS for path in (ROOT / folder, *(ROOT / folder).rglob("*"))]
    return [f"/{path.relative_to(ROOT)}" + "/" * path.is_dir() for path in [*paths, *ROOT.glob("*.*")]]


TREE = tree()


def spelled_out(name: str) -> list[str]:
    """Return the names that one with braces stands for."""
    found = re.search(r"{([^{}]*)}", name)
    if found is None:
        return [name]
    return [one for part in found[1].split(",") for one in spelled_out(name.replace(found[0], part, 1))]


def is_there(name: str) -> bool:
    """Tell whether a path ends like this; `*` stands for anything."""
    return any(fnmatchcase(path, f"*/{name}") for path in TREE)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_names_only_what_is_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    named = [one for _dots, name in NAMED.findall(text) for one in spelled_out(name)]
    assert [name for name in named if name not in NOT_OURS and not is_there(name)] == []
    linked = [link for link in LINKED.findall(text) if "://" not in link]
    assert [link for link in linked if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_names_only_make_targets_that_are_there(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = re.findall(r"(?:`|^\$ )make ([a-z-]+)", page.read_text(encoding="utf-8"), re.MULTILINE)
    assert set(named) <= targets


def test_a_name_that_is_not_there_is_found_out() -> None:
    assert NAMED.findall("`python/odradek/cli/` `.../client/{a,b}.rs` `core.py` `a/b` `log.dirs`") == [
        ("", "python/odradek/cli/"), (".../", "client/{a,b}.rs"), ("", "core.py")
    ]  # fmt: skip
    assert spelled_out("x/{a,b*}.rs") == ["x/a.rs", "x/b*.rs"]
    assert is_there("client/consumer/core.py")
    assert not is_there("sumer/core.py")
    assert not is_there("client/no_such_module.py")
