"""What an installation rests on: declared imports, a complete lock, one version, a quick start."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, files

import pytest

from tests.lock import ROOT, TEXT, locked, names

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT = PYPROJECT["project"]
PYTHONS = sys.stdlib_module_names | {"tomllib"}  # which 3.10 does not know
OURS = {"augment", "benchmarks", "docs", "pipelines", "tests"}
NAMESPACES = {"google"}  # many distributions share it: only the second word tells them apart


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def required(*extras: str) -> set[str]:
    """Names of the distributions that pyproject.toml asks for, with those of its extras."""
    wanted = PROJECT["dependencies"] + [r for e in extras for r in PROJECT["optional-dependencies"][e]]
    found = {normal(re.match(r"[\w.-]+", requirement).group()) for requirement in wanted}
    ours = re.findall(rf"{PROJECT['name']}\[(\w+)\]", " ".join(wanted))  # an extra that holds others
    return (found | required(*ours) if ours else found) - {PROJECT["name"]}


def imported(*places: str) -> dict[str, str]:
    """{module: a file that imports it} for what is neither ours nor Python's own."""
    found: dict[str, str] = {}
    for path in (path for place in places for path in (ROOT / place).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            modules: list[str] = []
            if isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                modules = [f"{node.module}.{alias.name}" for alias in node.names]
            for module in modules:
                head = module.partition(".")[0]
                beside = path.with_name(f"{head}.py").exists()
                if head not in PYTHONS | OURS and not beside:
                    found[module] = str(path.relative_to(ROOT))
    return found


def top(module: str) -> str:
    """The part of a module's name that belongs to one distribution."""
    words = module.split(".")
    return ".".join(words[:2]) if words[0] in NAMESPACES else words[0]


def provides(distribution: str) -> set[str]:
    """The modules that an installed distribution brings, as `top` names them."""
    try:
        paths = [path.parts for path in files(distribution) or ()]
    except PackageNotFoundError:  # it is for another Python
        return {distribution}
    return {top(".".join(parts).removesuffix(".py")) for parts in paths}


GOOGLES = ("google.api_core", "google.auth", "google.cloud")
BY_EXTRAS = {
    ("pipelines/datasets/pytorch.py", "torch"),
    ("pipelines/export/arrayrecord.py", "array_record"),
    ("pipelines/storage/s3.py", "boto3"),
    ("pipelines/storage/s3.py", "botocore"),
    *(("pipelines/storage/gcs.py", module) for module in (*GOOGLES, "requests", "urllib3")),
    ("pipelines/engines/dataflow.py", "google.auth"),
    ("pipelines/engines/dataflow_job.py", "google.api_core"),
    ("pipelines/engines/dataflow_job.py", "google.auth"),
    ("tests/e2e/test_readers.py", "torch"),
    ("tests/e2e/test_stores.py", "google.cloud"),
    ("tests/fuzz/__main__.py", "atheris"),
    ("docs/pages.py", "mkdocs"),
    ("docs/notebooks/__main__.py", "nbclient"),
    ("docs/notebooks/__main__.py", "nbformat"),
    ("benchmarks/albumentations_loop.py", "albumentations"),
    ("benchmarks/counterparts.py", "albumentations"),
    ("benchmarks/feeding.py", "torch"),
}
"""What extras, `make fuzz`, `make site` or benchmarks/README.md bring, and who imports it late, and says so
where it is not there."""


@pytest.mark.parametrize(
    ("places", "extras"),
    [(("augment", "pipelines"), ()), (("tests", "benchmarks", "docs"), ("test",))],
    ids=["packages", "tests and benchmarks"],
)
def test_every_import_is_of_a_declared_dependency(places, extras):
    provided = set().union(*map(provides, required(*extras)))
    undeclared = {
        module: path
        for module, path in imported(*places).items()
        if top(module) not in provided and (path, top(module)) not in BY_EXTRAS
    }
    assert undeclared == {}


def test_the_lock_names_no_place_to_download_from():
    assert "://" not in TEXT
    assert "index" not in re.sub(r"^[a-z0-9-]+==.*|# via .*", "", TEXT, flags=re.MULTILINE)
    assert not [line for line in TEXT.splitlines() if line.startswith("-")]


def test_every_pin_in_the_lock_has_hashes():
    sections = locked()
    assert list(sections) == ["base", "test", "train", "arrayrecord", "aws", "gcp", "heic"]
    for pins in sections.values():
        for pin, hashes in pins.items():
            assert hashes, f"{pin} has no hash"
            assert all(re.fullmatch(r"[0-9a-f]{64}", digest) for digest in hashes), pin


def test_every_dependency_is_locked_in_its_section():
    sections = locked()
    base = names(sections["base"])
    assert required() <= base
    for extra in ("test", "train", "arrayrecord", "aws", "gcp", "heic"):
        assert required(extra) <= base | names(sections[extra]), f"run `make constraints` ({extra})"


def test_sections_of_the_lock_agree_on_versions():
    pins: dict[str, set[str]] = {}
    for section in locked().values():
        for pin in section:
            requirement, _, marker = pin.partition(" ; ")
            pins.setdefault(f"{requirement.partition('==')[0]} ; {marker}", set()).add(requirement)
    assert {name: versions for name, versions in pins.items() if len(versions) > 1} == {}


def test_every_data_file_of_the_packages_is_installed():
    patterns = PYPROJECT["tool"]["setuptools"]["package-data"]
    installed = {
        path for package, globs in patterns.items() for g in globs for path in (ROOT / package).glob(g)
    }
    present = {path for package in ("augment", "pipelines") for path in (ROOT / package).rglob("*.*")}
    assert {path for path in present if path.is_file() and path.suffix not in {".py", ".pyc"}} == installed


def test_the_newest_entry_of_the_changelog_is_the_version():
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.findall(r"^## \[(\d+\.\d+\.\d+)\]", changelog, re.MULTILINE)[0] == PROJECT["version"]


def test_the_command_line_starts_without_the_heavy_libraries():
    heavy = {"apache_beam", "matplotlib", "numpy", "pyarrow", "pydantic", "tensorflow"}
    command = f"import sys, pipelines.cli; print(*sorted({heavy!r} & set(sys.modules)))"
    loaded = subprocess.run([sys.executable, "-c", command], cwd=ROOT, capture_output=True, text=True)
    assert loaded.returncode == 0, loaded.stderr
    assert loaded.stdout.split() == []
