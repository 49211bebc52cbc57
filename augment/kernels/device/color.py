"""Kernels that compute a pixel from its channels: gray, hue, saturation."""

from __future__ import annotations

import tensorflow as tf

from augment.kernels import kinds
from augment.kernels.device.arrays import by_pixel, entries, int32, shifted


def gray(k: kinds.Gray, images: tf.Tensor) -> tf.Tensor:
    return tf.repeat(tf.cast(luma(images), tf.uint8), images.shape[-1], axis=-1)


def luma(images: tf.Tensor) -> tf.Tensor:
    """int32 [B, H, W, 1]."""
    if images.shape[-1] == 1:
        return int32(images)
    red, green, blue = tf.split(int32(images), 3, axis=-1)
    return shifted(19595 * red + 38470 * green + 7471 * blue + (1 << 15), 16)


def hue(k: kinds.Hue, images: tf.Tensor) -> tf.Tensor:
    if images.shape[-1] == 1:
        return images
    r, g, b = tf.unstack(int32(images), axis=-1)
    value = tf.maximum(tf.maximum(r, g), b)
    c = value - tf.minimum(tf.minimum(r, g), b)
    place = tf.where(value == r, g - b, tf.where(value == g, 2 * c + b - r, 4 * c + r - g))
    place += shifted(by_pixel(int32(k.sixths))[..., 0] * c + (1 << 15), 16)
    place = tf.where(place < 0, place + 6 * c, tf.where(place >= 6 * c, place - 6 * c, place))
    hats = tf.abs(place - 3 * c) - c, 2 * c - tf.abs(place - 2 * c), 2 * c - tf.abs(place - 4 * c)
    planes = [value - c + tf.minimum(tf.maximum(hat, 0), c) for hat in hats]
    return tf.cast(tf.stack(planes, axis=-1), tf.uint8)


def saturation(k: kinds.Saturation, images: tf.Tensor) -> tf.Tensor:
    if images.shape[-1] == 1:
        return images
    level = int32(images)
    value = tf.reduce_max(level, axis=-1, keepdims=True)
    c = value - tf.reduce_min(level, axis=-1, keepdims=True)
    distance = value - level
    most = (2 * distance * value + c) // tf.maximum(2 * c, 1)
    scaled = int32(entries(tf.convert_to_tensor(k.distances), distance))
    return tf.cast(value - tf.minimum(scaled, most), tf.uint8)
