"""What `augshard look` finds in a samples table whose rows are known."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from augment.errors import RequestError
from pipelines.format.manifest import read_manifest
from pipelines.look.found import read_found
from pipelines.look.query import Choices
from pipelines.look.samples import A_PAGE, Samples
from pipelines.look.site import Site
from tests.in_process import augshard

RECIPE = """
storage: {format: png}
ops:
  - resize: {height: 12, width: 16}
  - flip: {horizontal: 0.5}
  - rotation: {factor: 0.1, p: 0.5}
  - trivial_augment: {}
"""


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> Path:
    """Twelve cats and eight dogs, three copies and the originals."""
    root = tmp_path_factory.mktemp("look")
    pixels = np.random.default_rng(0).integers(0, 256, (20, 14, 18, 3), np.uint8)
    for number, picture in enumerate(pixels):
        path = root / f"in/train/{'cat' if number < 12 else 'dog'}/{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(path)
    (root / "tiny.yaml").write_text(RECIPE)
    options = ("--input", root / "in", "--output", root / "out", "--recipe", root / "tiny.yaml")
    ended = augshard("materialize", *options, "--copies", 3, "--include-originals")
    assert ended.status == 0, ended.err
    return root / "out"


@pytest.fixture(scope="module")
def rows(dataset) -> list[dict]:
    """The samples table, read by other means."""
    files = sorted((dataset / "samples").iterdir())
    return [row for file in files for row in pq.read_table(file).to_pylist()]


def asked(dataset: Path, findings: Path | None = None, page: int = 1, **typed: str):
    manifest = read_manifest(str(dataset))
    found = read_found(str(findings), str(dataset), manifest) if findings else None
    choices = Choices(manifest, found)
    fields = {name.rstrip("_"): value for name, value in typed.items()}
    return Samples(str(dataset), manifest, choices).page(choices.filter(fields), page)


def keys(page) -> set[tuple[str, int]]:
    return {(sample.source, sample.shard.copy) for sample in page.samples}


CASES = {
    "of a class and a copy": (
        {"class": "dog", "copy": "2"},
        lambda row: row["class"] == "dog" and row["copy"] == 2,
    ),
    "originals": ({"copy": "-1"}, lambda row: row["copy"] == -1),
    "part of a path": ({"source": "cat/1"}, lambda row: "cat/1" in row["source"]),
    "an op whose coins can all say no": ({"op": "flip"}, lambda row: row["flip.horizontal"]),
    "an op that is not always applied": ({"op": "rotation"}, lambda row: row["rotation.applied"]),
    "an operation of a policy": (
        {"op": "trivial_augment:rotate"},
        lambda row: row["trivial_augment.op_1"] == 4,
    ),
    "a range, of an op that fired": (
        {"parameter": "rotation.degrees", "from": "-10", "to": "20.5"},
        lambda row: row["rotation.applied"] and -10 <= row["rotation.degrees"] <= 20.5,
    ),
    "all at once": (
        {"split": "train", "class": "cat", "op": "flip", "parameter": "rotation.degrees", "from": "0"},
        lambda row: (
            row["class"] == "cat"
            and row["flip.horizontal"]
            and row["rotation.applied"]
            and row["rotation.degrees"] >= 0
        ),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_filter_finds_the_rows_that_it_says_and_no_others(case, dataset, rows):
    typed, holds = CASES[case]
    expected = {(row["source"], row["copy"]) for row in rows if holds(row)}
    assert expected
    page = asked(dataset, **typed)
    assert page.total == len(expected)
    assert keys(page) == expected


def test_pages_follow_one_another_and_the_nearest_is_shown_of_one_that_is_not_there(dataset, rows):
    first, second, far = (asked(dataset, page=number) for number in (1, 2, 99))
    assert (first.total, first.pages) == (len(rows), 2) == (80, 2)
    assert [len(first.samples), len(second.samples)] == [A_PAGE, 20]
    assert keys(first) | keys(second) == {(row["source"], row["copy"]) for row in rows}
    assert far == second
    crossing = [asked(dataset, page=number, **{"class": "cat"}).samples for number in (1, 2)]
    assert list(map(len, crossing)) == [48, 48]  # one page, whichever is asked for


WRONG = {
    "class is 'dogs'; did you mean dog?": {"class": "dogs"},
    "copy is '7'; there is -1, 0, 1, 2": {"copy": "7"},
    "from is 'low'; it must be a number": {"parameter": "rotation.degrees", "from": "low"},
    "from is 'nan'; it must be a number": {"parameter": "rotation.degrees", "from": "nan"},
    "from is 3 and to is 2; from must not be above to": {
        "parameter": "rotation.degrees",
        "from": "3",
        "to": "2",
    },
    "from and to are of a parameter; choose which": {"to": "2"},
    "finding: which there are is not known; start with --findings FILE": {"finding": "leak"},
}


@pytest.mark.parametrize("sentence", WRONG)
def test_a_filter_that_cannot_be_is_a_sentence(sentence, dataset):
    with pytest.raises(RequestError) as raised:
        asked(dataset, **WRONG[sentence])
    assert str(raised.value) == sentence


def test_findings_lead_to_the_samples_that_they_are_about(dataset, rows, tmp_path):
    manifest = read_manifest(str(dataset))
    shard = next(file for *_, copy, _, file in manifest.shards() if copy == 1)
    finding = {"message": "it is wrong", "file": None, "record": None, "source": None, "copy": None}
    path = tmp_path / "audit.json"
    findings = [
        {**finding, "kind": "leak", "source": "train/cat/3.png"},
        {**finding, "kind": "pixels", "source": "train/dog/15.png", "file": shard, "record": 2, "copy": 1},
        {**finding, "kind": "digest", "file": shard},
        {**finding, "kind": "manifest", "file": "manifest.json"},
    ]
    path.write_text(json.dumps({"fingerprint": manifest.fingerprint, "findings": findings, "clean": False}))
    of_copy = {(row["source"], 1) for row in rows if row["copy"] == 1}
    leaked = {("train/cat/3.png", copy) for copy in (-1, 0, 1, 2)}
    record = {(row["source"], 1) for row in rows if row["copy"] == 1 and row["record"] == 2}
    assert keys(asked(dataset, path, finding="leak")) == leaked
    assert keys(asked(dataset, path, finding="pixels")) == record
    assert keys(asked(dataset, path, finding="digest")) == of_copy
    assert keys(asked(dataset, path, finding="manifest")) == set()
    assert keys(asked(dataset, path, finding="any")) == of_copy | leaked


def test_rows_that_were_forged_are_shown_as_text(dataset, tmp_path):
    forged = tmp_path / "out"
    shutil.copytree(dataset, forged)
    [file] = (forged / "samples").glob("train_c1-*")
    table = pq.read_table(file)
    odd = {
        "class": "<script>alert(1)</script>",
        "record": -5,
        "rotation.degrees": float("nan"),
        "trivial_augment.op_1": 99,
        "trivial_augment.magnitude_1": float("inf"),
    }
    for name, value in odd.items():
        column = pa.array([value] * len(table), table.schema.field(name).type)
        table = table.set_column(table.column_names.index(name), table.schema.field(name), column)
    pq.write_table(table, file)
    site = Site(str(forged), read_manifest(str(forged)))
    fine, page = site.listing({"copy": "1"})
    assert fine
    assert page.count("drawn as no op draws") == 20
    source = table["source"][0].as_py()
    sample = site.sample({"source": source, "copy": "1"})
    assert "<td>99</td>" in sample
    assert "<script>alert" not in page + sample
    assert site.picture({"split": "train", "copy": "1", "shard": "0", "record": "-5"}) is None


def test_a_samples_file_that_cannot_be_read_is_named_and_the_others_are_shown(dataset, tmp_path):
    damaged = tmp_path / "out"
    shutil.copytree(dataset, damaged)
    broken = next(iter(sorted((damaged / "samples").glob("train_c1-*"))))
    broken.write_bytes(b"no Parquet")
    manifest = read_manifest(str(damaged))
    choices = Choices(manifest, None)
    samples = Samples(str(damaged), manifest, choices)
    assert samples.page(choices.filter({"class": "cat"}), 1).total == 36
    assert samples.unread == [f"samples/{broken.name}"]
