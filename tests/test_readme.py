"""What the README says is so: its commands and its Python run, its tables are what comes of them, its figures
stand in docs/ too."""

from __future__ import annotations

import os
import random
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from typer.main import get_command

from docs import generate
from pipelines.cli import app
from pipelines.demo.vehicles import draw_vehicle
from tests.in_process import Ended, augshard

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(heading: str, language: str = "") -> list[str]:
    """The fenced blocks of a section in that language."""
    section = re.search(rf"\n## {heading}\n(.*?)(?=\n## |\Z)", README, re.DOTALL)
    assert section is not None, heading
    found = re.findall(r"^```(\w*)\n(.*?)^```$", section[1], re.DOTALL | re.MULTILINE)
    return [text for kind, text in found if kind == language]


def commands(heading: str, name: str) -> list[list[str]]:
    """The words behind `augshard` of each `augshard NAME ...` in a section."""
    lines = "".join(blocks(heading)).replace("\\\n", " ").splitlines()
    return [shlex.split(line)[1:] for line in lines if line.startswith(f"augshard {name} ")]


def cells(table: str) -> list[list[str]]:
    """A Markdown table's rows, without its head."""
    rows = [line for line in table.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder that README's commands run in, with its layout of photos: 12 of each class."""
    root = tmp_path_factory.mktemp("readme")
    for label in ("car", "truck"):
        (root / "photos" / label).mkdir(parents=True)
        for number in range(1, 13):
            picture = draw_vehicle(label, random.Random(f"{label} {number}"))
            extension = "png" if label == "truck" and number == 1 else "jpg"
            picture.save(root / "photos" / label / f"{number:03}.{extension}")
    before = Path.cwd()
    os.chdir(root)
    yield root
    os.chdir(before)


@pytest.fixture(scope="module")
def materialized(folder: Path) -> Ended:
    ((*words,),) = commands("Your own photos", "materialize")
    return augshard(*words)


def test_the_contact_sheet_is_drawn(folder):
    ((*words,),) = commands("Your own photos", "preview")
    ended = augshard(*words)
    assert ended.status == 0, ended.err
    assert (folder / "sheet.png").stat().st_size > 10_000


@pytest.mark.parametrize("page", ["README.md", "docs/commands.md"])
def test_the_table_at_the_end_of_a_run_is_the_one_shown(materialized, page):
    (shown,) = re.findall(
        r"^```\n(images .*?)^```$", (ROOT / page).read_text("utf-8"), re.DOTALL | re.MULTILINE
    )

    def without_measures(table: str) -> list[str]:
        return [re.sub(r"[\d.,]+ (MB|s|records/s)", r"# \1", line) for line in table.splitlines()]

    assert materialized.status == 0, materialized.err
    said = without_measures(materialized.out)
    assert [line for line in said if "tensorflow_datasets" not in line] == without_measures(shown)


def test_every_command_and_every_option_of_materialize_stands_in_the_docs():
    page = (ROOT / "docs/commands.md").read_text("utf-8")
    commands = get_command(app).commands
    shown = set(re.findall(r"^\| `augshard (\w+)", page, re.MULTILINE))
    assert shown == commands.keys()
    options = {parameter.opts[0] for parameter in commands["materialize"].params}
    table = page.partition("## Materialize")[2]
    assert set(re.findall(r"^\| `(--[\w-]+)", table, re.MULTILINE)) == options


def test_readers_and_live_give_the_same_samples_as_the_python_shown_says(folder, materialized):
    names: dict[str, object] = {}
    for heading in ("Read", "Live"):
        for code in blocks(heading, "python"):
            exec(compile(code, f"README, {heading}", "exec", dont_inherit=True), names)
    assert len(names["train"]) == 48
    assert len(names["stored"]) == len(names["live"]) == 24
    kept = {sample["source"].decode(): sample["image"] for sample in names["stored"].as_numpy_iterator()}
    assert (kept["car/001.jpg"] == names["image"]).all()


def test_the_audit_proves_every_sample(folder, materialized):
    ((*words,),) = commands("Prove", "audit")
    ended = augshard(*words)
    assert ended.status == 0, ended.out + ended.err
    assert "all 72 samples" in ended.out
    assert (folder / "audit.html").exists()


@pytest.mark.slow
def test_the_training_shown_ends_with_the_same_weights_from_shards_and_live(folder, materialized):
    ((*words,),) = commands("Prove", "train")
    ended = augshard(*words)
    assert ended.status == 0, ended.err
    assert ended.out.count("the same, bit by bit") == 2, ended.out  # shards-k1 and shards-k3
    assert (folder / "runs" / "report.html").exists()


def test_the_table_of_copies_is_that_of_the_study():
    study = (ROOT / "docs/study.md").read_text("utf-8")
    (measured,) = re.findall(r"(\| arm .*?)\n\n", study.partition("## Flowers, smaller")[0], re.DOTALL)
    expected = {
        row[0].strip("`"): (row[2].partition(" (")[0], row[4], row[5].partition(".")[0])
        for row in cells(measured)
    }
    (shown,) = re.findall(r"(\| trained on .*?)\n\n", README, re.DOTALL)
    rows = {row[0]: row[1:] for row in cells(shown)}
    names = {"no augmentation": "none", "live: a new one each time": "live"}
    assert len(rows) == len(expected)
    for label, (accuracy, difference, size) in rows.items():
        arm = names.get(label) or f"shards-k{label.split()[0]}"
        assert (accuracy, difference) == expected[arm][:2]
        assert abs(float(size.partition(" ")[0] or 0) - float(expected[arm][2] or 0)) <= 1, label


def test_speeds_are_those_of_the_table_of_benchmarks():
    figures = (ROOT / "docs/performance.md").read_text("utf-8").partition("<!-- figures: make bench -->")[2]
    own = figures.partition("\nconvnet ")[0]  # the rows of the preset
    row = {found[1]: found[0] for found in re.finditer(r"(?m)^\S*\s+(\S.*?)  +[\d,]+/s .*", own)}
    rate, loop, peer = re.search(
        r"([\d,]+) images/s for the preset `flowers`; ([\d.]+) times .*? ([\d.]+) of Albumentations", README
    ).groups()
    assert f" {rate}/s " in row["job, flowers"]
    assert f" {loop}x " in row["tf.data loop, flowers"]
    assert f" {peer}x " in row["Albumentations, flowers"]


def test_the_picture_at_the_top_is_of_the_ops_as_they_are():
    stored, fresh = Image.open(generate.COPIES_PICTURE).convert("RGBA"), generate.copies()
    assert stored.size == fresh.size
    white = Image.new("RGBA", fresh.size, "white")
    shown = [Image.alpha_composite(white, picture).tobytes() for picture in (stored, fresh)]
    # WebP loses some: on average a few levels, where another picture differs by dozens.
    assert sum(abs(a - b) for a, b in zip(*shown, strict=True)) / len(shown[0]) < 4, "run `make docs`"
