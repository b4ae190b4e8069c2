"""Who may import the compiled module: a rule that import-linter can't see, because it looks at .py files only."""

import ast
from pathlib import Path

import odradek

PACKAGE = Path(odradek.__file__).parent
ALLOWED = {"record.py", "broker/server.py", "client/native.py"}


def importers_of_native() -> set[str]:
    found = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else []
            module = node.module or "" if isinstance(node, ast.ImportFrom) else ""
            if any("_native" in part.split(".") for part in [module, *names]):
                found.add(path.relative_to(PACKAGE).as_posix())
    return found


def test_only_the_facades_and_the_composition_root_import_the_native_module() -> None:
    assert importers_of_native() == ALLOWED
