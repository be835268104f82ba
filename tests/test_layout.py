"""Where tests stand: in a folder of the room they test, and none leans on another."""

from __future__ import annotations

import ast
from pathlib import Path

from tests.support.command import ROOT

TESTS = ROOT / "tests"
NO_ROOMS = {"support", "data"}


def imported(file: Path) -> set[str]:
    """The modules that a file imports, at its top or inside a function."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            names |= {module, *(f"{module}.{alias.name}" for alias in node.names)}
    return names


def is_test(module: str) -> bool:
    return any(part == "conftest" or part.startswith("test_") for part in module.split("."))


def test_every_folder_of_tests_is_named_after_a_room():
    rooms = {path.parent.name for path in (ROOT / "drnn_bench").glob("*/__init__.py")}
    folders = {path.name for path in TESTS.iterdir() if any(path.glob("*.py"))}
    assert folders - NO_ROOMS <= rooms
    assert len(folders - NO_ROOMS) > 10


def test_no_file_imports_a_test_or_conftest():
    files = sorted(TESTS.rglob("*.py"))
    assert len(files) > 50
    found = {str(file): [*filter(is_test, imported(file))] for file in files}
    assert {file: names for file, names in found.items() if names} == {}


def test_an_import_of_a_test_is_seen(tmp_path):
    file = tmp_path / "test_mine.py"
    file.write_text("def f():\n    from tests.search.test_search import world\nimport conftest\n")
    assert any(map(is_test, imported(file)))
    file.write_text("from tests.models import test_models\n")
    assert any(map(is_test, imported(file)))
    file.write_text("import tests.support.world, pytest\nfrom drnn_bench.testing import nets\n")
    assert not any(map(is_test, imported(file)))
