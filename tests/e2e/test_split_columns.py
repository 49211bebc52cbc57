"""Splits whose groups a column of a table tells: in the job, in memory, resumed, and audited."""

from __future__ import annotations

import collections
import csv
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from PIL import Image

from augment.errors import RequestError
from pipelines.annotations import annotations_of
from pipelines.format.manifest import read_manifest
from pipelines.images import list_images
from tests.forgery import Forger
from tests.in_process import Ended, augshard
from tests.pipelines.annotated import assert_beam_finds_the_same

MADE = {"train": "0.6", "test": "0.4"}
GROUPS = ("--group-by", "column:patient")


@pytest.fixture(scope="module")
def scans(tmp_path_factory) -> Path:
    """A table of 36 scans of 12 patients, whose names are in no path."""
    root = tmp_path_factory.mktemp("scans")
    write_table(root, [(f"{number}.png", f"p{number % 12}") for number in range(36)])
    for number in range(36):
        Image.new("RGB", (9, 8), (7 * number, 255 - number, number)).save(root / f"{number}.png")
    return root


def write_table(root: Path, rows: list[tuple[str, str]]) -> None:
    with open(root / "metadata.csv", "w", newline="") as file:
        csv.writer(file).writerows([("file_name", "patient"), *rows])


def materialize(root: Path, out: Path, recipe: Path, *options: object) -> Ended:
    fractions = ("--split-fractions", ",".join(f"{split}={part}" for split, part in MADE.items()))
    places = ("--input", root, "--annotations", root / "metadata.csv", "--output", out)
    return augshard("materialize", *places, "--recipe", recipe, *fractions, *options)


def audit(out: Path, root: Path, *options: object) -> Ended:
    return augshard(
        "audit", out, "--input", root, "--annotations", root / "metadata.csv", "--backend", "host", *options
    )


@pytest.fixture(scope="module")
def grouped(scans, recipe_file, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("grouped") / "out"
    ended = materialize(scans, out, recipe_file("png"), *GROUPS)
    assert ended.status == 0, ended.err
    return out


def splits_of(out: Path) -> dict[str, set[str]]:
    """By patient."""
    found = collections.defaultdict(set)
    for row in pq.read_table(out / "samples", columns=["table/patient", "split"]).to_pylist():
        found[row["table/patient"]].add(row["split"])
    return found


def test_a_patient_is_in_one_split_in_the_job_and_in_memory(scans, grouped):
    splits = splits_of(grouped)
    assert {len(found) for found in splits.values()} == {1}
    assert set.union(*splits.values()) == {"train", "test"}
    assert audit(grouped, scans).status == 0
    assert_beam_finds_the_same(scans, "metadata.csv", fractions=MADE, group_by=GROUPS[1])
    given = {"split_fractions": MADE, "annotations": annotations_of(str(scans / "metadata.csv"))}
    for duplicates in (None, "same-split"):  # no two of these look alike, or have enough structure to
        listed = list_images(str(scans), group_by=GROUPS[1], duplicates=duplicates, **given)
        assert all(splits[listed.groups[one.id]] == {one.split} for one in listed.sources)


def test_a_resume_with_other_groups_is_refused(scans, grouped, recipe_file):
    assert read_manifest(str(grouped)).request.group_by == "column:patient"
    ended = materialize(scans, grouped, recipe_file("png"), "--group-by", r"(\d+)")
    assert ended.status == 2
    assert r'group_by was "column:patient", now "(\\d+)"' in ended.err


def test_the_audit_finds_the_patients_that_splits_tear(scans, grouped, recipe_file, tmp_path):
    torn = tmp_path / "torn"
    assert materialize(scans, torn, recipe_file("png")).status == 0
    expected = sorted(patient for patient, splits in splits_of(torn).items() if len(splits) > 1)
    found = audit(torn, scans, *GROUPS)
    assert found.status == 1
    assert sorted(line.split("group '")[1].split("'")[0] for line in leaks(found)) == expected != []
    named = audit(torn, scans, "--group-by", "column:patent")
    assert (named.status, named.err) == (
        2,
        "augshard: --group-by column:patent: the samples table has no such column; did you mean patient?\n",
    )
    Forger(torn).put_manifest(lambda document: document["request"].update(group_by="column:patient"))
    forged = audit(torn, scans)
    assert len(leaks(forged)) == len(expected)
    assert "by the fractions it is in split" in forged.out
    gone = tmp_path / "gone"
    shutil.copytree(grouped, gone)
    Forger(gone).put_manifest(lambda document: document["request"].update(group_by="column:age"))
    assert "--group-by column:age: the samples table has no such column" in audit(gone, scans).out


def leaks(ended: Ended) -> list[str]:
    return [line for line in ended.out.splitlines() if line.startswith("leak")]


@pytest.mark.parametrize(
    ("rows", "group_by", "said"),
    [
        (
            [("1.png", "a"), ("2.png", ""), ("3.png", "")],
            "column:patient",
            "--group-by column:patient: 2 of 3 images have nothing in that column, '2.png' first; give "
            "each a value, an image that belongs to no other one of its own",
        ),
        (
            [("1.png", "a")],
            "column:patent",
            "--group-by column:patent: there is no column 'patent'; did you mean patient?",
        ),
        ([("1.png", "a")], "column:", "--group-by column:: name a column behind it, such as column:patient"),
    ],
)
def test_who_has_no_group_is_named_and_nothing_is_written(scans, recipe_file, tmp_path, rows, group_by, said):
    root = tmp_path / "in"
    root.mkdir()
    for name, _ in rows:
        shutil.copy(scans / name, root)
    write_table(root, rows)
    ended = materialize(root, tmp_path / "out", recipe_file("png"), "--group-by", group_by)
    assert (ended.status, ended.err.count("\n")) == (2, 1)
    assert said in ended.err


def test_a_column_takes_a_table(scans):
    with pytest.raises(RequestError, match="it names a column, and no table lies beside"):
        list_images(str(scans), split_fractions=MADE, group_by="column:patient")
