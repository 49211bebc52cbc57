"""Resizing, padding and crops, held against tf.image and NumPy."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
import tensorflow as tf

from augment.augmenter import Augmenter, augment_image
from augment.draws import Uniforms, at
from augment.errors import RequestError
from augment.keys import source_words
from augment.ops.sizes import RandomResizedCrop
from augment.recipe import parse_recipe

SIDES = [(40, 56), (56, 41), (33, 33), (1, 9), (7, 1), (1, 1), (120, 31)]
TARGETS = [(20, 28), (64, 64), (17, 90), (1, 1), (33, 33)]
METHODS = ["bilinear", "nearest", "bicubic", "area", "lanczos3", "lanczos5", "gaussian", "mitchellcubic"]


def resized(image: np.ndarray, entry: str, copy: int = 0) -> np.ndarray:
    recipe = parse_recipe(f"ops: [{{{entry}}}]", name="test")
    return augment_image(image, recipe, seed=0, source="a", copy=copy)


def as_levels(pixels: tf.Tensor) -> np.ndarray:
    return np.rint(np.clip(pixels.numpy(), 0, 255))


# ---------------------------------------------------------------- resize


@pytest.mark.parametrize(
    ("method", "antialias"),
    [(m, a) for m in METHODS for a in (False, True) if not (a and m in ("nearest", "area"))],
)
def test_resize_is_that_of_tf_image_rounded(photo_of, method, antialias):
    """To the level: the same kernel runs, given the same numbers."""
    for sides in SIDES:
        image = photo_of(*sides)
        for height, width in TARGETS:
            how = f"method: {method}, antialias: {str(antialias).lower()}"
            entry = f"resize: {{height: {height}, width: {width}, {how}}}"
            reference = tf.image.resize(image, [height, width], method, antialias=antialias)
            if sides != (height, width) or method not in ("gaussian", "mitchellcubic"):
                np.testing.assert_array_equal(resized(image, entry), as_levels(reference))


@pytest.mark.parametrize("method", METHODS)
def test_c1_resize_is_the_same_whether_the_size_is_known_to_the_graph_or_not(photo_of, method):
    """tf.image skips the kernel where it sees that nothing changes; gaussian blurs all the same."""
    op = parse_recipe(f"ops: [{{resize: {{height: 12, width: 9, method: {method}}}}}]", name="test").ops[0]
    for sides in ((12, 9), (20, 9), (30, 40)):
        image = photo_of(*sides)
        for shape in ([None, None, 3], [*sides, 3]):
            graph = tf.function(op.plain, input_signature=[tf.TensorSpec(shape, tf.uint8)])
            np.testing.assert_array_equal(graph(image), op.plain(tf.constant(image)))


def test_resize_pads_what_tf_image_makes_of_sides_rounded_to_the_nearest_pixel(photo_of):
    for sides in SIDES:
        image = photo_of(*sides)
        for height, width in TARGETS:
            scale = min(Fraction(height, sides[0]), Fraction(width, sides[1]))
            rows, columns = (max(int(side * scale + Fraction(1, 2)), 1) for side in sides)
            top, left = (height - rows) // 2, (width - columns) // 2
            expected = np.zeros([height, width, 3])
            content = as_levels(tf.image.resize(image, [rows, columns]))
            expected[top : top + rows, left : left + columns] = content
            got = resized(image, f"resize: {{height: {height}, width: {width}, aspect: pad}}")
            np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize(
    ("sides", "target", "kept"),
    [
        ((40, 60), (20, 20), (slice(None), slice(10, 50))),
        ((60, 40), (20, 20), (slice(10, 50), slice(None))),
        ((40, 60), (10, 15), (slice(None), slice(None))),
        ((40, 60), (10, 30), (slice(10, 30), slice(None))),
        ((9, 100), (90, 10), (slice(None), slice(49, 50))),
    ],
)
def test_resize_keeps_proportions_by_cropping_the_longer_side_about_its_centre(photo_of, sides, target, kept):
    image = photo_of(*sides)
    entry = f"resize: {{height: {target[0]}, width: {target[1]}, aspect: crop}}"
    reference = tf.image.resize(image[kept], target)
    np.testing.assert_array_equal(resized(image, entry), as_levels(reference))


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
        got = augmenter.tail(tf.constant(image), at(draws, i))
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
        got = augmenter.tail(tf.constant(image), at(draws, i))
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
    image = tf.constant(places(*sides))
    for i in range(60):
        drawn = at(draws, i)["random_resized_crop"]
        got = augmenter.tail(image, at(draws, i)).numpy()
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
    root = np.int64(round(math.sqrt(sides[0] * sides[1]) * 256))
    _, _, height, width = op.box(draw, root, sides)
    assert ((height == sides[0]) | (width == sides[1])).mean() < at_most


def test_a_random_resized_crop_resizes_as_tf_image_does(photo):
    recipe = parse_recipe(
        "ops: [{random_resized_crop: {height: 30, width: 20, area: [1, 1], ratio: [1.4, 1.4]}}]", name="test"
    )
    got = augment_image(photo, recipe, seed=0, source="a", copy=0)
    np.testing.assert_array_equal(got, as_levels(tf.image.resize(photo, [30, 20])))


@pytest.mark.parametrize("given", [(40, 56), (57, 43), (3, 1), (1, 9)])
@pytest.mark.parametrize("wanted", [(17, 23), (64, 64), (5, 1)])
@pytest.mark.parametrize("method", ["bilinear", "area"])
def test_a_batch_of_random_resized_crops_has_the_pixels_of_its_images(given, wanted, method):
    op = RandomResizedCrop(height=wanted[0], width=wanted[1], method=method, area=(0.01, 1), ratio=(0.1, 10))
    count = 24
    images = np.random.default_rng(0).integers(0, 256, (count, *given, 3), np.uint8)
    words = source_words(map(str, range(count)))
    draw = op.draw(Uniforms((words[:, 0], words[:, 1])), given)
    batch = tf.function(op.apply, autograph=False)(images, draw).numpy()
    for i, image in enumerate(images):
        alone = op.apply(tf.constant(image), at(draw, i))
        np.testing.assert_array_equal(batch[i], alone)


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
    np.testing.assert_array_equal(got, as_levels(tf.image.resize(image[:, 10:50], [20, 20])))
