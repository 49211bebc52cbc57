"""Copies by class, from the command to what is read, trained on and audited."""

from __future__ import annotations

import collections
import os
import shutil
import signal
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from augment.recipe import load_recipe
from pipelines import datasets
from pipelines.format.copies import in_copy
from pipelines.format.manifest import read_manifest
from pipelines.train.arms import Arm, open_feed
from tests.forgery import Forger

BALANCED = ("--balance", "max", "--shard-size", "20KB")
"""In two shards of a copy that all have, and in one of the others."""


@pytest.fixture(scope="module")
def skewed(tmp_path_factory) -> Path:
    """DIR/train with 24, 7 and 5 images of its classes, and DIR/test with 3 of each."""
    return skewed_images(tmp_path_factory.mktemp("skewed"), common=24, mid=7, rare=5)


def skewed_images(root: Path, **classes: int) -> Path:
    for number, (label, count) in enumerate(classes.items()):
        for split, images in (("train", count), ("test", 3)):
            (root / split / label).mkdir(parents=True)
            chance = np.random.default_rng([number, len(split)])
            for image in range(images):
                pixels = chance.integers(0, 256, (9, 8, 3), np.uint8)
                Image.fromarray(pixels).save(root / split / label / f"{image:04}.png")
    return root


def samples_of_class(output: Path, split: str = "train") -> dict[str, int]:
    rows = pq.read_table(output / "samples", columns=["split", "class", "copy"]).to_pylist()
    return dict(
        collections.Counter(row["class"] for row in rows if row["split"] == split and row["copy"] >= 0)
    )


def test_balanced_classes_have_equally_many_samples_to_the_image_everywhere(skewed, materialize, run_command):
    output = materialize(skewed, *BALANCED)
    assert samples_of_class(output) == {"common": 24, "mid": 24, "rare": 24}
    manifest = read_manifest(str(output))
    classes = manifest.splits["train"].classes
    assert {label: (one.each, one.more) for label, one in classes.items()} == {
        "common": (1, 0),
        "mid": (3, 3),
        "rare": (4, 4),
    }
    assert manifest.copies("train") == tuple(range(5))
    assert manifest.copies("test") == (-1,)
    assert [manifest.groups("train", copy) for copy in range(5)] == [2, 1, 1, 1, 1]
    builder = tfds.builder_from_directory(str(output))
    lengths = {split: info.num_examples for split, info in builder.info.splits.items()}
    assert lengths == {
        "train_c0": 36,
        "train_c1": 12,
        "train_c2": 12,
        "train_c3": 8,
        "train_c4": 4,
        "test": 9,
    }
    labels = collections.Counter(
        int(label)
        for _, label in tfds.as_numpy(
            builder.as_dataset(split="+".join(s for s in lengths if s != "test"), as_supervised=True)
        )
    )
    assert labels == {0: 24, 1: 24, 2: 24}
    audited = run_command("audit", output, "--input", skewed, "--samples", "all")
    assert audited.status == 0, audited.out
    assert "all 81 samples follow from their sources bit for bit" in audited.out


def test_the_command_says_the_copies_of_each_class(skewed, run_command, recipe_file, tmp_path):
    said = run_command(
        *("materialize", "--input", skewed, "--output", tmp_path / "out", "--recipe", recipe_file("png")),
        *("--copies", "2,rare=3,mid=0"),
    )
    assert "copies   rare 3, common 2, mid 0 of train\n" in said.out
    assert samples_of_class(tmp_path / "out") == {"common": 48, "rare": 15}


def test_c4_processes_and_an_extension_write_the_bytes_of_a_run_in_one_go(
    skewed, materialize, tree, tmp_path
):
    expected = tree(materialize(skewed, *BALANCED))
    processes = ("--direct_running_mode", "multi_processing", "--direct_num_workers", 2)
    assert tree(materialize(skewed, *BALANCED, *processes, into=tmp_path / "processes")) == expected

    extended = materialize(skewed, "--copies", 1, "--shard-size", "20KB", into=tmp_path / "extended")
    before = {path: path.stat().st_mtime_ns for path in extended.glob("*.tfrecord-*")}
    materialize(skewed, *BALANCED, into=extended)
    assert tree(extended) == expected
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_c4_c7_a_killed_run_of_balanced_classes_is_resumed_to_the_same_bytes(
    skewed, materialize, start_command, recipe_file, wait_for_receipts, tree, tmp_path
):
    output = tmp_path / "out"
    process = start_command(
        "materialize", "--input", skewed, "--output", output, "--recipe", recipe_file("png"), *BALANCED
    )
    wait_for_receipts(process, output, 4)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    materialize(skewed, *BALANCED, into=output)
    assert tree(output) == tree(materialize(skewed, *BALANCED))


def test_more_for_one_class_adds_files_and_what_would_change_others_is_refused(
    skewed, materialize, run_command, recipe_file, tree, tmp_path
):
    output = materialize(skewed, "--copies", "rare=2", into=tmp_path / "out")
    before = {name: content for name, content in tree(output).items() if "_c" in name}
    materialize(skewed, "--copies", "rare=5", into=output)
    after = tree(output)
    assert {name: after[name] for name in before} == before
    assert after == tree(materialize(skewed, "--copies", "rare=5"))
    refused = run_command(
        *("materialize", "--input", skewed, "--output", output, "--recipe", recipe_file("png")),
        *("--copies", "rare=5,mid=2"),
    )
    assert refused.status == 2
    assert "copy 1 is there of no image of class 'mid', and asked for of all images" in refused.err
    assert tree(output) == after


def test_fewer_than_a_class_has_are_chosen_by_the_hash_of_their_ids(skewed, materialize, run_command):
    output = materialize(skewed, "--balance", 6, "--include-originals")
    assert samples_of_class(output) == {"common": 6, "mid": 6, "rare": 6}
    rows = pq.read_table(output / "samples", columns=["split", "copy", "source"]).to_pylist()
    assert sum(row["split"] == "train" and row["copy"] == -1 for row in rows) == 36
    assert run_command("audit", output, "--input", skewed).status == 0


def test_the_audit_asks_for_no_record_of_an_image_that_is_to_have_none(
    skewed, materialize, run_command, tmp_path
):
    root = tmp_path / "in"
    shutil.copytree(skewed, root)
    output = materialize(root, "--balance", 6, into=tmp_path / "out")
    (root / "train/rare/new.png").write_bytes((root / "train/rare/0000.png").read_bytes() + b" ")
    found = run_command("audit", output, "--input", root)
    assert "train/common" not in found.out
    assert found.out.count("\nlisting  names, sizes or counts") + found.out.count("\nnew  ") == 1


def test_c3_epoch_k_yields_the_sources_that_have_a_copy_k_or_all_of_them(
    skewed, materialize, recipe_file, samples_of
):
    output, recipe = materialize(skewed, *BALANCED), load_recipe(recipe_file("png"))
    for copy in (0, 2, 3, 4):
        live = datasets.from_images(str(skewed), recipe, seed=0, copy=copy, balance="max")
        assert samples_of(live) == samples_of(datasets.from_shards(str(output), copies=[copy]))
    everything = samples_of(datasets.from_images(str(skewed), recipe, seed=0, copy=4))
    assert len(everything) == 36
    some = samples_of(datasets.from_images(str(skewed), recipe, seed=0, copy=1, class_copies={"rare": 2}))
    assert {source.split("/")[1] for source, *_ in some} == {"rare"}
    assert len(samples_of(datasets.from_shards(str(output)))) == 72


def test_a_live_class_that_there_is_not_is_refused(skewed, recipe_file):
    recipe = load_recipe(recipe_file("png"))
    with pytest.raises(Exception, match=r"class_copies: there is no class 'rar'; did you mean rare\?"):
        datasets.from_images(str(skewed), recipe, seed=0, class_copies={"rar": 2})


def batches_of(feed, epoch: int) -> list[tuple[np.ndarray, np.ndarray]]:
    batches = []
    for x, y in feed.epoch(epoch, batch=16, train_seed=3):
        pixels = feed.layer(x, training=True) if feed.layer else x
        batches.append((np.asarray(pixels).astype(np.uint8), y.numpy()))
    return batches


def test_an_epoch_of_every_arm_has_each_source_as_often_as_it_has_copies(skewed, materialize, recipe_file):
    output, recipe = materialize(skewed, *BALANCED), load_recipe(recipe_file("png"))
    feeds = {
        name: open_feed(Arm(name), input=str(skewed), recipe=recipe, shards=str(output))
        for name in ("none", "shards", "live", "live-layer")
    }
    assert [feed.copy(2) for feed in feeds.values()] == [-1, 0, 2, 2]
    first = {name: batches_of(feed, 0) for name, feed in feeds.items()}
    for batches in first.values():
        assert np.bincount(np.concatenate([y for _, y in batches])).tolist() == [24, 24, 24]
    for name in ("live", "live-layer"):
        for (pixels, labels), (stored, others) in zip(first[name], first["shards"], strict=True):
            np.testing.assert_array_equal(labels, others)
            np.testing.assert_array_equal(pixels, stored, err_msg=name)
    assert len({x.tobytes() for pixels, _ in first["none"] for x in pixels}) == 36
    of_two = [
        x.tobytes() for epoch in (0, 1) for pixels, _ in batches_of(feeds["live"], epoch) for x in pixels
    ]
    stored = [
        x.tobytes() for epoch in (0, 1) for pixels, _ in batches_of(feeds["shards"], epoch) for x in pixels
    ]
    assert len(set(of_two)) > 1.5 * len(set(stored))
    with pytest.raises(
        Exception, match="have copies by class, of which an epoch has all; leave --copies out"
    ):
        open_feed(Arm("shards", 2), input=str(skewed), recipe=recipe, shards=str(output))


def test_class_weights_make_classes_alike_and_are_one_where_copies_do(skewed, materialize, recipe_file):
    recipe = load_recipe(recipe_file("png"))
    plain = open_feed(Arm("live"), input=str(skewed), recipe=recipe).class_weights
    np.testing.assert_array_equal(plain, np.array([36 / 3 / 24, 36 / 3 / 7, 36 / 3 / 5], np.float32))
    shards = str(materialize(skewed, *BALANCED))
    balanced = open_feed(Arm("live"), input=str(skewed), recipe=recipe, shards=shards).class_weights
    assert balanced.tolist() == [1, 1, 1]


def test_the_audit_finds_a_source_in_a_copy_that_it_does_not_have(skewed, materialize, run_command, tmp_path):
    output = tmp_path / "out"
    shutil.copytree(materialize(skewed, *BALANCED), output)
    manifest = read_manifest(str(output))
    classes = manifest.splits["train"].classes
    ids = [f"train/rare/{number:04}.png" for number in range(5)]
    having = in_copy(classes, 4, ids, ["rare"] * 5)
    another = ids[int(np.flatnonzero(~having)[0])]
    name = next(
        n
        for n in sorted(os.listdir(output / "samples"))
        if n.startswith("train_c4-") and Forger(output).rows(f"samples/{n}")
    )
    Forger(output).change_row(f"samples/{name}", 0, source=another)
    audited = run_command("audit", output)
    assert audited.status == 1
    assert "by the manifest it has no copy 4: not all sources of class 'rare' have one" in audited.out


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda split: split["classes"]["rare"].update(each=5),
            "does not get the copies that the request gives",
        ),
        (
            lambda split: split["classes"]["rare"].pop("last"),
            "does not get the copies that the request gives",
        ),
        (
            lambda split: split["classes"]["mid"].update(sources=99, each=0, more=24),
            "add up to its 36 sources",
        ),
        (lambda split: split["tiers"].pop(), "the tiers of split train are not those of its classes"),
        (lambda split: split.pop("tiers"), "has classes without tiers, or the reverse"),
        (
            lambda split: split["tiers"][1].update(groups=3),
            "name, splits and copies in it do not make the 7 shards",
        ),
    ],
)
def test_a_manifest_whose_copies_do_not_follow_from_its_request_is_not_believed(
    skewed, materialize, run_command, tmp_path, change, said
):
    output = tmp_path / "out"
    shutil.copytree(materialize(skewed, *BALANCED), output)
    Forger(output).put_manifest(lambda document: change(document["splits"]["train"]))
    audited = run_command("audit", output)
    assert audited.status == 1
    assert said in audited.out


def test_a_sample_of_a_copy_that_a_source_has_not_cannot_be_replayed(
    skewed, materialize, run_command, tmp_path
):
    output = materialize(skewed, *BALANCED)
    given = ("audit", output, "--input", skewed, "--strip", tmp_path / "strip.png")
    wrong = run_command(*given, "--sample", "train/common/0001.png", "--copy", 1)
    assert wrong.status == 2
    assert wrong.err.endswith("--copy is 1; of train/common/0001.png there are these: 0\n")
    assert run_command(*given, "--sample", "train/rare/0001.png", "--copy", 3).status == 0


@pytest.mark.slow
def test_5000_of_one_class_and_37_of_another_are_balanced_to_the_image(
    tmp_path, materialize, run_command, tree
):
    root = skewed_images(tmp_path / "in", common=5000, rare=37)
    output = materialize(root, "--balance", "max", into=tmp_path / "out")
    assert samples_of_class(output) == {"common": 5000, "rare": 5000}
    extended = materialize(root, "--copies", 1, into=tmp_path / "extended")
    assert tree(materialize(root, "--balance", "max", into=extended)) == tree(output)
    assert run_command("audit", output, "--input", root).status == 0
