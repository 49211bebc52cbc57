"""Resizing, padding and crops, held against Pillow, tf.image and NumPy."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from augment.array_api import rounded_root
from augment.augmenter import Augmenter, augment_image
from augment.draws import Draw, Uniforms, at
from augment.errors import RequestError
from augment.kernels import device, host
from augment.keys import source_words
from augment.ops.base import Op
from augment.ops.entries import read_entry, written_entry
from augment.ops.sizes import RandomResizedCrop, Resize
from augment.recipe import parse_recipe

SIDES = [(40, 56), (56, 41), (33, 33), (1, 9), (7, 1), (1, 1), (120, 31)]
TARGETS = [(20, 28), (64, 64), (17, 90), (1, 1), (33, 33)]
METHODS = ["bilinear", "nearest", "bicubic", "area", "lanczos3", "lanczos5", "gaussian", "mitchellcubic"]


def resized(image: np.ndarray, entry: str, copy: int = 0) -> np.ndarray:
    recipe = parse_recipe(f"ops: [{{{entry}}}]", name="test")
    return augment_image(image, recipe, seed=0, source="a", copy=copy)


def as_levels(pixels: tf.Tensor) -> np.ndarray:
    return np.rint(np.clip(pixels.numpy(), 0, 255))


def plain(op: Op, image: np.ndarray) -> np.ndarray:
    return host.apply(op.plain_kernels(image.shape[:2]), image)


# ---------------------------------------------------------------- resize


PILLOW = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos3": Image.Resampling.LANCZOS,
    "area": Image.Resampling.BOX,
}


@pytest.mark.parametrize("method", PILLOW)
def test_resize_is_that_of_pillow_by_default(photo_of, method):
    for sides in SIDES:
        image = photo_of(*sides)
        for height, width in TARGETS:
            theirs = Image.fromarray(image).resize((width, height), PILLOW[method])
            np.testing.assert_array_equal(plain(Resize(height, width, method=method), image), theirs)


@pytest.mark.parametrize(("method", "most"), [("bilinear", 1), ("nearest", 0)])
def test_resize_without_antialias_is_that_of_tf_image(photo_of, furthest, method, most):
    for sides in SIDES:
        image = photo_of(*sides)
        for height, width in TARGETS:
            got = plain(Resize(height, width, method=method, antialias=False), image)
            assert furthest(got, as_levels(tf.image.resize(image, [height, width], method))) <= most


@pytest.mark.parametrize("antialias", [False, True])
@pytest.mark.parametrize("method", ["bicubic", "lanczos3", "lanczos5", "gaussian", "mitchellcubic"])
def test_every_filter_is_that_of_tf_image(method, antialias):
    """But that levels are rounded and clipped between the two directions, as in Pillow: half a level,
    and more where the first overshoots. On what is smooth and keeps off black and white: 1."""
    y, x = np.mgrid[0:40, 0:56]
    image = np.stack([128 + 90 * np.sin(x / 5 + i) * np.cos(y / 7 - i) for i in range(3)], -1).astype(
        np.uint8
    )
    for size in [(20, 28), (64, 64), (17, 90), (37, 30)]:
        got = plain(Resize(*size, method=method, antialias=antialias), image)
        theirs = as_levels(tf.image.resize(image, size, method, antialias=antialias))
        assert np.abs(got - theirs).max() <= 1


@pytest.mark.parametrize("method", METHODS)
def test_resizing_to_the_size_that_it_has_changes_no_pixel(photo_of, method):
    image = photo_of(20, 31)
    for antialias in (False, True) if method not in ("area", "nearest") else (False,):
        op = Resize(20, 31, method=method, antialias=antialias)
        np.testing.assert_array_equal(plain(op, image), image)
        np.testing.assert_array_equal(device.apply(op.plain_kernels((20, 31)), tf.constant(image)), image)


@pytest.mark.parametrize("aspect", ["stretch", "pad", "crop"])
@pytest.mark.parametrize(
    ("method", "antialias"), [("bilinear", False), ("bilinear", True), ("nearest", False)]
)
def test_c1_resize_is_the_same_whether_the_size_is_known_to_the_graph_or_not(
    photo_of, method, antialias, aspect
):
    op = Resize(12, 9, method=method, antialias=antialias, aspect=aspect)

    @tf.function(input_signature=[tf.TensorSpec([None, None, 3], tf.uint8)], autograph=False)
    def unknown(image: tf.Tensor) -> tf.Tensor:
        return device.apply(op.plain_kernels(device.size_of(image)), image)

    for sides in ((12, 9), (30, 40), (1, 50)):
        image = photo_of(*sides)
        expected = plain(op, image)
        np.testing.assert_array_equal(device.apply(op.plain_kernels(sides), tf.constant(image)), expected)
        np.testing.assert_array_equal(unknown(image), expected)


def test_resize_pads_what_pillow_makes_of_sides_rounded_to_the_nearest_pixel(photo_of):
    for sides in SIDES:
        image = photo_of(*sides)
        for height, width in TARGETS:
            scale = min(Fraction(height, sides[0]), Fraction(width, sides[1]))
            rows, columns = (max(int(side * scale + Fraction(1, 2)), 1) for side in sides)
            top, left = (height - rows) // 2, (width - columns) // 2
            expected = np.zeros([height, width, 3])
            content = Image.fromarray(image).resize((columns, rows), Image.Resampling.BILINEAR)
            expected[top : top + rows, left : left + columns] = content
            np.testing.assert_array_equal(plain(Resize(height, width, aspect="pad"), image), expected)


@pytest.mark.parametrize(
    ("sides", "target", "kept"),
    [
        ((40, 60), (20, 20), (slice(None), slice(10, 50))),
        ((60, 40), (20, 20), (slice(10, 50), slice(None))),
        ((40, 60), (10, 15), (slice(None), slice(None))),
        ((40, 60), (10, 30), (slice(10, 30), slice(None))),
        ((9, 100), (90, 10), (slice(None), slice(49, 50))),
        ((100, 33), (20, 10), (slice(17, 83), slice(None))),
        ((50, 33), (10, 7), (slice(1, 48), slice(None))),  # 47.1 rows
    ],
)
def test_resize_keeps_proportions_by_cropping_the_longer_side_about_its_centre(photo_of, sides, target, kept):
    image = photo_of(*sides)
    theirs = Image.fromarray(image[kept]).resize(target[::-1], Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(plain(Resize(*target, aspect="crop"), image), theirs)


@pytest.mark.parametrize("op", [Resize, RandomResizedCrop])
def test_only_methods_that_can_antialias_do_so_by_default(op):
    assert op(8, 8).antialias
    for method in ("nearest", "area"):
        assert not op(8, 8, method=method).antialias
        for brief in (False, True):
            entry = written_entry(op(8, 8, method=method), brief=brief)
            assert read_entry(entry) == op(8, 8, method=method)


# ---------------------------------------------------------------- crops and padding


def test_crop_or_pad_is_that_of_tf_image(photo_of):
    for sides in SIDES:
        image = photo_of(*sides)
        for height, width in TARGETS:
            got = resized(image, f"crop_or_pad: {{height: {height}, width: {width}}}")
            np.testing.assert_array_equal(got, tf.image.resize_with_crop_or_pad(image, height, width))


@pytest.mark.parametrize("fraction", [0.01, 0.33, 0.5, 0.875, 1.0])
@pytest.mark.parametrize("sides", SIDES, ids=str)
def test_central_crop_is_that_of_tf_image(apply_op, photo_of, sides, fraction):
    image = photo_of(*sides)
    got = apply_op(image, f"central_crop: {{fraction: {fraction}}}")
    np.testing.assert_array_equal(got, tf.image.central_crop(image, fraction))


def test_random_crop_is_the_recorded_slice_and_reaches_every_place(make_recipe, photo_of):
    image = photo_of(7, 9)
    augmenter = Augmenter(make_recipe("random_crop: {height: 5, width: 9}", height=7, width=9), 0)
    draws = augmenter.draw_copies(source_words(str(i) for i in range(100)), 0)
    assert set(draws["random_crop"]["top"]) == {0, 1, 2}
    assert set(draws["random_crop"]["left"]) == {0}
    for i in range(10):
        top = draws["random_crop"]["top"][i]
        got = augmenter.tail(image, at(draws, i))
        np.testing.assert_array_equal(got, image[top : top + 5])


def test_random_crop_must_fit(make_recipe):
    with pytest.raises(RequestError) as error:
        make_recipe("random_crop: {height: 8, width: 9}", height=7, width=9)
    assert str(error.value) == (
        "recipe test: op 2 (random_crop): random_crop of 8x9 does not fit into images of 7x9"
    )


@pytest.mark.parametrize("mode", ["constant", "reflect", "symmetric"])
def test_pad_and_crop_is_the_recorded_slice_of_what_numpy_pads(make_recipe, photo_of, mode):
    image = photo_of(7, 9)
    augmenter = Augmenter(make_recipe(f"pad_and_crop: {{padding: 3, mode: {mode}}}", height=7, width=9), 0)
    draws = augmenter.draw_copies(source_words(str(i) for i in range(200)), 0)
    assert set(draws["pad_and_crop"]["top"]) == set(draws["pad_and_crop"]["left"]) == set(range(7))
    padded = np.pad(image, [(3, 3), (3, 3), (0, 0)], mode=mode)
    for i in range(10):
        top, left = draws["pad_and_crop"]["top"][i], draws["pad_and_crop"]["left"][i]
        got = augmenter.tail(image, at(draws, i))
        np.testing.assert_array_equal(got, padded[top : top + 7, left : left + 9])


def test_a_mirror_image_cannot_be_wider_than_the_image(make_recipe):
    with pytest.raises(RequestError) as error:
        make_recipe("pad_and_crop: {padding: 7, mode: reflect}", height=7, width=9)
    assert str(error.value) == (
        "recipe test: op 2 (pad_and_crop): padding is 7; images of 7x9 are too small for it"
    )


# ---------------------------------------------------------------- random resized crop


def places(height: int, width: int) -> np.ndarray:
    """An image whose red level is the row and whose green level is the column."""
    rows, columns = np.mgrid[0:height, 0:width]
    return np.stack([rows, columns, rows * 0], -1).astype(np.uint8)


@pytest.mark.parametrize("sides", [(200, 250), (250, 90), (64, 64), (9, 200), (1, 7), (1, 1)], ids=str)
def test_a_random_resized_crop_is_the_first_of_ten_that_fits_or_torchvisions_fallback(sides):
    """Its sides and place by RandomResizedCrop.get_params, in float64, from what is recorded."""
    recipe = parse_recipe(
        "ops: [{random_resized_crop: {height: 256, width: 256, method: nearest}}]", name="test"
    )
    augmenter = Augmenter(recipe, 0)
    draws = augmenter.draw_copies(source_words(str(i) for i in range(60)), 0)
    for i in range(60):
        drawn = at(draws, i)["random_resized_crop"]
        got = host.apply(recipe.ops[0].kernels(drawn, sides), places(*sides))
        lengths, starts = got_params(drawn, *sides)
        for axis in range(2):
            first, last = int(got[..., axis].min()), int(got[..., axis].max())
            assert (first, last - first + 1) == (starts[axis], lengths[axis])


def got_params(drawn, height: int, width: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """Sides and place of torchvision's crop, given the candidates that were drawn."""
    candidates = [(float(drawn["area"]), float(drawn["ratio"]))]
    key = Uniforms((drawn["key_high"], drawn["key_low"]))
    for i in range(9):
        area, ratio = ((int(key.word(2 * i + j)) // 65536 + 0.5) / 65536 for j in range(2))
        log_ratio = math.log(3 / 4) + ratio * (math.log(4 / 3) - math.log(3 / 4))
        candidates.append((0.08 + 0.92 * area, math.exp(log_ratio)))
    for area, ratio in candidates:
        w = round(math.sqrt(height * width * area * ratio))
        h = round(math.sqrt(height * width * area / ratio))
        if 0 < w <= width and 0 < h <= height:
            return (h, w), (int(drawn["top"] * (height - h + 1)), int(drawn["left"] * (width - w + 1)))
    h, w = height, width
    if width / height < 3 / 4:
        h = round(width / (3 / 4))
    elif width / height > 4 / 3:
        w = round(height * (4 / 3))
    h, w = max(h, 1), max(w, 1)
    return (h, w), ((height - h) // 2, (width - w) // 2)


@pytest.mark.parametrize(("sides", "at_most"), [((375, 500), 0.02), ((180, 320), 0.02)], ids=str)
def test_few_random_resized_crops_have_a_full_side(sides, at_most):
    """0.6 % of torchvision's of a photo of 375x500; cut to the image, 26 % would have."""
    op = RandomResizedCrop(224, 224)
    words = source_words(map(str, range(4000)))
    draw = op.draw(Uniforms((words[:, 0], words[:, 1])), None)
    _, _, height, width = op.box(draw, sides).T
    assert ((height == sides[0]) | (width == sides[1])).mean() < at_most


def test_a_random_resized_crop_resizes_as_pillow_or_tf_image_do(photo, furthest):
    whole = {"area": (1, 1), "ratio": (1.4, 1.4)}
    words = source_words(["a"])
    for op in (RandomResizedCrop(30, 20, **whole), RandomResizedCrop(30, 20, antialias=False, **whole)):
        draw = at(op.draw(Uniforms((words[:, 0], words[:, 1])), None), 0)
        got = host.apply(op.kernels(draw, (40, 56)), photo)
        if op.antialias:
            theirs = Image.fromarray(photo).resize((20, 30), Image.Resampling.BILINEAR)
            np.testing.assert_array_equal(got, theirs)
        else:
            assert furthest(got, as_levels(tf.image.resize(photo, [30, 20]))) <= 1


@pytest.mark.parametrize("given", [(40, 56), (3, 1)], ids=str)
@pytest.mark.parametrize("method", ["bilinear", "area"])
@pytest.mark.parametrize("known", [True, False], ids=["size known", "size unknown"])
def test_a_batch_of_random_resized_crops_has_the_pixels_of_its_images(given, method, known):
    op = RandomResizedCrop(17, 23, method=method, area=(0.01, 1), ratio=(0.1, 10))
    count = 12
    images = np.random.default_rng(0).integers(0, 256, (count, *given, 3), np.uint8)
    words = source_words(map(str, range(count)))
    draw = op.draw(Uniforms((words[:, 0], words[:, 1])), given)
    shape = [count, *given, 3] if known else [None, None, None, 3]
    specs = {name: tf.TensorSpec([None, *np.shape(v)[1:]], v.dtype) for name, v in draw.items()}

    @tf.function(input_signature=[tf.TensorSpec(shape, tf.uint8), specs], autograph=False)
    def batch(images: tf.Tensor, draw: Draw) -> tf.Tensor:
        return device.apply(op.kernels(draw, device.size_of(images)), images)

    expected = [host.apply(op.kernels(at(draw, i), given), image) for i, image in enumerate(images)]
    np.testing.assert_array_equal(batch(images, draw), expected)


@given(st.integers(0, 1 << 52))
def test_roots_are_rounded_to_the_nearest_whole_number(x):
    near = math.isqrt(x)
    for number in {x, near * near, near * near + near, near * near + near + 1}:
        expected = (math.isqrt(4 * number) + 1) // 2
        assert rounded_root(np.int64(number)) == expected
        assert rounded_root(tf.constant(number, tf.int64)).numpy() == expected


@pytest.mark.parametrize(
    ("given", "kept"), [((100, 59), (32, 19)), ((59, 100), (19, 32)), ((7, 7), (32, 32))]
)
def test_padding_rounds_the_kept_proportions_to_the_nearest_pixel(given, kept):
    """59/100 of 32 pixels are 18.9."""
    white = np.full((*given, 3), 255, np.uint8)
    got = resized(white, "resize: {height: 32, width: 32, aspect: pad, method: nearest}")
    assert (got.any(axis=(1, 2)).sum(), got.any(axis=(0, 2)).sum()) == kept


def test_proportions_are_as_often_upright_as_oblong():
    recipe = parse_recipe("ops: [{random_resized_crop: {height: 8, width: 8}}]", name="test")
    draws = Augmenter(recipe, 0).draw_copies(source_words(str(i) for i in range(5000)), 0)
    ratio, area = draws["random_resized_crop"]["ratio"], draws["random_resized_crop"]["area"]
    assert abs((ratio > 1).mean() - 0.5) < 0.03
    assert 3 / 4 <= ratio.min() < 0.76
    assert 1.32 < ratio.max() <= 4 / 3
    assert 0.08 <= area.min() < 0.09
    assert 0.99 < area.max() <= 1
    assert abs(area.mean() - 0.54) < 0.02


def test_without_augmentation_a_random_resized_crop_keeps_the_centre(photo_of):
    image = photo_of(40, 60)
    got = resized(image, "random_resized_crop: {height: 20, width: 20}", copy=-1)
    theirs = Image.fromarray(image[:, 10:50]).resize((20, 20), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(got, theirs)
