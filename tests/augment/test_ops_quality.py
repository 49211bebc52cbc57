"""Ops that are Pillow's, held to Pillow bit for bit."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image, ImageEnhance, ImageFilter, ImageOps

from augment.augmenter import augment_image
from augment.kernels import host, tables
from augment.kernels.kinds import Adapt, Enhance, Kernel, Levels
from augment.recipe import parse_recipe
from augment.tfdata import augment_dataset

SIDES = hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=9)
BLACK = np.zeros((1, 1, 3), np.uint8)


@st.composite
def images(draw) -> np.ndarray:
    """uint8 [H, W, 3] of 1 to 9 pixels a side, with few levels, many or all."""
    low = draw(st.integers(0, 255))
    levels = st.integers(low, draw(st.integers(low, 255)))
    return draw(hnp.arrays(np.uint8, (*draw(SIDES), 3), elements=levels))


def equals(got: np.ndarray, expected: Image.Image) -> None:
    np.testing.assert_array_equal(got, np.asarray(expected), strict=True)


def computed(kernel: Kernel, image: np.ndarray) -> np.ndarray:
    return host.apply((kernel,), image)


def fixed(factor: float) -> np.int64:
    """Pillow's factors are float32."""
    return np.int64(float(np.float32(factor)) * (1 << tables.FACTOR_BITS))


@pytest.fixture(scope="module")
def wide() -> np.ndarray:
    """uint8 [96, 128, 3]: levels spread differently in each channel, some of them absent."""
    rng = np.random.default_rng(0)
    levels = rng.normal([60, 128, 210], [9, 40, 25], (96, 128, 3))
    return np.clip(levels, [0, 20, 0], [255, 200, 255]).astype(np.uint8)


@given(images())
@example(BLACK)
def test_equalized_is_that_of_pillow(image):
    equals(computed(Adapt(rule=tables.EQUALIZE), image), ImageOps.equalize(Image.fromarray(image)))


@given(images())
@example(BLACK)
def test_autocontrasted_is_that_of_pillow(image):
    equals(computed(Adapt(rule=tables.AUTOCONTRAST), image), ImageOps.autocontrast(Image.fromarray(image)))


def test_autocontrasted_truncates_as_pillow_for_every_range_of_levels():
    """Where the exact product is a whole number, float64 may fall below it, by range and offset."""
    lows, highs = np.triu_indices(256, 1)
    chosen = np.arange(0, lows.size, 13)
    every = np.arange(256)
    ramps = np.clip(every, lows[chosen, None], highs[chosen, None]).astype(np.uint8)
    for ramp in np.repeat(ramps[:, np.newaxis, :, np.newaxis], 3, axis=-1):
        equals(computed(Adapt(rule=tables.AUTOCONTRAST), ramp), ImageOps.autocontrast(Image.fromarray(ramp)))


@given(images(), st.floats(0, 10, width=32))
@example(BLACK, 0.0)
def test_sharpened_is_that_of_pillow(image, factor):
    got = computed(Enhance(base="smooth", factor=fixed(factor)), image)
    equals(got, ImageEnhance.Sharpness(Image.fromarray(image)).enhance(factor))


@pytest.mark.parametrize("bits", range(9))
def test_posterized_is_that_of_pillow(wide, bits):
    kernel = Levels(table=tables.posterized(np.int32(bits)))
    equals(computed(kernel, wide), ImageOps.posterize(Image.fromarray(wide), bits))


@pytest.mark.parametrize("threshold", [0, 1, 0.5, 77, 127.5, 128, 255, 255.5, 256])
def test_solarized_is_that_of_pillow(apply_op, wide, threshold):
    got = apply_op(wide, f"solarize: {{threshold: [{threshold}, {threshold}]}}")
    equals(got, ImageOps.solarize(Image.fromarray(wide), threshold))


@given(images())
def test_contrast_blends_with_pillows_mean_luma(image):
    got = computed(Adapt(rule=tables.CONTRAST_WITH_GRAY, factor=fixed(0)), image)
    equals(got, ImageEnhance.Contrast(Image.fromarray(image)).enhance(0.0))


@pytest.mark.parametrize("factor", [0.0, 0.1, 1 / 3, 0.55, 0.9, 1.0, 1.1, 1.9, 7.3])
def test_a_blend_is_that_of_pillow_for_every_pair_of_levels(factor):
    one, other = np.indices((256, 256))
    pair = (Image.fromarray(levels.astype(np.uint8)) for levels in (one, other))
    equals(tables.blended(one, other, fixed(factor)), Image.blend(*pair, factor))


@pytest.mark.parametrize(
    ("entry", "reference"),
    [
        ("posterize: {bits: 3}", lambda image: ImageOps.posterize(image, 3)),
        ("solarize: {threshold: [99, 99]}", lambda image: ImageOps.solarize(image, 99)),
        ("equalize", ImageOps.equalize),
        ("autocontrast", ImageOps.autocontrast),
        ("sharpness: {factor: [1.75, 1.75]}", lambda image: ImageEnhance.Sharpness(image).enhance(1.75)),
        ("sharpness: {factor: [0, 0]}", lambda image: image.filter(ImageFilter.SMOOTH)),
    ],
)
def test_an_op_gives_what_pillow_gives(apply_op, wide, entry, reference):
    equals(apply_op(wide, entry), reference(Image.fromarray(wide)))


@pytest.mark.parametrize(
    "entry", ["posterize: {bits: 8}", "solarize: {threshold: [256, 256]}", "sharpness: {factor: 0}"]
)
def test_the_neutral_setting_leaves_the_image(apply_op, wide, entry):
    np.testing.assert_array_equal(apply_op(wide, entry), wide)


def test_each_of_several_bits_is_drawn_equally_often(make_draws):
    bits, counts = np.unique(make_draws("posterize: {bits: [2, 5, 7]}")["posterize.bits"], return_counts=True)
    np.testing.assert_array_equal(bits, [2, 5, 7])
    np.testing.assert_allclose(counts / counts.sum(), 1 / 3, atol=0.02)


def test_c1_images_whose_size_the_graph_cannot_know_have_the_same_pixels(photo_of):
    entries = (
        *("posterize: {bits: [4, 6]}", "solarize: {threshold: [0, 256], p: 0.5}", "equalize: {p: 0.5}"),
        *("autocontrast", "sharpness: {factor: 0.9}", "blur: {sigma: [0, 2]}", "noise: {sigma: [0, 0.1]}"),
        *("jpeg_quality: {quality: [50, 90]}", "channel_shuffle"),
        *("color_jitter: {brightness: 0.4, contrast: 0.4, saturation: 0.4, hue: 0.2}",),
        "resize: {height: 20, width: 30}",
    )
    recipe = parse_recipe("ops:\n" + "".join(f"  - {entry}\n" for entry in entries), name="test")
    photos = {f"{i}.png": photo_of(height, width) for i, (height, width) in enumerate([(40, 56), (3, 9)])}

    def elements():
        for source, photo in photos.items():
            yield {"source": source, "image": photo}

    spec = {"source": tf.TensorSpec([], tf.string), "image": tf.TensorSpec([None, None, 3], tf.uint8)}
    given = tf.data.Dataset.from_generator(elements, output_signature=spec)
    got = list(augment_dataset(given, recipe, seed=4, copy=1).as_numpy_iterator())
    assert len(got) == 2
    for element in got:
        source = element["source"].decode()
        alone = augment_image(photos[source], recipe, seed=4, source=source, copy=1)
        np.testing.assert_array_equal(element["image"], alone)
