"""Blur held to OpenCV, JPEG to tf.image, noise to the normal distribution and to its own definition."""

from __future__ import annotations

import math
from statistics import NormalDist

import cv2
import numpy as np
import pytest
import tensorflow as tf

from augment.errors import RequestError
from tests.streams import stream


@pytest.fixture(scope="module")
def gray() -> np.ndarray:
    """uint8 [150, 140, 3] of level 128."""
    return np.full((150, 140, 3), 128, np.uint8)


def blurred_by_opencv(image: np.ndarray, sigma: float) -> np.ndarray:
    taps = 2 * math.ceil(3 * sigma) + 1
    return cv2.GaussianBlur(image, (taps, taps), sigma, borderType=cv2.BORDER_REPLICATE)


@pytest.mark.parametrize("sigma", [0.1, 0.5, 0.9999, 1.0, 1.7, 2.0, 3.5, 8.0, 16.0])
def test_blur_is_that_of_opencv_and_near_the_exact_gaussian(apply_op, photo, furthest, sigma):
    got = apply_op(photo, f"blur: {{sigma: [{sigma}, {sigma}]}}")
    assert furthest(got, blurred_by_opencv(photo, sigma)) <= 1
    exact = blurred_by_opencv(photo.astype(np.float64), sigma)
    assert np.abs(got - exact).max() <= 2


def test_blur_has_the_recorded_sigma(apply_op, make_draws, photo, furthest):
    entry = "blur: {sigma: [0, 3]}"
    for copy in range(8):
        [draw] = make_draws(entry, count=1, copy=copy, rows=True)
        expected = blurred_by_opencv(photo, float(draw["blur.sigma"]))
        assert furthest(apply_op(photo, entry, copy=copy), expected) <= 1


def test_blur_of_a_point_has_the_variance_asked_for(apply_op):
    point = np.zeros((41, 41, 3), np.uint8)
    point[20, 20] = 255
    spread = apply_op(point, "blur: {sigma: [1.5, 1.5]}").astype(float)[..., 0]
    distance = np.arange(41) - 20
    variance = (spread.sum(0) * distance**2).sum() / spread.sum()
    assert variance == pytest.approx(1.5**2, rel=0.15)  # levels are whole, and the far ones round to 0


def test_no_blur_leaves_the_image(apply_op, photo):
    np.testing.assert_array_equal(apply_op(photo, "blur: {sigma: [0, 0]}"), photo)


@pytest.mark.parametrize("monochrome", [False, True])
def test_noise_is_the_recorded_sigma_times_the_deviates_of_the_recorded_key(
    apply_op, make_draws, photo, monochrome
):
    entry = f"noise: {{sigma: [0, 0.5], monochrome: {str(monochrome).lower()}}}"
    photo = photo[:40, :57]
    height, width, _ = photo.shape
    for copy in range(5):
        [draw] = make_draws(entry, count=1, copy=copy, rows=True)
        key = int(draw["noise.key_high"]), int(draw["noise.key_low"])
        numbers = stream(key, height, 2 * width * (1 if monochrome else 3)).view("<u2")
        quantiles = ((numbers >> 4) + 0.5) / 4096
        deviates = np.vectorize(NormalDist().inv_cdf)(quantiles).reshape(height, width, -1)
        exact = photo + 255 * draw["noise.sigma"].astype(np.float64) * deviates
        got = apply_op(photo, entry, copy=copy)
        # Fixed point: half a 4096th of a deviate at 128 levels, half a 256th of a level at 3.7 deviates.
        assert np.abs(got - np.clip(exact, 0, 255)).max() <= 0.5 + 128 / 8192 + 3.7 / 512


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
