"""What a release is made of: a wheel and an sdist that install and work where the checkout is not."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

from pipelines.demo.vehicles import draw_vehicle
from tests.test_packaging import PROJECT, ROOT

pytestmark = pytest.mark.slow

RELEASE = f"{PROJECT['name']}-{PROJECT['version']}"


def run(*command: object, cwd: Path) -> str:
    """What the command prints; it has to end well."""
    ended = subprocess.run([str(word) for word in command], cwd=cwd, capture_output=True, text=True)
    assert ended.returncode == 0, f"{command}\n{ended.stdout}\n{ended.stderr}"
    return ended.stdout


def built(kind: str, source: Path, into: Path) -> Path:
    """`wheel` or `sdist`, as setuptools builds it of a directory."""
    code = f"from setuptools import build_meta; print(build_meta.build_{kind}({str(into)!r}))"
    return into / run(sys.executable, "-c", code, cwd=source).splitlines()[-1]


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built of a copy of what the packages are made of, without what lies about in a checkout."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("sdist")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for package in ("augment", "pipelines"):
        shutil.copytree(ROOT / package, source / package, ignore=shutil.ignore_patterns("__pycache__"))
    return built("sdist", source, out)


@pytest.fixture(scope="module")
def wheel(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built of the sdist, as pip does where it takes that."""
    source = tmp_path_factory.mktemp("unpacked")
    with tarfile.open(sdist) as archive:
        archive.extractall(source)
    return built("wheel", source / RELEASE, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of an environment with the wheel, and beside it what it depends on, from this one."""
    home = tmp_path_factory.mktemp("environment")
    venv.create(home, with_pip=True)
    python = home / "bin" / "python"
    run(python, "-m", "pip", "--quiet", "install", "--no-index", "--no-deps", wheel, cwd=home)
    (packages,) = home.glob("lib/python*/site-packages")
    # Folders named here come last, and .pth files in them, which lead to the checkout, are not read.
    beside = [path for path in sys.path if path.endswith("site-packages")]
    (packages / "beside.pth").write_text("\n".join(beside))
    return home / "bin"


def test_the_wheel_holds_every_module_and_data_file_of_the_packages_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
        (metadata,) = (name for name in archive.namelist() if name.endswith("/METADATA"))
        said = archive.read(metadata).decode()
    ours = {
        path.relative_to(ROOT).as_posix()
        for package in ("augment", "pipelines")
        for path in (ROOT / package).rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    assert held == ours
    for extra in ("train", "gcp", "aws", "torch"):
        assert f"Provides-Extra: {extra}\n" in said


def test_what_is_installed_is_the_release_and_not_the_checkout(installed, tmp_path):
    code = "import augment, pipelines, json; print(json.dumps([augment.__file__, augment.__version__]))"
    place, version = json.loads(run(installed / "python", "-c", code, cwd=tmp_path))
    assert place.startswith(str(installed.parent))
    assert version == PROJECT["version"]
    assert PROJECT["version"] in run(installed / "augshard", "--version", cwd=tmp_path)
    assert "--output" in run(installed / "augshard", "demo", "--help", cwd=tmp_path)


def test_presets_words_and_pages_came_along(installed, tmp_path):
    presets = {path.stem for path in (ROOT / "augment/recipe/presets").glob("*.yaml")}
    table = run(installed / "augshard", "recipes", cwd=tmp_path)
    assert presets <= set(table.split())
    (tmp_path / "photos/turn left").mkdir(parents=True)
    draw_vehicle("car", random.Random(0)).save(tmp_path / "photos/turn left/1.png")
    lint = [installed / "augshard", "lint", "--recipe", "car_or_truck", "--input", "photos"]
    ended = subprocess.run(lint, cwd=tmp_path, capture_output=True, text=True)
    assert "turn left" in ended.stdout, ended.stderr


def test_images_are_materialized_and_audited(installed, tmp_path):
    for label in ("car", "truck"):
        (tmp_path / "photos" / label).mkdir(parents=True)
        for number in range(3):
            picture = draw_vehicle(label, random.Random(number))
            picture.save(tmp_path / "photos" / label / f"{number}.jpg")
    augshard = installed / "augshard"
    said = run(
        *(augshard, "materialize", "--input", "photos", "--recipe", "car_or_truck"),
        *("--copies", 2, "--output", "out"),
        cwd=tmp_path,
    )
    assert "records  12 (12 new)" in said
    audit = (augshard, "audit", "out", "--input", "photos", "--samples", "all", "--report", "audit.html")
    assert "all 12 samples" in run(*audit, cwd=tmp_path)
    assert "<style" in (tmp_path / "audit.html").read_text("utf-8")
