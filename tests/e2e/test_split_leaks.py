"""Splits that tear neither groups nor duplicates, and what the audit finds where they were torn."""

from __future__ import annotations

import collections
import re
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from augment.errors import RequestError
from augment.recipe import load_recipe
from pipelines import datasets
from pipelines.images import list_images
from pipelines.train.arms import Arm, open_feed
from tests.forgery import Forger

FRACTIONS = ("--split-fractions", "train=0.6,test=0.4")
MADE = {"train": "0.6", "test": "0.4"}
VIDEO = r"video(\d+)"
AGAIN = "truck/video99_0.jpg"
"""The first frame of video 00, of the other class, in another size and quality."""


@pytest.fixture(scope="module")
def videos(tmp_path_factory) -> Path:
    """DIR/<class>: 12 videos of 4 frames, and one photo of a frame."""
    root = tmp_path_factory.mktemp("videos")
    for number in range(12):
        folder = root / ("truck" if number % 2 else "car")
        folder.mkdir(exist_ok=True)
        blots = np.random.default_rng(number).integers(0, 256, (8, 12, 3), np.uint8)
        scene = np.asarray(Image.fromarray(blots).resize((90, 60), Image.Resampling.BICUBIC))
        for frame in range(4):
            Image.fromarray(scene[:, 10 * frame : 10 * frame + 60]).save(
                folder / f"video{number:02}_{frame}.jpg"
            )
    first = Image.open(root / "car/video00_0.jpg")
    first.resize((45, 45), Image.Resampling.LANCZOS).save(root / AGAIN, quality=60)
    return root


def splits_of(output: Path) -> dict[str, str]:
    rows = pq.read_table(output / "samples", columns=["source", "split"]).to_pylist()
    return {row["source"]: row["split"] for row in rows}


def torn(splits: dict[str, str]) -> set[str]:
    """Videos that are in two splits."""
    found = collections.defaultdict(set)
    for source, split in splits.items():
        found[re.search(VIDEO, source)[1]].add(split)
    return {video for video, there in found.items() if len(there) > 1}


def leaks(out: str) -> list[str]:
    return re.findall(r"^leak +(.*)$", out, re.MULTILINE)


def test_a_group_is_in_one_split_and_what_tore_them_is_found_by_name(videos, materialize, run_command):
    without, kept = materialize(videos, *FRACTIONS), materialize(videos, *FRACTIONS, "--group-by", VIDEO)
    assert len(torn(splits_of(without))) > 5
    assert not torn(splits_of(kept))
    assert set(splits_of(kept).values()) == {"train", "test"}
    found = run_command("audit", without, "--group-by", VIDEO)
    assert found.status == 1
    assert len(leaks(found.out)) == len(torn(splits_of(without)))
    assert re.match(
        r"car/video\S+: its group '\d\d' is in split test and, with car/video\S+, in split train; ",
        min(leaks(found.out)),
    )
    assert run_command("audit", without).status == 0
    assert run_command("audit", kept, "--input", videos).status == 0
    moved = run_command("audit", kept, "--group-by", r"_(\d)\.")
    assert len(leaks(moved.out)) == 4


def test_the_request_of_a_dataset_says_the_groups_that_the_audit_holds_it_to(
    videos, materialize, run_command, tmp_path
):
    output = tmp_path / "out"
    shutil.copytree(materialize(videos, *FRACTIONS), output)
    Forger(output).put_manifest(lambda document: document["request"].update(group_by=VIDEO))
    found = run_command("audit", output)
    assert "the request in it (recipe, seed, ...) is not the one of its fingerprint" in found.out
    assert len(leaks(found.out)) > 5
    assert "by the fractions it is in split" in found.out


@pytest.mark.parametrize("group_by", [(), ("--group-by", VIDEO)])
def test_equal_and_nearly_equal_pictures_are_in_one_split(videos, materialize, run_command, group_by):
    output = materialize(videos, *FRACTIONS, "--duplicates", "same-split", *group_by)
    splits = splits_of(output)
    assert set(splits.values()) == {"train", "test"}
    assert splits["car/video00_0.jpg"] == splits[AGAIN]
    assert not (group_by and torn({s: split for s, split in splits.items() if s != AGAIN}))
    audited = run_command("audit", output, "--input", videos)
    assert audited.status == 0, audited.out


@pytest.fixture
def leaking(videos, tmp_path) -> Path:
    """Split folders, with a photo of the one in the other, and one file in both."""
    root = tmp_path / "leaking"
    for split in ("train", "test"):
        for label in ("car", "truck"):
            (root / split / label).mkdir(parents=True)
    for number in range(12):
        label = "truck" if number % 2 else "car"
        name = f"{label}/video{number:02}_0.jpg"
        shutil.copy(videos / name, root / ("train" if number < 8 else "test") / name)
    shutil.copy(videos / AGAIN, root / "test" / AGAIN)
    shutil.copy(videos / "car/video02_0.jpg", root / "test/car/copied.jpg")
    return root


def test_the_audit_finds_the_same_photo_in_another_size_and_quality(
    leaking, materialize, run_command, tmp_path
):
    output = materialize(leaking, into=tmp_path / "out")
    exact = (
        "test/car/copied.jpg: the same image is in split test and, as train/car/video02_0.jpg, in split train"
    )
    near = f"test/{AGAIN}: nearly the same picture is in split test and, as train/car/video00_0.jpg, in split"
    assert leaks(run_command("audit", output, "--input", leaking).out) == [exact]
    found = run_command(
        "audit", output, "--input", leaking, "--duplicates", "--json", tmp_path / "found.json"
    )
    assert found.status == 1
    assert leaks(found.out) == [exact, f"{near} train"]
    assert "sources" in found.out
    alone = run_command("audit", output, "--duplicates")
    assert (alone.status, alone.err) == (
        2,
        "augshard: --duplicates: it is the sources that are compared; add --input DIR\n",
    )


def test_a_source_that_cannot_be_read_is_what_the_audit_says_it_is(
    leaking, materialize, run_command, tmp_path
):
    output = materialize(leaking, into=tmp_path / "out")
    (leaking / "test" / AGAIN).unlink()
    found = run_command("audit", output, "--input", leaking, "--duplicates")
    assert f"test/{AGAIN}: the source is not in the input any more" in found.out


@pytest.mark.parametrize(
    "options",
    [
        ("--group-by", VIDEO),
        ("--duplicates", "same-split"),
        ("--group-by", VIDEO, "--duplicates", "same-split"),
    ],
)
def test_c4_processes_and_live_training_make_the_same_splits(
    videos, materialize, tree, recipe_file, options, tmp_path
):
    output = materialize(videos, *FRACTIONS, *options)
    if len(options) > 2:
        processes = ("--direct_running_mode", "multi_processing", "--direct_num_workers", 2)
        other = materialize(videos, *FRACTIONS, *options, *processes, into=tmp_path / "out")
        assert tree(other) == tree(output)
    given = {"split_fractions": MADE}
    given |= {"group_by": VIDEO} if "--group-by" in options else {}
    given |= {"duplicates": "same-split"} if "--duplicates" in options else {}
    live = datasets.from_images(
        str(videos), load_recipe(recipe_file("png")), seed=0, split="test", copy=-1, **given
    )
    stored = datasets.from_shards(str(output), split="test")
    assert [s["source"] for s in live.as_numpy_iterator()] == [
        s["source"] for s in stored.as_numpy_iterator()
    ]
    listed = list_images(str(videos), **given).sources
    assert {source.id: source.split for source in listed} == splits_of(output)


@pytest.mark.parametrize("duplicates", [None, "same-split"])
def test_the_trainer_carves_whole_groups_for_validation(videos, recipe_file, duplicates):
    feed = open_feed(
        Arm("none"),
        input=str(videos),
        recipe=load_recipe(recipe_file("png")),
        group_by=VIDEO,
        duplicates=duplicates,
        validation_fraction="0.4",
    )
    splits = dict.fromkeys(feed._train.ids, "train") | dict.fromkeys(
        feed._evaluated["validation"].ids, "validation"
    )
    assert len(splits) == 49
    assert not torn(splits)
    if duplicates:
        assert splits["car/video00_0.jpg"] == splits[AGAIN]


def test_shards_whose_splits_were_made_otherwise_are_not_trained_on(videos, materialize, recipe_file):
    output = materialize(videos, *FRACTIONS, "--group-by", VIDEO)
    given = {"input": str(videos), "recipe": load_recipe(recipe_file("png")), "shards": str(output)}
    with pytest.raises(
        RequestError, match=r"their splits were made with --group-by .*, these are made without"
    ):
        open_feed(Arm("shards"), split_fractions=MADE, **given)
    assert open_feed(Arm("shards"), split_fractions=MADE, group_by=VIDEO, **given).train_samples > 0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            ("--group-by", r"car/video(\d+)"),
            "--group-by: 25 of 49 images do not say of which group they are, "
            "'truck/video01_0.jpg' first; change the expression",
        ),
        (("--group-by", "video(x)"), "--group-by: 49 of 49 images do not say of which group they are"),
        (("--group-by", "video"), "--group-by 'video': it has 0 groups"),
        (("--duplicates", "other"), "--duplicates is 'other'; it must be same-split"),
    ],
)
def test_a_wrong_request_is_refused_and_writes_nothing(
    videos, run_command, recipe_file, tmp_path, options, said
):
    output = tmp_path / "out"
    ended = run_command(
        "materialize",
        "--input",
        videos,
        "--output",
        output,
        "--recipe",
        recipe_file("png"),
        *FRACTIONS,
        *options,
    )
    assert ended.status == 2
    assert said in ended.err
    assert not list(output.rglob("*.tfrecord*"))


@pytest.mark.parametrize("options", [("--group-by", VIDEO), ("--duplicates", "same-split")])
def test_folders_that_are_splits_cannot_be_made_anew(videos, run_command, recipe_file, tmp_path, options):
    ended = run_command(
        "materialize",
        "--input",
        videos,
        "--output",
        tmp_path / "out",
        "--recipe",
        recipe_file("png"),
        *options,
    )
    assert ended.status == 2
    assert "it says what splits that are made must not tear, and none are made; the folders" in ended.err


def test_a_live_list_says_what_is_wrong_with_an_expression(videos, recipe_file):
    recipe = load_recipe(recipe_file("png"))
    with pytest.raises(RequestError, match="it has 0 groups"):
        datasets.from_images(str(videos), recipe, seed=0, split_fractions=MADE, group_by="video")
    with pytest.raises(RequestError, match="25 of 49 images do not say"):
        list_images(str(videos), split_fractions=MADE, group_by=r"car/video(\d+)")
