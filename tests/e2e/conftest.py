"""Small image trees, whole runs of the command, and directories to compare."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image

from tests.in_process import Ended, augshard

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
"""Chromium, if it is in PATH."""

RECIPE = """
storage: {{format: {storage}}}
ops:
  - resize: {{height: 20, width: 24}}
  - flip: {{horizontal: 0.5}}
  - rotation: {{factor: 0.1, p: 0.7}}
  - brightness: {{delta: 0.3}}
  - saturation: {{factor: [0.5, 1.5]}}
"""


@pytest.fixture(scope="session")
def run_command() -> Callable[..., Ended]:
    """Runs `augshard ...` in this process."""
    return augshard


@pytest.fixture(scope="session")
def start_command() -> Callable[..., subprocess.Popen]:
    """Starts `augshard ...` in a process group of its own, with changes to its environment."""

    def start(*arguments: object, before: tuple[str, ...] = (), **environment: str) -> subprocess.Popen:
        return subprocess.Popen(
            [*before, sys.executable, "-m", "pipelines.cli", *map(str, arguments)],
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    return start


@pytest.fixture(scope="session")
def save_photos(photo_of) -> Callable[[Path, int], None]:
    """Saves pictures of several sizes, by turns as PNG and JPEG, into a new class folder."""

    def save(folder: Path, count: int, seed: int = 0) -> None:
        folder.mkdir(parents=True)
        for number in range(count):
            picture = photo_of(24 + number % 5, 30 + number % 7, seed=seed + number)
            extension = "jpg" if number % 2 else "png"
            Image.fromarray(picture).save(folder / f"{number:03}.{extension}")

    return save


@pytest.fixture(scope="session")
def images(tmp_path_factory, save_photos) -> Path:
    """DIR/train and DIR/test with two classes each: 20 and 6 images."""
    root = tmp_path_factory.mktemp("images")
    for number, (folder, count) in enumerate(
        {"train/cat": 11, "train/dog": 9, "test/cat": 3, "test/dog": 3}.items()
    ):
        save_photos(root / folder, count, seed=100 * number)
    return root


@pytest.fixture(scope="session")
def many_images(tmp_path_factory, save_photos) -> Path:
    """DIR/<class>: enough small images that a run can be interrupted."""
    root = tmp_path_factory.mktemp("many")
    save_photos(root / "cat", 160)
    save_photos(root / "dog", 160, seed=1000)
    return root


@pytest.fixture(scope="session")
def recipe_file(tmp_path_factory) -> Callable[[str], Path]:
    """A recipe whose images are 20x24, by storage."""
    folder = tmp_path_factory.mktemp("recipes")

    def write(storage: str) -> Path:
        path = folder / f"tiny_{storage}.yaml"
        path.write_text(RECIPE.format(storage=storage))
        return path

    return write


@pytest.fixture(scope="session")
def materialize(run_command, recipe_file, tmp_path_factory) -> Callable[..., Path]:
    """Runs a request that must succeed; the output directory.

    The same request is run once, for tests that only read; those that write say `into`.
    """
    outputs: dict[tuple[object, ...], Path] = {}

    def run(root: Path, *options: object, into: Path | None = None, storage: str = "png") -> Path:
        request = (root, options, storage)
        if into is None and request in outputs:
            return outputs[request]
        output = into or tmp_path_factory.mktemp("outputs") / "out"
        recipe = recipe_file(storage)
        ended = run_command("materialize", "--input", root, "--output", output, "--recipe", recipe, *options)
        assert ended.status == 0, ended.err
        if into is None:
            outputs[request] = output
        return output

    return run


EVIL = "<img src=x onerror=alert(1)>"
"""The name of a class, which a page must show as text."""


class Audited(NamedTuple):
    """A dataset with an audit of it."""

    root: Path
    output: Path
    report: Path
    json: Path
    ended: Ended


@pytest.fixture(scope="session")
def gallery(tmp_path_factory, photo_of, materialize, run_command) -> Audited:
    """Classes rose, daisy and EVIL, with train/rose/0.png in validation too, a file that is
    twice in one split, and one that is no image."""
    root = tmp_path_factory.mktemp("gallery")
    for number, (folder, count) in enumerate(
        {
            "train/rose": 5,
            "train/daisy": 4,
            f"train/{EVIL}": 4,
            "validation/rose": 1,
            "validation/daisy": 2,
        }.items()
    ):
        (root / folder).mkdir(parents=True)
        for i in range(count):
            Image.fromarray(photo_of(26, 30, seed=100 * number + i)).save(root / folder / f"{i}.png")
    (root / "validation" / EVIL).mkdir()
    Image.fromarray(photo_of(26, 30, seed=999)).save(root / "validation" / EVIL / "0.png")
    shutil.copy(root / "train/rose/0.png", root / "validation/rose/leaked.png")
    shutil.copy(root / "train/daisy/1.png", root / "train/daisy/again.png")
    (root / "train/daisy/broken.png").write_bytes(b"no image")
    output = materialize(root, "--copies", 3, "--max-rejects", 0.1)
    report, json = root / "report.html", root / "audit.json"
    ended = run_command("audit", output, "--input", root, "--report", report, "--json", json)
    return Audited(root, output, report, json, ended)


@pytest.fixture(scope="session")
def tree() -> Callable[[Path], dict[str, bytes]]:
    """Every file of a directory with its bytes, but run.json, which may differ."""

    def read(directory: Path) -> dict[str, bytes]:
        return {
            str(path.relative_to(directory)): path.read_bytes()
            for path in sorted(directory.rglob("*"))
            if path.is_file() and path.name != "run.json"
        }

    return read


@pytest.fixture(scope="session")
def wait_for_receipts() -> Callable[..., int]:
    """Waits until a running command has finished some shards; how many."""

    def wait(process: subprocess.Popen, output: Path, count: int) -> int:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            receipts = len(list((output / "samples").glob("*.parquet"))) if output.exists() else 0
            if receipts >= count:
                return receipts
            assert process.poll() is None, process.communicate()
            time.sleep(0.005)
        raise AssertionError("no shard was finished within two minutes")

    return wait


@pytest.fixture(scope="session")
def samples_of() -> Callable[..., list[tuple[str, int, int, bytes]]]:
    """The elements of a dataset as plain values."""

    def read(dataset) -> list[tuple[str, int, int, bytes]]:
        return [
            (e["source"].decode(), int(e["label"]), int(e["copy"]), np.asarray(e["image"]).tobytes())
            for e in dataset.as_numpy_iterator()
        ]

    return read


@pytest.fixture(scope="session")
def browse(tmp_path_factory) -> Callable[..., str]:
    """Runs Chromium on a page; what it prints."""

    def run(url: str, *options: str) -> str:
        profile = tmp_path_factory.mktemp("profile")
        command = [
            str(BROWSER),
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
        ]
        command += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
        command += ["--allow-file-access-from-files", "--hide-scrollbars", f"--user-data-dir={profile}"]
        ended = subprocess.run(
            [*command, "--virtual-time-budget=20000", *options, url],
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    return run
