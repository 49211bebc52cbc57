"""The floors of the house: no import runs upward, none in a circle."""

from __future__ import annotations

import ast
import graphlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
GROUND = ("storage", "engines", "process", "quiet", "sources", "plan", "format", "datasets", "page", "sheet")
PROGRAMS = ("materialize", "audit", "train")
ROOF = "cli"


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(p): p for package in ("augment", "pipelines") for p in (ROOT / package).rglob("*.py")}


def imports(module: str, *, late: bool) -> set[str]:
    """The modules of the two packages that a module imports; `late` adds those within functions.

    Imports for type checkers alone never run, and do not count.
    """
    path = MODULES[module]
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    found: set[str] = set()

    def visit(node: ast.AST) -> None:
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            for child in node.orelse:
                visit(child)
            return
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and not late:
            return
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            origin = ".".join([*above, *([node.module] if node.module else [])])
            names = {f"{origin}.{alias.name}" for alias in node.names}
            found.update(name if name in MODULES else origin for name in names)
        for child in ast.iter_child_nodes(node):
            visit(child)

    visit(ast.parse(path.read_text(encoding="utf-8")))
    return {name for name in found if name in MODULES} - {module}


def room(module: str) -> str:
    """The part of `pipelines` that a module belongs to."""
    return module.split(".")[1] if "." in module else ""


IN_PIPELINES = sorted(name for name in MODULES if name.startswith("pipelines"))


def test_the_reader_of_imports_sees_the_tree():
    assert "augment.keys" in imports("augment.augmenter", late=False)
    assert "augment.errors" in imports("pipelines.cli", late=True)
    assert len(MODULES) > 20


@pytest.mark.parametrize("module", sorted(name for name in MODULES if name.startswith("augment")))
def test_augment_stands_on_nothing_of_pipelines(module):
    assert not [name for name in imports(module, late=True) if name.startswith("pipelines")]


@pytest.mark.parametrize("module", [name for name in IN_PIPELINES if room(name) in GROUND])
def test_what_programs_share_knows_no_program_above_it(module):
    above = {*PROGRAMS, ROOF}
    assert not [name for name in imports(module, late=True) if room(name) in above]


@pytest.mark.parametrize("module", [name for name in IN_PIPELINES if room(name) in PROGRAMS])
def test_programs_never_import_each_other_nor_the_command_line(module):
    others = {*PROGRAMS, ROOF} - {room(module)}
    assert not [n for n in imports(module, late=True) if n.startswith("pipelines") and room(n) in others]


@pytest.mark.parametrize("module", [name for name in IN_PIPELINES if room(name) != ROOF])
def test_nothing_imports_the_command_line(module):
    assert not [name for name in imports(module, late=True) if name == f"pipelines.{ROOF}"]


def test_no_module_imports_itself_by_way_of_others():
    graph = {module: imports(module, late=True) for module in MODULES}
    graphlib.TopologicalSorter(graph).prepare()  # raises CycleError, which names the circle
