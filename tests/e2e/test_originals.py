"""`--include-originals`: the images that get copies, stored as they are beside them."""

from __future__ import annotations

import json
import shutil

import pyarrow.parquet as pq
import pytest
import tensorflow_datasets as tfds

from augment import load_recipe
from pipelines import datasets

ORIGINALS = "--include-originals"


@pytest.mark.parametrize("storage", ["png", "jpeg"])
def test_originals_are_one_more_split_of_images_brought_to_size(
    images, materialize, recipe_file, samples_of, storage
):
    output = materialize(images, "--copies", 2, "--shards", 3, ORIGINALS, storage=storage)
    stored = samples_of(datasets.from_shards(str(output), copies=[-1]))
    recipe = load_recipe(recipe_file(storage))
    assert stored == samples_of(datasets.from_images(str(images), recipe, seed=0, copy=-1))
    assert len(stored) == 20

    builder = tfds.builder_from_directory(str(output))
    assert {split: info.num_examples for split, info in builder.info.splits.items()} == {
        "train": 20,
        "train_c0": 20,
        "train_c1": 20,
        "test": 6,
    }
    in_order = tfds.ReadConfig(interleave_cycle_length=1)
    assert samples_of(builder.as_dataset(split="train", read_config=in_order)) == stored


def test_originals_are_on_record_and_counted(images, materialize):
    output = materialize(images, "--copies", 2, "--shards", 3, ORIGINALS)
    manifest = json.loads((output / "manifest.json").read_text())
    assert manifest["request"]["originals"] is True
    assert manifest["records"] == 66
    assert manifest["splits"]["train"] == {"augmented": True, "groups": 3, "sources": 20, "written": 20}
    rows = pq.read_table(output / "samples", filters=[("split", "=", "train"), ("copy", "=", -1)]).to_pylist()
    assert len(rows) == 20
    assert {row[name] for row in rows for name in row if "." in name} == {None}


def test_originals_are_read_only_where_they_are_asked_for(images, materialize, samples_of):
    output = materialize(images, "--copies", 2, "--shards", 3, ORIGINALS)
    without = materialize(images, "--copies", 2, "--shards", 3)
    assert samples_of(datasets.from_shards(str(output))) == samples_of(datasets.from_shards(str(without)))


def test_c7_originals_added_later_only_add_files_and_make_the_same_dataset(
    images, materialize, tree, tmp_path
):
    grown = tmp_path / "grown"
    shutil.copytree(materialize(images, "--copies", 2, "--shards", 3), grown)
    before = {path: path.stat().st_mtime_ns for path in grown.rglob("*-of-*")}
    assert len(before) == 18
    materialize(images, "--copies", 2, "--shards", 3, ORIGINALS, into=grown)
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert tree(grown) == tree(materialize(images, "--copies", 2, "--shards", 3, ORIGINALS))

    materialize(images, "--copies", 9, "--shards", 3, ORIGINALS, into=grown)  # copies, after originals
    fresh = tmp_path / "fresh"
    materialize(images, "--copies", 9, "--shards", 3, ORIGINALS, into=fresh)  # in more than one pass
    assert tree(grown) == tree(fresh)


def test_a_dataset_with_originals_is_not_taken_for_one_without(images, materialize, run_command, recipe_file):
    output = materialize(images, "--copies", 2, "--shards", 3, ORIGINALS)
    request = ("--input", images, "--output", output, "--recipe", recipe_file("png"), "--shards", 3)
    ended = run_command("materialize", *request, "--copies", 2)
    assert ended.status == 2
    assert "it holds the originals; say --include-originals too" in ended.err
    again = run_command("materialize", *request, "--copies", 2, ORIGINALS)
    assert again.status == 0
    assert "2 and the originals of train" in again.out
    assert "nothing was left to do" in again.out
