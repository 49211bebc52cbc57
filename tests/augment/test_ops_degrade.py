"""Blur held to Pillow, JPEG to tf.image, noise to the normal distribution and to its own definition."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image, ImageFilter

from augment.draws import Uniforms
from augment.errors import RequestError
from augment.keys import threefry2x32
from augment.ops.degrade import Blur

SIDES = hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=12)


@pytest.fixture(scope="module")
def gray() -> np.ndarray:
    """uint8 [150, 140, 3] of level 128."""
    return np.full((150, 140, 3), 128, np.uint8)


def blurred_by_pillow(image: np.ndarray, sigma: np.float32) -> np.ndarray:
    return np.asarray(Image.fromarray(image).filter(ImageFilter.GaussianBlur(float(sigma))))


@given(SIDES.flatmap(lambda sides: hnp.arrays(np.uint8, (*sides, 3))), st.integers(0, 2**64 - 1))
@example(np.zeros((1, 1, 3), np.uint8), 0)
def test_blur_is_that_of_pillow_for_any_sigma_and_size(image, key):
    uniforms = Uniforms((np.uint32([key >> 32]), np.uint32([key & 0xFFFFFFFF])))
    op = Blur(sigma=(0.0, 16.0))
    draw = {name: values[0] for name, values in op.draw(uniforms, image.shape[:2]).items()}
    expected = blurred_by_pillow(image, draw["sigma"])
    np.testing.assert_array_equal(op.apply(tf.constant(image), draw), expected)


@pytest.mark.parametrize("sigma", [0.1, 0.5, 0.9999, 1.0, 1.7, 2.0, 3.5, 8.0, 16.0])
def test_blur_of_a_photo_is_that_of_pillow(apply_op, photo, sigma):
    got = apply_op(photo, f"blur: {{sigma: [{sigma}, {sigma}]}}")
    np.testing.assert_array_equal(got, blurred_by_pillow(photo, np.float32(sigma)))


def test_blur_of_a_point_has_the_variance_asked_for(apply_op):
    point = np.zeros((41, 41, 3), np.uint8)
    point[20, 20] = 255
    spread = apply_op(point, "blur: {sigma: [1.5, 1.5]}").astype(float)[..., 0]
    distance = np.arange(41) - 20
    variance = (spread.sum(0) * distance**2).sum() / spread.sum()
    assert variance == pytest.approx(1.5**2, rel=0.15)  # levels are whole, and the far ones round to 0


def test_no_blur_leaves_the_image(apply_op, photo):
    np.testing.assert_array_equal(apply_op(photo, "blur: {sigma: [0, 0]}"), photo)


def pixel_words(draw: dict, op: str, height: int, width: int) -> list[np.ndarray]:
    """The 16-bit parts of the encryption of each pixel's (row, column), [height, width] each."""
    rows, columns = np.indices((height, width)).astype(np.uint32)
    key = draw[f"{op}.key_high"], draw[f"{op}.key_low"]
    return [part for word in threefry2x32(key, (rows, columns)) for part in (word >> 16, word & 0xFFFF)]


@pytest.mark.parametrize("monochrome", [False, True])
def test_noise_is_the_recorded_sigma_times_the_deviates_of_the_recorded_key(
    apply_op, make_draws, photo, monochrome
):
    entry = f"noise: {{sigma: [0, 0.5], monochrome: {str(monochrome).lower()}}}"
    for copy in range(5):
        [draw] = make_draws(entry, count=1, copy=copy, rows=True)
        words = pixel_words(draw, "noise", *photo.shape[:2])
        deviates = [np.vectorize(NormalDist().inv_cdf)((word + 0.5) / 65536) for word in words]
        channels = deviates[:1] * 3 if monochrome else deviates[:3]
        exact = photo + 255 * draw["noise.sigma"].astype(np.float64) * np.stack(channels, -1)
        got = apply_op(photo, entry, copy=copy)
        # Fixed point: half a 4096th of a deviate at 128 levels, half a 256th of a level at 4.3 deviates.
        assert np.abs(got - np.clip(exact, 0, 255)).max() <= 0.5 + 128 / 8192 + 4.3 / 512


def test_noise_is_normal_and_independent(apply_op, gray):
    noise = apply_op(gray, "noise: {sigma: [0.1, 0.1]}").astype(float) - 128
    assert abs(noise.mean()) < 0.3
    assert noise.std() == pytest.approx(25.5, rel=0.02)
    sample = np.sort(noise.ravel())
    quantiles = [NormalDist(0, 25.5).inv_cdf(p) for p in (0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99)]
    shares = np.searchsorted(sample, quantiles) / sample.size
    np.testing.assert_allclose(shares, (0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99), atol=0.012)
    channels = noise.reshape(-1, 3).T
    neighbours = np.stack([noise[:-1, :-1].ravel(), noise[1:, :-1].ravel(), noise[:-1, 1:].ravel()])
    np.testing.assert_allclose(np.corrcoef(channels), np.eye(3), atol=0.03)
    np.testing.assert_allclose(np.corrcoef(neighbours), np.eye(3), atol=0.03)


def test_monochrome_noise_leaves_gray_gray(apply_op, gray):
    noisy = apply_op(gray, "noise: {sigma: [0.2, 0.2], monochrome: true}")
    assert len(np.unique(noisy)) > 100
    np.testing.assert_array_equal(noisy, np.repeat(noisy[..., :1], 3, -1))


def test_noise_differs_between_copies_and_sources(make_draws):
    draws = [make_draws("noise: {sigma: [0, 1]}", count=500, copy=copy) for copy in range(2)]
    keys = {(h, low) for d in draws for h, low in zip(d["noise.key_high"], d["noise.key_low"], strict=True)}
    assert len(keys) == 1000


def test_no_noise_leaves_the_image(apply_op, photo):
    np.testing.assert_array_equal(apply_op(photo, "noise: {sigma: [0, 0]}"), photo)


def test_the_largest_noise_stays_within_the_levels(apply_op, gray):
    """Fixed point does not overflow: as much black as white, and what lies between is in order."""
    noisy = apply_op(gray, "noise: {sigma: [1, 1]}")
    assert (noisy == 0).mean() == pytest.approx(NormalDist(0, 255).cdf(-127.5), abs=0.01)
    assert (noisy == 255).mean() == pytest.approx(1 - NormalDist(0, 255).cdf(126.5), abs=0.01)


@pytest.mark.parametrize("quality", [1, 10, 50, 75, 95, 100])
@pytest.mark.parametrize("sides", [(40, 56), (7, 9), (1, 1), (1, 30)], ids=str)
def test_jpeg_quality_is_that_of_tf_image(apply_op, photo_of, quality, sides):
    image = photo_of(*sides)
    got = apply_op(image, f"jpeg_quality: {{quality: [{quality}, {quality}]}}")
    expected = tf.image.adjust_jpeg_quality(image, quality, dct_method="INTEGER_ACCURATE")
    np.testing.assert_array_equal(got, expected)


def test_every_quality_is_drawn_both_ends_included(make_draws):
    drawn = make_draws("jpeg_quality: {quality: [70, 79]}")["jpeg_quality.quality"]
    values, counts = np.unique(drawn, return_counts=True)
    np.testing.assert_array_equal(values, np.arange(70, 80))
    np.testing.assert_allclose(counts / counts.sum(), 0.1, atol=0.02)


@pytest.mark.parametrize("quality", ["[0, 90]", "[90, 80]", "[50, 101]", "80", "[50.5, 90]", "[true, 90]"])
def test_a_quality_out_of_range_is_refused(make_recipe, quality):
    with pytest.raises(RequestError) as error:
        make_recipe(f"jpeg_quality: {{quality: {quality}}}", height=8, width=8)
    assert "[low, high], whole numbers with low <= high within [1, 100]" in str(error.value)


def test_a_key_is_recorded_as_the_words_that_are_used(make_draws):
    drawn = make_draws("noise: {sigma: [0, 1]}", count=4)
    assert {name: values.dtype for name, values in drawn.items()} == {
        "noise.sigma": np.float32,
        "noise.key_high": np.uint32,
        "noise.key_low": np.uint32,
    }
