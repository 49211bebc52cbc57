"""The floors of the house: no import runs upward, none in a circle, and TensorFlow stays where it belongs."""

from __future__ import annotations

import ast
import graphlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

FLOORS = (
    {"augment"},
    {"packets", "process", "progress", "storage"},
    {"containers", "quiet", "recipes", "sources"},
    {"format", "live"},
    {"targets"},
    {"engines", "plan"},
    {"annotations"},
    {"images"},
    {"datasets", "targets_advice"},
    {"materialize", "export", "audit", "train"},
    {"report"},
    {"look"},
    {"commands", "doctor", "lint", "parity", "preview", "transforms"},
    {"demo"},
    {"cli"},
)
"""Every room, from the ground up. A room knows those of the floors below it, and none of its own."""

TENSORFLOW = {
    *("augment.beside", "augment.graphs", "augment.kernels.device", "augment.layer"),
    *(f"augment.kernels.device.{name}" for name in ("arrays", "color", "filters", "grain", "index")),
    *(f"augment.kernels.device.{name}" for name in ("jpeg", "levels", "loops", "resize", "warp")),
    *("augment.mixing.tfdata", "augment.parity", "augment.tfdata"),
    *(
        "pipelines.commands.train",
        "pipelines.datasets.beside",
        "pipelines.datasets.tfdata",
        "pipelines.doctor",
        "pipelines.format.parsing",
        "pipelines.live",
    ),
    *("pipelines.parity.ways", "pipelines.quiet"),
    *(f"pipelines.train.{name}" for name in ("checkpoint", "feeding", "models", "networks")),
    *(f"pipelines.train.{name}" for name in ("objectives", "request", "run", "trainer", "truth")),
}
"""The modules that import TensorFlow or Keras: the device backend, what leads to it, and training. A job on
the host needs none of them; `augment.parity` imports it where the host has lost its canary."""

EITHER = {
    *("augment.keys", "augment.kernels.streams", "augment.kernels.maps", "augment.kernels.tables"),
    "pipelines.train.arms",
}
"""Those whose lines serve NumPy and TensorFlow alike, which `augment.array_api` gives them on first use."""


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(p): p for package in ("augment", "pipelines") for p in (ROOT / package).rglob("*.py")}


def imported(module: str) -> set[str]:
    """What a module imports, within functions too: `package.module` or `package.module.name`.

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
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            origin = ".".join([*above, *([node.module] if node.module else [])])
            found.update(f"{origin}.{alias.name}" for alias in node.names)
        for child in ast.iter_child_nodes(node):
            visit(child)

    visit(ast.parse(path.read_text(encoding="utf-8")))
    return found


def ours(module: str) -> set[str]:
    """The modules of the two packages that a module imports."""
    names = {name if name in MODULES else name.rpartition(".")[0] for name in imported(module)}
    return {name for name in names if name in MODULES} - {module}


def room(module: str) -> str:
    """The part of `pipelines` that a module belongs to, or `augment`; empty for `pipelines` itself."""
    top, _, rest = module.partition(".")
    return top if top == "augment" else rest.partition(".")[0]


FLOOR = {name: number for number, rooms in enumerate(FLOORS) for name in rooms}


def test_the_reader_of_imports_sees_the_tree():
    assert "augment.keys" in ours("augment.augmenter")
    assert "pipelines.commands.audit" in ours("pipelines.cli.datasets")  # within a function
    assert "tensorflow" in imported("pipelines.quiet")
    assert len(MODULES) > 20


def test_every_room_stands_on_one_floor():
    there = {room(module) for module in MODULES} - {""}
    assert there == set(FLOOR)
    assert sum(map(len, FLOORS)) == len(FLOOR)


@pytest.mark.parametrize("module", sorted(MODULES))
def test_no_import_runs_upward_or_to_a_room_next_door(module):
    here = room(module)
    others = {room(name) for name in ours(module)} - {here, ""}
    assert not {name for name in others if FLOOR[name] >= FLOOR[here]}


def test_both_backends_have_a_kernel_in_the_same_room():
    host, device = (
        {
            module.removeprefix(f"augment.kernels.{backend}")
            for module in MODULES
            if f"kernels.{backend}" in module
        }
        for backend in ("host", "device")
    )
    assert host == device - {".loops"}


def test_no_module_imports_itself_by_way_of_others():
    graph = {module: ours(module) for module in MODULES}
    graphlib.TopologicalSorter(graph).prepare()  # raises CycleError, which names the circle


def test_tensorflow_is_imported_by_the_device_and_by_training_and_by_nobody_else():
    ways = ("tensorflow.", "keras.")
    found = {module for module in MODULES if any(f"{name}.".startswith(ways) for name in imported(module))}
    assert found == TENSORFLOW
    assert {module for module in MODULES if "augment.array_api.tf" in imported(module)} - found == EITHER
