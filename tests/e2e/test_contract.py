"""Whole runs held to the contract: shards equal live training, and directories equal each other."""

from __future__ import annotations

import hashlib
import json
import shutil
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import tensorflow_datasets as tfds
from blake3 import blake3

from augment import augment_image, load_recipe
from pipelines import datasets
from pipelines.materialize import group, processes


@pytest.mark.parametrize("storage", ["png", "jpeg", "raw"])
def test_c3_live_training_and_shards_are_equal_in_every_copy(
    images, materialize, recipe_file, samples_of, storage
):
    output = materialize(images, "--copies", 2, "--shards", 3, storage=storage)
    recipe = load_recipe(recipe_file(storage))
    every_image = set()
    for split, copy in (("train", 0), ("train", 1), ("test", -1)):
        stored = samples_of(datasets.from_shards(str(output), split=split, copies=[copy]))
        live = samples_of(datasets.from_images(str(images), recipe, seed=0, split=split, copy=copy))
        assert stored == live
        assert len(stored) == {"train": 20, "test": 6}[split]
        form: dict[str, Any] = {"split": split, "as_supervised": True, "batch_size": 8}
        shards = datasets.from_shards(str(output), copies=[copy], **form)
        images_as_well = datasets.from_images(str(images), recipe, seed=0, copy=copy, **form)
        assert len(shards) == len(images_as_well) == -(-len(stored) // 8)
        for one, other in zip(shards, images_as_well, strict=True):
            for part, same in zip(one, other, strict=True):
                np.testing.assert_array_equal(part, same)
        every_image |= {image for *_, image in stored}
    assert len(every_image) == 46

    builder = tfds.builder_from_directory(str(output))
    in_order = tfds.ReadConfig(interleave_cycle_length=1)
    for split, copy in (("train_c1", 1), ("test", -1)):
        read = samples_of(builder.as_dataset(split=split, read_config=in_order, shuffle_files=False))
        assert len(read) == builder.info.splits[split].num_examples
        for source, label, stored_copy, image in read:
            contents = (images / source).read_bytes()
            expected = augment_image(contents, recipe, seed=0, source=source, copy=copy)
            assert image == expected.tobytes()
            assert stored_copy == copy
            assert builder.info.features["label"].names[label] == source.split("/")[1]
    both = samples_of(builder.as_dataset(split="train_c0+train_c1"))
    assert sorted(copy for _, _, copy, _ in both) == [0] * 20 + [1] * 20


def test_the_samples_table_says_where_every_sample_lies_and_what_it_is(
    images, materialize, recipe_file, samples_of
):
    output = materialize(images, "--copies", 2, "--shards", 3)
    recipe = load_recipe(recipe_file("png"))
    table = pq.read_table(output / "samples").to_pylist()
    assert len(table) == 46
    stored = {
        (source, copy): image
        for split in ("train", "test")
        for source, _, copy, image in samples_of(datasets.from_shards(str(output), split=split))
    }
    for row in table:
        contents = (images / row["source"]).read_bytes()
        pixels = augment_image(contents, recipe, seed=0, source=row["source"], copy=row["copy"])
        assert row["source_sha256"] == hashlib.sha256(contents).hexdigest()
        assert row["pixels_blake3"] == blake3(pixels.tobytes()).hexdigest()
        assert stored[row["source"], row["copy"]] == pixels.tobytes()
        assert row["source"].split("/")[:2] == [row["split"], row["class"]]
        assert (row["flip.horizontal"] is None) == (row["copy"] == -1)


def test_c7_the_manifest_names_every_file_with_its_size_and_digest(images, materialize, tree):
    output = materialize(images, "--copies", 2, "--shards", 3)
    manifest = json.loads((output / "manifest.json").read_text())
    files = tree(output)
    assert manifest["files"].keys() == files.keys() - {"manifest.json", "dataset_info.json"}
    for name, said in manifest["files"].items():
        assert said["bytes"] == len(files[name])
        assert said["sha256"] == hashlib.sha256(files[name]).hexdigest()
    assert manifest["records"] == 46
    assert str(output.parent).encode() not in b"".join(files.values())
    assert not (output / ".unfinished").exists()


def test_c5_other_shards_hold_the_same_samples_in_the_same_order(images, materialize, samples_of):
    few = materialize(images, "--copies", 2, "--shards", 3)
    many = materialize(images, "--copies", 2, "--shards", 7)
    for split in ("train", "test"):
        assert samples_of(datasets.from_shards(str(few), split=split)) == samples_of(
            datasets.from_shards(str(many), split=split)
        )


def test_c5_other_images_leave_a_sample_as_it_is(images, materialize, samples_of, tmp_path):
    fewer = tmp_path / "fewer"
    shutil.copytree(images, fewer)
    for gone in sorted(fewer.glob("train/*/*"))[::3]:
        gone.unlink()
    output = materialize(images, "--copies", 2, "--shards", 3)
    whole = samples_of(datasets.from_shards(str(output), copies=[0]))
    part = samples_of(datasets.from_shards(str(materialize(fewer))))
    assert 0 < len(part) < len(whole)
    remaining = {source for source, *_ in part}
    assert part == [sample for sample in whole if sample[0] in remaining]


def test_c7_copies_added_later_make_the_same_dataset_and_leave_old_shards_alone(
    images, materialize, tree, tmp_path
):
    grown = tmp_path / "grown"
    shutil.copytree(materialize(images, "--copies", 2, "--shards", 3), grown)
    before = {path: path.stat().st_mtime_ns for path in grown.rglob("*_c[01]-*")}
    before |= {path: path.stat().st_mtime_ns for path in grown.rglob("*_c[01].tfrecord-*")}
    assert len(before) == 12
    materialize(images, "--copies", 10, "--shards", 3, into=grown)  # more than are written in one pass
    assert {path: path.stat().st_mtime_ns for path in before} == before
    fresh = materialize(images, "--copies", 10, "--shards", 3)
    assert tree(grown) == tree(fresh)


def test_a_finished_request_that_is_repeated_changes_nothing(images, materialize, run_command, recipe_file):
    request = ("--copies", 2, "--shards", 3)
    output = materialize(images, *request)
    before = {path: path.stat().st_mtime_ns for path in output.rglob("*")}
    again = run_command(
        "materialize", "--input", images, "--output", output, "--recipe", recipe_file("png"), *request
    )
    assert again.status == 0
    assert "nothing was left to do" in again.out
    assert {path: path.stat().st_mtime_ns for path in output.rglob("*")} == before


def test_c7_a_file_lost_from_a_finished_dataset_is_written_again(images, materialize, tree, tmp_path):
    whole = materialize(images, "--copies", 2, "--shards", 3)
    damaged = tmp_path / "damaged"
    shutil.copytree(whole, damaged)
    sorted(damaged.glob("*.tfrecord-*"))[0].unlink()
    (damaged / "label.labels.txt").write_text("cut")
    materialize(images, "--copies", 2, "--shards", 3, into=damaged)
    assert tree(damaged) == tree(whole)


def test_splits_by_hash_hold_every_image_once(many_images, materialize, samples_of):
    output = materialize(many_images, "--split-fractions", "train=0.7,validation=0.2,test=0.1")
    found = {
        split: {source for source, *_ in samples_of(datasets.from_shards(str(output), split=split))}
        for split in ("train", "validation", "test")
    }
    assert sum(map(len, found.values())) == 320
    assert len(set.union(*found.values())) == 320
    assert np.argsort([len(found[split]) for split in ("test", "validation", "train")]).tolist() == [0, 1, 2]
    live = datasets.from_images(
        str(many_images),
        load_recipe("cifar10"),
        seed=0,
        split="validation",
        copy=-1,
        split_fractions={"train": "0.7", "validation": "0.2", "test": "0.1"},
    )
    assert {source for source, *_ in samples_of(live)} == found["validation"]


def test_c4_a_process_for_each_core_leaves_the_bytes_as_they_are(
    many_images, materialize, tree, tmp_path, monkeypatch
):
    request = ("--copies", 3, "--shards", 2, "--include-originals")
    monkeypatch.setattr(processes, "WORTH_IT", 1e9)
    here = materialize(many_images, *request, into=tmp_path / "here")
    monkeypatch.setattr(processes, "WORTH_IT", 0)
    monkeypatch.setattr(group, "CORES", 3)
    begin, await_ready = processes._Process.__init__, processes._Process.await_ready

    def begin_and_wait(self: processes._Process, made_of: tuple[object, ...]) -> None:
        begin(self, made_of)
        await_ready(self)

    monkeypatch.setattr(processes._Process, "__init__", begin_and_wait)  # so few are else done before
    monkeypatch.setattr(processes._Process, "await_ready", lambda _: None)
    there = materialize(many_images, *request, into=tmp_path / "there")
    assert tree(there) == tree(here)
    assert json.loads((here / "run.json").read_text())["processes"] == 1
    assert json.loads((there / "run.json").read_text())["processes"] == 3


@pytest.mark.slow
def test_c4_processes_hash_seeds_locales_and_threads_leave_the_bytes_as_they_are(
    images, materialize, start_command, recipe_file, tree, tmp_path
):
    here = materialize(images, "--copies", 2, "--shards", 3)
    request = ("materialize", "--input", images, "--recipe", recipe_file("png"), "--copies", 2, "--shards", 3)
    elsewhere = {
        "processes": start_command(
            *request,
            *("--output", tmp_path / "processes"),
            *("--direct_running_mode", "multi_processing", "--direct_num_workers", 2),
            PYTHONHASHSEED="1",
        ),
        "one_core": start_command(
            *request,
            *("--output", tmp_path / "one_core"),
            before=("taskset", "-c", "0"),
            PYTHONHASHSEED="2",
            LC_ALL="C",
            TZ="Asia/Tokyo",
            OMP_NUM_THREADS="1",
            TF_NUM_INTRAOP_THREADS="1",
            TF_NUM_INTEROP_THREADS="1",
        ),
    }
    for name, process in elsewhere.items():
        _, err = process.communicate(timeout=150)
        assert process.returncode == 0, err
        assert tree(tmp_path / name) == tree(here)
