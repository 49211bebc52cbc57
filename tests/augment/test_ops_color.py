"""Ops on levels, held against tf.image, Keras and Pillow.

The references compute in float32, and round in other places: a level may differ by 1, never by more.
"""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageOps


@pytest.fixture(scope="module")
def colors() -> np.ndarray:
    """uint8 [64, 64, 3]: the corners of the color cube, the grays, and colors at random."""
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)
    image[:8] = np.indices((2, 2, 2, 64)).reshape(4, 512)[:3].T.reshape(8, 64, 3) * 255
    image[8:12] = np.arange(256, dtype=np.uint8).reshape(4, 64, 1)
    return image


def levels(reference: tf.Tensor) -> np.ndarray:
    """A float image in [0, 1] as levels."""
    return np.rint(np.clip(reference.numpy() * 255.0, 0, 255))


def unit(image: np.ndarray) -> tf.Tensor:
    return tf.constant(image, tf.float32) / 255.0


@pytest.mark.parametrize("delta", [-1.0, -0.3, 0.0, 0.123, 0.5, 1.0])
def test_brightness_is_that_of_tf_image(apply_op, colors, furthest, delta):
    got = apply_op(colors, f"brightness: {{delta: [{delta}, {delta}]}}")
    assert furthest(got, levels(tf.image.adjust_brightness(unit(colors), delta))) <= 1
    assert furthest(got, np.clip(colors + 255 * delta, 0, 255)) <= 1


@pytest.mark.parametrize("factor", [0.0, 0.5, 1.0, 1.7, 10.0])
def test_contrast_is_that_of_tf_image_and_of_keras(apply_op, photo, furthest, factor):
    got = apply_op(photo, f"contrast: {{factor: [{factor}, {factor}]}}")
    assert furthest(got, levels(tf.image.adjust_contrast(unit(photo), factor))) <= 1
    layer = keras.layers.RandomContrast((1.0, 1.0))
    adjust = getattr(layer, "_adjust_contrast", None) or layer._adjust_constrast  # so until Keras 3.13
    kernel = adjust(tf.constant(photo[np.newaxis], tf.float32), factor)
    assert furthest(got, np.clip(np.rint(kernel[0].numpy()), 0, 255)) <= 1


@pytest.mark.parametrize("factor", [0.0, 0.4, 1.0, 1.5, 3.0, 10.0])
def test_saturation_is_that_of_tf_image(apply_op, colors, furthest, factor):
    got = apply_op(colors, f"saturation: {{factor: [{factor}, {factor}]}}")
    assert furthest(got, levels(tf.image.adjust_saturation(unit(colors), factor))) <= 1


@pytest.mark.parametrize("delta", [-0.5, -0.21, 0.0, 0.1, 1 / 6, 0.4, 0.5])
def test_hue_is_that_of_tf_image(apply_op, colors, furthest, delta):
    got = apply_op(colors, f"hue: {{delta: [{delta}, {delta}]}}")
    assert furthest(got, levels(tf.image.adjust_hue(unit(colors), delta))) <= 1


@pytest.mark.parametrize("gamma", [0.1, 0.5, 1.0, 2.2, 10.0])
def test_gamma_is_that_of_tf_image(apply_op, colors, furthest, gamma):
    got = apply_op(colors, f"gamma: {{gamma: [{gamma}, {gamma}]}}")
    assert furthest(got, levels(tf.image.adjust_gamma(unit(colors), gamma))) <= 1


def test_grayscale_is_that_of_tf_image(apply_op, colors, furthest):
    got = apply_op(colors, "grayscale")
    reference = tf.image.grayscale_to_rgb(tf.image.rgb_to_grayscale(unit(colors)))
    assert furthest(got, levels(reference)) <= 1


def test_grayscale_is_that_of_pillow(apply_op):
    cube = np.stack(np.meshgrid(*[np.arange(0, 256, 3)] * 3), -1).reshape(86, -1, 3).astype(np.uint8)
    np.testing.assert_array_equal(
        apply_op(cube, "grayscale"), np.asarray(Image.fromarray(cube).convert("L").convert("RGB"))
    )


def test_invert_is_that_of_pillow(apply_op, colors):
    np.testing.assert_array_equal(
        apply_op(colors, "invert"), np.asarray(ImageOps.invert(Image.fromarray(colors)))
    )


@pytest.mark.parametrize(
    "entry",
    [
        "brightness: {delta: 0}",
        "contrast: {factor: 0}",
        "saturation: {factor: [1, 1]}",
        "hue: {delta: [0, 0]}",
        "gamma: {gamma: [1, 1]}",
    ],
)
def test_settings_that_mean_no_change_change_no_level(apply_op, colors, entry):
    np.testing.assert_array_equal(apply_op(colors, entry), colors)


@pytest.mark.parametrize("entry", ["hue: {delta: [0.3, 0.3]}", "saturation: {factor: [3, 3]}"])
def test_gray_has_no_hue_to_turn_and_no_saturation_to_scale(apply_op, entry):
    gray = np.repeat(np.arange(256, dtype=np.uint8).reshape(16, 16, 1), 3, -1)
    np.testing.assert_array_equal(apply_op(gray, entry), gray)


def test_a_third_of_the_color_circle_turns_red_into_green_into_blue(apply_op):
    pure = np.eye(3, dtype=np.uint8)[np.newaxis] * 255
    third = "hue: {delta: [0.33333333333, 0.33333333333]}"
    np.testing.assert_array_equal(apply_op(pure, third), np.roll(pure, -1, axis=1))


def test_the_mean_of_contrast_is_one_a_channel_over_the_whole_image(apply_op, photo):
    means = photo.mean(axis=(0, 1))
    got = apply_op(photo, "contrast: {factor: [0, 0]}")
    np.testing.assert_array_equal(got, np.broadcast_to(np.rint(means), photo.shape))
