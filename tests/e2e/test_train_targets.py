"""Training on masks and boxes: arms of equal samples have equal weights, as with labels."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from PIL import Image
from tensorflow.python.framework import config

from tests.in_process import Ended, augshard

RECIPE = """
ops:
  - resize: {height: 32, width: 30}
  - flip: {horizontal: 0.5}
  - translation: {height: 0.2, width: 0.2}
"""


@pytest.fixture(autouse=True)
def as_before():
    """The command turns determinism on for its process, which here is that of other tests too."""
    yield
    config.disable_op_determinism()


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> Path:
    """16 pictures to train on and 5 to test, a bright square in each, or none: with COCO and with masks.

    In masks it has id 7 within a margin of 255.
    """
    root = tmp_path_factory.mktemp("pictures")
    random = np.random.default_rng(5)
    for split, count in (("train", 16), ("test", 5)):
        images: list[dict[str, Any]] = []
        objects: list[dict[str, Any]] = []
        for number in range(count):
            name = f"{split}/{number:02}.png"
            pixels = random.integers(0, 120, (40, 48, 3), np.uint8)
            mask = np.zeros((40, 48), np.uint8)
            y, x = random.integers(2, 22, 2).tolist()
            images.append({"id": number, "file_name": name, "height": 40, "width": 48})
            if number % 5 < 4:
                pixels[y : y + 14, x : x + 14] += 130
                mask[y - 1 : y + 15, x - 1 : x + 15] = 255
                mask[y : y + 14, x : x + 14] = 7
                box = {"bbox": [x, y, 14, 14], "category_id": 3, "iscrowd": 0}
                objects.append({"id": number, "image_id": number, **box})
            for folder, array in (("images", pixels), ("masks", mask)):
                (root / folder / split).mkdir(parents=True, exist_ok=True)
                Image.fromarray(array).save(root / folder / name)
        document = {"images": images, "annotations": objects, "categories": [{"id": 3, "name": "square"}]}
        (root / "coco").mkdir(exist_ok=True)
        (root / f"coco/instances_{split}.json").write_text(json.dumps(document))
    (root / "moving.yaml").write_text(RECIPE)
    return root


def given(root: Path, beside: str) -> tuple[Any, ...]:
    return "--input", root / "images", "--annotations", root / beside, "--recipe", root / "moving.yaml"


def trained(root: Path, out: Path, beside: str, model: str, *more: Any) -> Ended:
    request = ("train", *given(root, beside), "--model", model, "--batch-size", 6, "--output", out)
    return augshard(*request, *more)


def read(out: Path) -> dict[str, Any]:
    """What run.json says, by arm."""
    return {path.parts[-3]: json.loads(path.read_text()) for path in sorted(out.glob("*/seed-0/run.json"))}


@pytest.mark.parametrize(
    ("beside", "model", "metric", "words"),
    [("masks", "unet", "mean_iou", "mean IoU"), ("coco", "center_grid", "ap50", "AP at 0.5")],
)
def test_shards_and_live_have_equal_weights_where_masks_or_boxes_are_learned(
    pictures, tmp_path, beside, model, metric, words
):
    shards, out = tmp_path / "shards", tmp_path / "runs"
    made = augshard("materialize", *given(pictures, beside), "--copies", 2, "--output", shards)
    assert made.status == 0, made.err
    ended = trained(pictures, out, beside, model, "--epochs", 2, "--shards", shards, "--arms", "shards,live")
    assert ended.status == 0, ended.err
    assert "shards-k2 live 0 2, all the same, bit by bit" in " ".join(ended.out.split())
    assert f"test {words}" in ended.out
    runs = read(out)
    ends = {arm: [row["weights_sha256"] for row in run["epochs"]] for arm, run in runs.items()}
    assert ends["shards-k2"] == ends["live"]
    assert runs["live"]["test"]["images"] == 5
    assert 0 <= runs["live"]["test"][metric] <= 1
    assert runs["live"]["classes"] == (["background", "7"] if beside == "masks" else ["square"])
    with open(out / "live/seed-0/test.csv", newline="") as file:
        assert [line["class"] for line in csv.DictReader(file)] == runs["live"]["classes"]
    report = json.loads((out / "report.json").read_text())
    assert report["arms"]["live"][metric]["test"]["middle"] == runs["live"]["test"][metric]
    page = (out / "report.html").read_text(encoding="utf-8")
    assert f"<h2>{words[0].upper()}{words[1:]}</h2>" in page
    assert "<span>ANNOTATIONS</span>" in page
    assert "accuracy" not in page.lower().replace("#accuracy", "").replace('"accuracy"', "")
    keras.saving.load_model(out / "live/seed-0/model.keras")
    if beside == "coco":  # live needs no shards, and is the same without them
        alone = trained(pictures, tmp_path / "alone", beside, model, "--epochs", 1, "--arms", "live")
        assert alone.status == 0, alone.err
        [row] = read(tmp_path / "alone")["live"]["epochs"]
        assert row["weights_sha256"] == ends["live"][0]


@pytest.mark.parametrize(
    ("beside", "model", "options", "sentence"),
    [
        (
            "masks",
            "small_cnn",
            (),
            "--model small_cnn: it learns labels, and the images have masks; take a model that learns those, "
            "such as unet",
        ),
        (
            "coco",
            "unet",
            (),
            "--model unet: it learns masks, and the images have boxes; take a model that learns those, such "
            "as center_grid",
        ),
        (
            "masks",
            "unet",
            ("--mix", "cutmix:1"),
            "--mix cutmix:1: it mixes images with their labels, and what is learned here is masks; leave "
            "it out",
        ),
        (
            "coco",
            "center_grid",
            ("--class-weights",),
            "--class-weights: they go by the label of an image, and what is learned here is boxes; leave "
            "it out",
        ),
        (
            "coco",
            "center_grid",
            ("--arms", "live-layer"),
            "arm live-layer: a layer augments images, and what is learned of them, boxes, would stay where "
            "it was; use arm live",
        ),
    ],
)
def test_what_does_not_go_with_masks_or_boxes_is_refused(
    pictures, tmp_path, beside, model, options, sentence
):
    ended = trained(pictures, tmp_path / "out", beside, model, "--epochs", 1, "--arms", "live", *options)
    assert (ended.status, ended.out) == (2, "")
    assert ended.err.splitlines()[-1] == f"augshard: {sentence}"
    assert not (tmp_path / "out").exists()
