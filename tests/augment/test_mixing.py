"""Mixing: the papers' formulas, partners by the key, and the same bits in NumPy, graphs, XLA and a layer."""

from __future__ import annotations

import hashlib
import math
import re
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, strategies

import augment
from augment.draws import quantiles
from augment.errors import RequestError
from augment.keys import source_words
from augment.layer import MixLayer
from augment.mixing import ONE, Mixer, mix_batch, parse_mixing
from augment.mixing.kinds import beta_parts

COUNT, HEIGHT, WIDTH, CLASSES = 13, 20, 27, 4
EACH = ("mixup:0.4", "cutmix:1.0", "mosaic")


@pytest.fixture(scope="module")
def batch() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {
        "image": rng.integers(0, 256, [COUNT, HEIGHT, WIDTH, 3]).astype(np.uint8),
        "label": np.arange(COUNT) % CLASSES,
        "key": source_words(f"train/{number}.png" for number in range(COUNT)),
        "copy": np.arange(COUNT, dtype=np.int32) % 3,
    }


def drawn(mixing: str, batch: dict[str, np.ndarray], seed: int = 7) -> dict[str, np.ndarray]:
    return Mixer(mixing, seed).draw(batch["image"], batch["key"], batch["copy"])


def mixed(mixing: str, batch: dict[str, np.ndarray], seed: int = 7) -> tuple[np.ndarray, np.ndarray]:
    names = {"key": batch["key"], "copy": batch["copy"]}
    return mix_batch(batch["image"], batch["label"], mixing, seed=seed, classes=CLASSES, **names)


def one_hot(labels: np.ndarray) -> np.ndarray:
    return np.eye(CLASSES)[labels]


# ---------------------------------------------------------------- the papers' formulas


def test_mixup_is_the_paper_s_formula_with_a_level_rounded_to_the_nearest(batch):
    draw, (images, labels) = drawn("mixup:0.4", batch), mixed("mixup:0.4", batch)
    own, other = draw["samples"].T
    for i in range(COUNT):
        weight = draw["weight"][i] / 2**17  # lambda
        a, b = batch["image"][own[i]].astype(float), batch["image"][other[i]].astype(float)
        np.testing.assert_array_equal(images[i], np.floor(weight * a + (1 - weight) * b + 0.5))
        expected = one_hot(batch["label"])
        np.testing.assert_array_equal(
            labels[i], weight * expected[own[i]] + (1 - weight) * expected[other[i]]
        )
    assert (own == np.arange(COUNT)).all()


def their_box(size, lam, row, column):
    """`rand_bbox` of the authors of CutMix, with its random numbers given."""
    height, width = size
    cut_rat = np.sqrt(1.0 - lam)
    cut_h, cut_w = int(height * cut_rat), int(width * cut_rat)
    top, bottom = (np.clip(row + sign * (cut_h // 2), 0, height) for sign in (-1, 1))
    left, right = (np.clip(column + sign * (cut_w // 2), 0, width) for sign in (-1, 1))
    return top, left, bottom, right


@pytest.mark.parametrize("alpha", [1.0, 0.3])
def test_cutmix_is_what_its_authors_code_makes_of_the_same_numbers(batch, alpha):
    draw, (images, labels) = drawn(f"cutmix:{alpha}", batch), mixed(f"cutmix:{alpha}", batch)
    for i, other in enumerate(draw["samples"][:, 1]):
        numbers = draw["weight"][i] / 2**17, int(draw["row"][i]), int(draw["column"][i])
        top, left, bottom, right = their_box((HEIGHT, WIDTH), *numbers)
        expected = batch["image"][i].copy()
        expected[top:bottom, left:right] = batch["image"][other][top:bottom, left:right]
        np.testing.assert_array_equal(images[i], expected)
        lam = 1 - (bottom - top) * (right - left) / (HEIGHT * WIDTH)
        shares = lam * one_hot(batch["label"])[i] + (1 - lam) * one_hot(batch["label"])[other]
        np.testing.assert_allclose(labels[i], shares, rtol=0, atol=2**-24)


def test_a_mosaic_is_four_samples_around_a_point_with_labels_by_their_pixels(batch):
    draw, (images, labels) = drawn("mosaic", batch), mixed("mosaic", batch)
    for i, (own, *others) in enumerate(draw["samples"]):
        row, column = draw["row"][i], draw["column"][i]
        assert 4 <= row <= HEIGHT - 4
        assert 5 <= column <= WIDTH - 5
        expected, shares = batch["image"][own].copy(), np.zeros(CLASSES)
        right, below, across = (batch["image"][other] for other in others)
        expected[:row, column:] = right[:row, column:]
        expected[row:, :column] = below[row:, :column]
        expected[row:, column:] = across[row:, column:]
        np.testing.assert_array_equal(images[i], expected)
        pixels = row * column, row * (WIDTH - column), (HEIGHT - row) * column
        for part, sample in zip(pixels, (own, *others), strict=False):
            shares += one_hot(batch["label"])[sample] * part
        shares += one_hot(batch["label"])[others[2]] * (HEIGHT - row) * (WIDTH - column)
        np.testing.assert_allclose(labels[i], shares / (HEIGHT * WIDTH), rtol=0, atol=3 * 2**-24)
    assert all(len(set(samples)) == 4 for samples in draw["samples"])


def test_every_pixel_can_be_a_centre_and_every_point_is_drawn():
    many = {"image": np.zeros([4000, 10, 6, 1], np.uint8), "key": source_words(map(str, range(4000)))}
    many["copy"] = np.zeros(4000, np.int32)
    draw = drawn("cutmix:1.0", many)
    assert set(draw["row"].tolist()) == set(range(10))
    assert set(draw["column"].tolist()) == set(range(6))
    draw = drawn("mosaic", many)
    assert set(draw["row"].tolist()) == set(range(2, 9))
    assert set(draw["column"].tolist()) == set(range(1, 6))


# ---------------------------------------------------------------- Beta


def distribution(alpha: float, x: np.ndarray) -> np.ndarray:
    """Of Beta(alpha, alpha), where it has a closed form."""
    if alpha == 0.5:
        return 2 / math.pi * np.arcsin(np.sqrt(x))
    return {1.0: x, 2.0: 3 * x**2 - 2 * x**3, 3.0: x**3 * (10 - 15 * x + 6 * x**2)}[alpha]


@pytest.mark.parametrize("alpha", [0.5, 1.0, 2.0, 3.0])
def test_a_weight_is_in_the_part_in_which_the_quantile_of_beta_lies(alpha):
    u = quantiles()
    parts = beta_parts(u, alpha)
    assert (distribution(alpha, parts / 2**16) <= u + 2**-36).all()
    assert (distribution(alpha, (parts + 1) / 2**16) >= u - 2**-36).all()


@pytest.mark.parametrize("alpha", [1e-6, 0.1, 0.2, 0.4, 7.5, 100.0])
def test_weights_have_the_mean_and_the_variance_of_beta_and_no_side_is_preferred(alpha):
    parts = beta_parts(quantiles(), alpha)
    np.testing.assert_array_equal(parts[::-1], 2**16 - 1 - parts)
    assert (np.diff(parts) >= 0).all()
    weights = (parts + 0.5) / 2**16
    assert weights.var() == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=1e-3)


def test_the_table_is_for_ever():
    tables = b"".join(
        beta_parts(quantiles(), alpha).astype("<i4").tobytes() for alpha in (0.2, 0.4, 1.0, 2.0)
    )
    assert hashlib.sha256(tables).hexdigest()[:16] == "0bdce9691ecb785e"


# ---------------------------------------------------------------- who with whom


@pytest.mark.parametrize("mixing", EACH)
def test_everybody_is_mixed_with_others_and_into_others_as_often(batch, mixing):
    samples = drawn(mixing, batch)["samples"]
    for place in range(samples.shape[1]):
        assert sorted(samples[:, place]) == list(range(COUNT))
        assert place == 0 or (samples[:, place] != np.arange(COUNT)).all()


def test_the_ring_is_the_one_of_the_documentation(batch):
    page = (Path(__file__).parents[2] / "docs" / "reproducibility.md").read_text(encoding="utf-8")
    names: dict[str, Any] = {}
    for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL):
        exec(block, names)
    places = [
        names["ring"](7, f"train/{number}.png", int(copy), "cutmix")
        for number, copy in enumerate(batch["copy"])
    ]
    order = np.argsort(places)
    assert (drawn("cutmix:1.0", batch)["samples"][order, 1] == np.roll(order, -1)).all()


@given(order=strategies.permutations(range(COUNT)), mixing=strategies.sampled_from(EACH))
def test_what_becomes_of_a_sample_does_not_depend_on_the_order_of_the_batch(batch, order, mixing):
    images, labels = mixed(mixing, batch)
    order = np.array(order)
    other_images, other_labels = mixed(mixing, {name: values[order] for name, values in batch.items()})
    np.testing.assert_array_equal(other_images, images[order])
    np.testing.assert_array_equal(other_labels, labels[order])


def test_one_sample_more_is_behind_one_other_and_changes_no_weight(batch):
    whole, fewer = batch, {name: values[:-1] for name, values in batch.items()}
    draw, before = drawn("cutmix:1.0", whole), drawn("cutmix:1.0", fewer)
    for name in ("weight", "row", "column"):
        np.testing.assert_array_equal(draw[name][:-1], before[name])
    assert (draw["samples"][:-1, 1] != before["samples"][:, 1]).sum() == 1


def test_the_seed_the_source_and_the_copy_decide_and_so_does_the_mixing(batch):
    first = drawn("cutmix:1.0", batch)["weight"]
    assert (drawn("cutmix:1.0", batch, seed=8)["weight"] != first).all()
    assert (drawn("cutmix:1.0", {**batch, "copy": batch["copy"] + 1})["weight"] != first).all()
    assert (drawn("mixup:1.0", batch)["weight"] != first).all()


def test_a_sample_that_is_alone_is_mixed_with_itself(batch):
    alone = {name: values[:1] for name, values in batch.items()}
    for mixing in EACH:
        images, labels = mixed(mixing, alone)
        np.testing.assert_array_equal(images, alone["image"])
        np.testing.assert_array_equal(labels, one_hot(alone["label"]))


@given(seed=strategies.integers(0, 2**64 - 1), mixing=strategies.sampled_from(EACH))
def test_shares_are_exact_and_add_up_to_one(batch, seed, mixing):
    _, labels = mixed(mixing, batch, seed)
    assert labels.dtype == np.float32
    whole = labels.astype(np.float64) * ONE
    assert (whole == np.rint(whole)).all()
    assert (whole >= 0).all()
    assert (whole.sum(1) == ONE).all()


# ---------------------------------------------------------------- the same bits everywhere


@pytest.mark.parametrize("mixing", EACH)
def test_a_graph_xla_the_layer_and_tf_data_mix_as_numpy_does(batch, mixing):
    images, labels = mixed(mixing, batch)
    layer = MixLayer(mixing, CLASSES, seed=7)
    unknown = {name: tf.TensorSpec([None] * values.ndim, values.dtype) for name, values in batch.items()}
    unknown["key"] = tf.TensorSpec([None, 2], tf.uint32)
    graph = tf.function(lambda given: layer(given, training=True), autograph=False)
    of_any_size = tf.function(graph.python_function, autograph=False, input_signature=[unknown])
    compiled = tf.function(graph.python_function, autograph=False, jit_compile=True)
    tensors = {name: tf.constant(values) for name, values in batch.items()}
    for way in (graph.python_function, of_any_size, compiled):
        made = way(tensors)
        np.testing.assert_array_equal(made["image"], images)
        np.testing.assert_array_equal(made["label"], labels)
    names = {"image": batch["image"], "label": batch["label"], "copy": batch["copy"]}
    for identity in ({"key": batch["key"]}, {"source": [f"train/{number}.png" for number in range(COUNT)]}):
        dataset = tf.data.Dataset.from_tensor_slices({**names, **identity}).batch(COUNT)
        [made] = augment.mix_dataset(dataset, mixing, seed=7, classes=CLASSES)
        assert made.keys() == {*names, *identity}
        np.testing.assert_array_equal(made["image"], images)
        np.testing.assert_array_equal(made["label"], labels)


def test_an_epoch_s_number_takes_the_place_of_copies(batch):
    given = {name: values for name, values in batch.items() if name != "copy"}
    dataset = tf.data.Dataset.from_tensor_slices(given).batch(5)
    made = list(augment.mix_dataset(dataset, "mixup:1.0", seed=7, classes=CLASSES, copy=2))
    assert [len(part["image"]) for part in made] == [5, 5, 3]
    last = {name: values[10:] for name, values in batch.items()} | {"copy": np.full(3, 2)}
    np.testing.assert_array_equal(made[2]["image"], mixed("mixup:1.0", last)[0])


def test_the_layer_leaves_images_alone_at_inference_and_is_saved_with_its_settings(batch):
    layer = MixLayer("cutmix:1", CLASSES, seed=7)
    given = {"image": batch["image"], "label": batch["label"]}
    made = layer(given, training=False)
    np.testing.assert_array_equal(made["image"], batch["image"])
    np.testing.assert_array_equal(made["label"], one_hot(batch["label"]))
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert again.get_config()["mixing"] == "cutmix:1.0"
    np.testing.assert_array_equal(again(batch, training=True)["image"], mixed("cutmix:1.0", batch)[0])


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("nonsense:1", "there is no mixing 'nonsense'; there is cutmix, mixup, mosaic, such as cutmix:1.0"),
        ("cutmx:1", "there is no mixing 'cutmx'; did you mean cutmix?, such as cutmix:1.0"),
        ("mixup", "it lacks the alpha of Beta(alpha, alpha); say mixup:1.0"),
        ("mixup:", "it lacks the alpha of Beta(alpha, alpha); say mixup:1.0"),
        ("mixup:0", "alpha is '0'; it must be a number above 0, to 100 at most"),
        ("mixup:-1", "alpha is '-1'; it must be a number above 0, to 100 at most"),
        ("cutmix:nan", "alpha is 'nan'; it must be a number above 0, to 100 at most"),
        ("cutmix:1:2", "alpha is '1:2'; it must be a number above 0, to 100 at most"),
        ("mosaic:1", "mosaic takes no number; say mosaic"),
    ],
)
def test_what_is_no_mixing_is_refused(text, sentence):
    with pytest.raises(RequestError) as refused:
        parse_mixing(text, where="--mix")
    assert str(refused.value) == f"--mix {text}: {sentence}"


def test_batches_that_cannot_be_mixed_are_refused(batch):
    def refused(**changes):
        given = {**batch, **changes}
        with pytest.raises(RequestError) as refusal:
            mixed("mosaic", given)
        return str(refusal.value)

    levels = batch["image"].astype(np.float32)
    assert refused(image=levels) == (
        f"the batch's 'image' is float32 [{COUNT}, {HEIGHT}, {WIDTH}, 3]; it must be uint8 [B, H, W, C]"
    )
    assert "'label' is float64 [13, 4]; it must be whole numbers [B]" in refused(
        label=one_hot(batch["label"])
    )
    assert refused(label=batch["label"] + 1) == "the labels go from 1 to 4; of 4 classes they are 0 to 3"
    assert "are of [12, 13] samples" in refused(label=batch["label"][1:])
    with pytest.raises(RequestError, match="the batch's 'key' is missing; it must be uint32"):
        MixLayer("mosaic", CLASSES)({"image": batch["image"], "label": batch["label"]}, training=True)
    single = tf.data.Dataset.from_tensor_slices(batch)
    with pytest.raises(
        RequestError, match=r"'image' is uint8 \[20, 27, 3\]; it must be uint8 \[B, H, W, C\]"
    ):
        augment.mix_dataset(single, "mosaic", seed=0, classes=CLASSES)
    with pytest.raises(RequestError, match="are no dictionaries"):
        augment.mix_dataset(tf.data.Dataset.range(3), "mosaic", seed=0, classes=CLASSES)
