"""The job by either backend: the same directories, and TensorFlow only where it is asked for."""

from __future__ import annotations

import dataclasses
import os
import sys
from pathlib import Path

import pytest

from augment import backends
from augment.kernels import canary
from augment.parity import parity_class
from augment.recipe import preset_names
from pipelines.materialize.pipeline import WriteGroup
from tests.in_process import run_of

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
    assert ended.status == 0, ended.err
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


@pytest.fixture
def nothing_but_the_host(monkeypatch):
    """As in the worker image."""
    for library in ("tensorflow", "keras", "matplotlib"):
        monkeypatch.setitem(sys.modules, library, None)


@pytest.mark.usefixtures("nothing_but_the_host")
@pytest.mark.parametrize(
    ("command", "lacking"),
    [
        (("materialize", "--recipe", "cifar10", "--backend", "device"), "--backend device needs TensorFlow"),
        (
            ("train", "--recipe", "cifar10", "--model", "small_cnn", "--epochs", 1),
            "augshard train needs TensorFlow",
        ),
        (("demo",), "augshard demo needs TensorFlow"),
        (("compare", "runs"), "augshard compare needs Matplotlib"),
    ],
    ids=lambda words: words[0] if isinstance(words, tuple) else "",
)
def test_without_tensorflow_what_needs_it_says_so(command, lacking, images, run_command, tmp_path):
    given = ("--input", images) if command[0] in ("materialize", "train") else ()
    ended = run_command(*command, *given, "--output", tmp_path / "out")
    assert ended.status == 2
    assert f"{lacking}, which is not installed here; use an installation" in ended.err
    assert not (tmp_path / "out").exists()


def test_without_tensorflow_an_audit_derives_by_the_host_where_it_is_asked_to(
    images, run_command, tmp_path, request
):
    written(run_command, images, tmp_path / "out", "cifar10", "host")
    request.getfixturevalue("nothing_but_the_host")
    audit = ("audit", tmp_path / "out")
    beside = (*audit, "--input", images, "--samples", "all")
    assert run_command(*audit).status == 0
    other = run_command(*beside)
    assert (other.status, other.out) == (2, "")
    assert "an audit by the device backend (--backend host does without) needs TensorFlow" in other.err
    host = run_command(*beside, "--backend", "host")
    assert host.status == 0, host.err
    assert "samples follow from their sources bit for bit" in host.out
    page = run_command(*audit, "--report", tmp_path / "page.html")
    assert page.status == 2
    assert "--report needs Matplotlib, which is not installed here" in page.err


@pytest.mark.usefixtures("nothing_but_the_host")
def test_c9_without_tensorflow_a_host_that_computes_something_else_is_refused(
    images, run_command, tmp_path, monkeypatch
):
    monkeypatch.setattr(canary, "differences", lambda: ["resize_area"])
    backends.backend.cache_clear()
    parity_class.cache_clear()
    try:
        ended = run_command(
            "materialize", "--input", images, "--output", tmp_path / "out", "--recipe", "cifar10"
        )
    finally:
        backends.backend.cache_clear()
        parity_class.cache_clear()
    assert ended.status == 2
    assert "(resize_area), and what takes their place needs TensorFlow, which is not" in ended.err


@pytest.mark.usefixtures("nothing_but_the_host")
def test_a_worker_without_tensorflow_fails_its_group_by_a_sentence(tmp_path):
    write = WriteGroup(dataclasses.replace(run_of("photos", tmp_path), backend="device"))
    [failed] = write.process((("train", 0, 0), []), None)
    assert failed.fault.startswith("the device backend needs TensorFlow, which is not installed here; ")


ON_THE_HOST = '''
import dataclasses

import numpy as np

from augment.ops import Custom, Draw, Kernels, Op, Size


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Darkened(Custom):
    def on_host(self, image):
        return image // np.uint8(2)


class DarkenOnTheHost(Op):
    """Halves every level."""

    def kernels(self, draw: Draw, size: Size) -> Kernels:
        return (Darkened(),)
'''


def test_what_a_kernel_of_the_host_alone_made_is_audited_on_the_host(
    images, run_command, tmp_path, monkeypatch
):
    (tmp_path / "darkened.py").write_text(ON_THE_HOST)
    monkeypatch.syspath_prepend(tmp_path)
    recipe = tmp_path / "darkened.yaml"
    recipe.write_text(
        "ops:\n  - resize: {height: 20, width: 24}\n  - flip: {horizontal: 0.5}\n"
        "  - sometimes: {p: 0.5, ops: [darken_on_the_host]}\n"
    )
    asked = ("materialize", "--input", images, "--recipe", recipe, "--plugin", "darkened", "--output")
    assert run_command(*asked, tmp_path / "out").status == 0
    audit = run_command(
        "audit", tmp_path / "out", "--input", images, "--samples", "all", "--plugin", "darkened"
    )
    assert audit.status == 0, audit.err
    assert "bit for bit" in audit.out
    refused = run_command(*asked, tmp_path / "device", "--backend", "device")
    assert refused.status == 1
    assert "Darkened does not define on_device()" in refused.err
