"""The job by either backend: the same directories, and TensorFlow only where it is asked for."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from augment.recipe import preset_names

POLICIES = ("rand_augment", "trivial_augment", "auto_augment: {policy: imagenet}", "aug_mix")


def contents(directory: Path) -> dict[str, bytes]:
    """All files by their names, but for what says which run it was."""
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in sorted(directory.rglob("*"))
        if path.is_file() and path.name != "run.json"
    }


def written(run_command, images: Path, output: Path, recipe: object, backend: str) -> dict[str, bytes]:
    ended = run_command(
        "materialize", "--input", images, "--output", output, "--recipe", recipe,
        "--copies", 2, "--include-originals", "--backend", backend,
    )  # fmt: skip
    assert ended.status == 0, ended.stderr
    return contents(output)


@pytest.mark.slow
@pytest.mark.parametrize("preset", preset_names())
def test_c4_every_preset_gives_the_same_bytes_by_either_backend(preset, images, run_command, tmp_path):
    host, device = (written(run_command, images, tmp_path / b, preset, b) for b in ("host", "device"))
    assert host == device


@pytest.mark.slow
@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.partition(":")[0])
@pytest.mark.parametrize("storage", ["png", "jpeg", "raw"])
def test_c4_every_policy_gives_the_same_bytes_by_either_backend(
    policy, storage, images, run_command, tmp_path
):
    recipe = tmp_path / "policy.yaml"
    recipe.write_text(
        f"storage: {{format: {storage}}}\nops:\n  - resize: {{height: 40, width: 48}}\n  - {policy}\n"
    )
    host, device = (written(run_command, images, tmp_path / b, recipe, b) for b in ("host", "device"))
    assert host == device


def test_a_job_on_the_host_imports_no_tensorflow_in_launcher_or_workers(images, start_command, tmp_path):
    broken = tmp_path / "path" / "tensorflow"
    broken.mkdir(parents=True)
    (broken / "__init__.py").write_text("raise ImportError('somebody wants TensorFlow')\n")
    asked = ("materialize", "--input", images, "--recipe", "cifar10_autoaugment", "--output")
    path = os.pathsep.join([str(broken.parent), *sys.path[:1]])
    host = start_command(*asked, tmp_path / "host", PYTHONPATH=path)
    assert host.communicate()[1].count("somebody wants TensorFlow") == 0
    assert host.returncode == 0
    device = start_command(*asked, tmp_path / "device", "--backend", "device", PYTHONPATH=path)
    assert "somebody wants TensorFlow" in device.communicate()[1]
    assert device.returncode == 1
