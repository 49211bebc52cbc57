"""Gray images: one channel from the source to every reader, through every program."""

from __future__ import annotations

import io
import json
import shutil

import keras
import numpy as np
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds
from blake3 import blake3
from PIL import Image, ImageDraw
from tensorflow.python.framework import config

from augment import augment_image, load_recipe
from augment.augmenter import NOT_AUGMENTED
from augment.errors import RequestError
from augment.keys import source_words
from augment.layer import AugmentLayer, BringToSize, export_inference
from augment.ops import Resize
from augment.recipe import Recipe
from augment.tfdata import augment_dataset
from pipelines import datasets
from pipelines.format.manifest import read_manifest
from pipelines.parity import examples, report
from tests.forgery import Forger
from tests.in_process import augshard

SHAPE = (20, 22, 1)
RECIPE = """
channels: 1
storage: {{format: {storage}, quality: 90}}
ops:
  - resize: {{height: 20, width: 22}}
  - rotation: {{factor: 0.05}}
  - brightness: {{delta: 0.2, p: 0.7}}
  - color_jitter: {{contrast: 0.3, hue: 0.2}}
"""


def a_picture_of(character: str, number: int) -> Image.Image:
    """A character in white on black, 28x28, somewhat off its place and like no other."""
    image = Image.new("L", (28, 28), number)
    ImageDraw.Draw(image).text((8 + number % 4, 2 + number % 5), character, fill=200 + number, font_size=20)
    return image


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """DIR/train and DIR/test with two classes of gray PNGs; of each, one file is of color."""
    root = tmp_path_factory.mktemp("digits")
    for split, numbers in (("train", range(8)), ("test", range(20, 23))):
        for character in "37":
            folder = root / split / character
            folder.mkdir(parents=True)
            for number in numbers:
                a_picture_of(character, number).save(folder / f"{number}.png")
            tinted = Image.merge("RGB", [a_picture_of(character, number + 9) for number in numbers[:3]])
            tinted.save(folder / "tinted.jpg")
    return root


@pytest.fixture(scope="module")
def gray(digits, tmp_path_factory):
    """A recipe and the dataset that it makes, by storage."""
    made = {}

    def materialized(storage="png"):
        if storage not in made:
            folder = tmp_path_factory.mktemp(storage)
            recipe, output = folder / "gray.yaml", folder / "out"
            recipe.write_text(RECIPE.format(storage=storage))
            request = ("--input", digits, "--output", output, "--recipe", recipe, "--copies", 2)
            ended = augshard("materialize", *request, "--include-originals")
            assert ended.status == 0, ended.err
            made[storage] = recipe, output
        return made[storage]

    return materialized


@pytest.mark.parametrize("storage", ["png", "jpeg", "raw"])
def test_c3_every_reader_has_the_one_channel_that_live_augmentation_yields(digits, gray, samples_of, storage):
    path, output = gray(storage)
    recipe = load_recipe(path)
    builder = tfds.builder_from_directory(str(output))
    assert builder.info.features["image"].shape == SHAPE
    in_order = tfds.ReadConfig(interleave_cycle_length=1)
    for split, copy, name in (("train", 1, "train_c1"), ("train", -1, "train"), ("test", -1, "test")):
        shards = datasets.from_shards(str(output), split=split, copies=[copy])
        live = datasets.from_images(str(digits), recipe, seed=0, split=split, copy=copy)
        assert shards.element_spec["image"] == live.element_spec["image"] == tf.TensorSpec(SHAPE, tf.uint8)
        stored = samples_of(shards)
        assert len(stored) == {"train": 18, "test": 8}[split]
        assert stored == samples_of(live)
        assert stored == samples_of(builder.as_dataset(split=name, read_config=in_order))
        for source, _, _, image in stored:
            sample = augment_image(digits / source, recipe, seed=0, source=source, copy=copy)
            assert sample.shape == SHAPE
            assert sample.tobytes() == image


@pytest.mark.parametrize("storage", ["png", "jpeg"])
def test_records_hold_gray_files(gray, storage):
    _, output = gray(storage)
    for shard in output.glob("*.tfrecord-*"):
        for record in tf.data.TFRecordDataset(str(shard)).as_numpy_iterator():
            image = tf.train.Example.FromString(record).features.feature["image"].bytes_list.value[0]
            assert Image.open(io.BytesIO(image)).mode == "L"


def test_a_source_of_color_becomes_its_luma(digits):
    recipe = Recipe("mine", [Resize(28, 28, method="nearest")], channels=1)
    source = "train/7/tinted.jpg"
    pixels = augment_image(digits / source, recipe, seed=0, source=source, copy=NOT_AUGMENTED)
    expected = np.asarray(Image.open(digits / source).convert("RGB").convert("L"))
    np.testing.assert_array_equal(pixels[..., 0], expected)


@pytest.mark.parametrize("storage", ["png", "jpeg"])
def test_an_audit_derives_every_gray_sample_again_and_its_page_shows_them(digits, gray, storage, tmp_path):
    _, output = gray(storage)
    written, found = tmp_path / "report.html", tmp_path / "audit.json"
    options = ("--samples", "all", "--report", written, "--json", found)
    ended = augshard("audit", output, "--input", digits, *options)
    assert ended.status == 0, ended.out + ended.err
    said = json.loads(found.read_text())
    assert said["findings"] == []
    page = written.read_text(encoding="utf-8")
    assert "20 × 22, gray" in page
    assert "gray, mean ± deviation" in page
    assert "red, mean" not in page


@pytest.mark.parametrize("storage", ["png", "jpeg"])
def test_one_gray_sample_is_replayed_op_after_op(digits, gray, storage, tmp_path):
    _, output = gray(storage)
    strip = tmp_path / "strip.png"
    for source in ("train/3/2.png", "train/3/tinted.jpg"):
        for copy in (-1, 1):
            ended = augshard(
                *("audit", output, "--input", digits, "--sample", source, "--copy", copy, "--strip", strip)
            )
            assert ended.status == 0, ended.out + ended.err
            assert "yes: the record has the same pixels" in ended.out
            assert Image.open(strip).width > 200


def test_a_manifest_that_says_another_number_of_channels_is_found_out(digits, gray, tmp_path):
    _, output = gray()
    shutil.copytree(output, tmp_path / "forged")
    forger = Forger(tmp_path / "forged")
    forger.put_manifest(lambda document: document["request"]["recipe"].pop("channels"))
    with pytest.raises(RequestError, match="is not the one of its fingerprint"):
        read_manifest(str(forger.out))


def test_the_layer_gives_gray_images_the_pixels_that_are_stored(digits, gray):
    path, output = gray()
    recipe = load_recipe(path)
    tables = sorted((output / "samples").glob("train_c*.parquet"))
    rows = [row for row in pq.read_table(tables).to_pylist() if row["source"].endswith(".png")]
    inputs = {
        "image": np.stack([np.asarray(Image.open(digits / row["source"]))[..., None] for row in rows]),
        "key": source_words(row["source"] for row in rows),
        "copy": np.array([row["copy"] for row in rows], np.int32),
    }
    layer = AugmentLayer(recipe, seed=0, dtype="uint8")
    pixels = tf.function(layer)(inputs, training=True).numpy()
    assert pixels.shape == (len(rows), *SHAPE)
    assert [blake3(p).hexdigest() for p in pixels] == [row["pixels_blake3"] for row in rows]
    again = AugmentLayer.from_config(layer.get_config())
    np.testing.assert_array_equal(again(inputs, training=True), pixels)
    plain = [augment_image(image, recipe, seed=0, source="", copy=-1) for image in inputs["image"][:3]]
    np.testing.assert_array_equal(BringToSize(recipe)(inputs["image"][:3]), plain)
    takes = {
        "image": keras.Input([28, 28, 1], dtype="uint8", name="image"),
        "key": keras.Input([2], dtype="uint32", name="key"),
        "copy": keras.Input([], dtype="int32", name="copy"),
    }
    model = keras.Model(takes, keras.layers.Rescaling(2.0)(AugmentLayer(recipe, seed=0)(takes)))
    assert model.output_shape == (None, *SHAPE)
    alone = export_inference(model)
    np.testing.assert_array_equal(alone(inputs["image"][:3]), 2.0 * np.stack(plain))
    with pytest.raises(
        RequestError, match=r"'image' is uint8 \[1, 28, 28, 3\]; it must be uint8 \[B, H, W, 1"
    ):
        layer({**inputs, "image": np.zeros([1, 28, 28, 3], np.uint8)}, training=True)


def test_decoded_images_must_have_the_channels_of_the_recipe(gray):
    recipe, color = load_recipe(gray()[0]), load_recipe("cifar10")
    pixels = np.zeros([28, 28, 3], np.uint8)
    for given, by, sentence in (
        (pixels, recipe, r"uint8 \[28, 28, 3\]; .* uint8 \[H, W, 1\], for recipe gray has channels: 1$"),
        (pixels[..., :1], color, r"uint8 \[28, 28, 1\]; .* uint8 \[H, W, 3\], for recipe cifar10 has chan"),
        (pixels[..., 0], recipe, r"uint8 \[28, 28\]; .* uint8 \[H, W, 1\]$"),
    ):
        with pytest.raises(RequestError, match=sentence):
            augment_image(given, by, seed=0, source="a", copy=0)
        elements = tf.data.Dataset.from_tensors({"image": given, "source": "a"})
        with pytest.raises(RequestError, match=sentence):
            augment_dataset(elements, by, seed=0, copy=0)


@pytest.mark.parametrize("each_op", [False, True])
def test_a_preview_draws_a_sheet_of_gray_pictures(digits, gray, tmp_path, each_op):
    output = tmp_path / "sheet.png"
    options = ("--copies", 3, *(["--each-op"] if each_op else []))
    ended = augshard("preview", "--input", digits, "--recipe", gray()[0], "--output", output, *options)
    assert ended.status == 0, ended.err
    pixels = np.asarray(Image.open(output).convert("RGB")).astype(int)
    assert np.ptp(pixels, axis=-1).max() == 0
    assert (pixels < 20).mean() > 0.1


def test_c10_parity_is_shown_for_gray_images_too(gray, monkeypatch):
    ways = ["formula", "eager", "graph", "tf.data", "layer"]
    monkeypatch.setattr(report, "available", lambda: ways)
    rows = examples.rows([str(gray()[0])], [])
    table = report.compare(rows, count=4, seed=0, launch=lambda *_: None)
    [cells] = table.values()
    assert {way: cell.levels for way, cell in cells.items()} == dict.fromkeys(ways, 0)


def test_models_are_trained_on_gray_images_alike_in_every_arm(digits, gray, tmp_path):
    path, output = gray()
    request = (
        *("train", "--input", digits, "--recipe", path, "--shards", output, "--epochs", 1),
        *("--arms", "shards,live,live-layer", "--batch-size", 9, "--output", tmp_path / "runs"),
    )
    refused = augshard(*request, "--model", "vgg16")
    assert refused.status == 2
    assert "--model vgg16: its base takes images of three channels" in refused.err
    ended = augshard(*request, "--model", "small_cnn")
    config.disable_op_determinism()  # which the command turned on for its process
    assert ended.status == 0, ended.err
    after = [json.loads(run.read_text())["epochs"] for run in (tmp_path / "runs").glob("*/seed-0/run.json")]
    assert len(after) == 3
    assert len({epoch["weights_sha256"] for [epoch] in after}) == 1


def test_lint_says_that_a_gray_recipe_takes_color_away_and_which_ops_do_nothing(gray, tmp_path):
    labels = tmp_path / "labels.txt"
    labels.write_text("red light\ngreen light\n")
    ended = augshard("lint", "--recipe", gray()[0], "--labels", labels)
    assert ended.status == 1
    assert "channels.gray: takes color away" in ended.out
    assert "color_jitter.recolor" not in ended.out
    assert "color_jitter: its hue does nothing to gray images (channels: 1)" in ended.out
    meant = tmp_path / "meant.yaml"
    meant.write_text("acknowledge: [channels.gray]\n" + gray()[0].read_text())
    assert augshard("lint", "--recipe", meant, "--labels", labels).status == 0
