"""Kernels that compute a pixel from those around it, and blends with what they give."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from augment.kernels import kinds, maps, tables
from augment.kernels.device.arrays import by_pixel, entries, half_to_even, int32, size_of
from augment.kernels.device.color import luma


def enhance(k: kinds.Enhance, images: tf.Tensor) -> tf.Tensor:
    level = int32(images)
    base = luma(images) if k.base == "gray" else smooth(level)
    # Products from a table, so that no compiler rounds a product and a sum at once.
    factor = tf.cast(tf.convert_to_tensor(k.factor), tf.int64)[:, tf.newaxis]
    products = tf.cast(factor * np.arange(-255, 256), tf.float32) / (1 << tables.FACTOR_BITS)
    moved = tf.cast(base, tf.float32) + entries(products, level - base + 255)
    return tf.cast(tf.clip_by_value(moved, 0, 255), tf.uint8)


def smooth(level: tf.Tensor) -> tf.Tensor:
    """int32 like the levels."""
    padded = tf.pad(level, [[0, 0], [1, 1], [1, 1], [0, 0]])
    rows = padded[:, :-2] + padded[:, 1:-1] + padded[:, 2:]
    total = rows[:, :, :-2] + rows[:, :, 1:-1] + rows[:, :, 2:] + 4 * level
    height, width = size_of(level)
    row, column = tf.range(height)[:, tf.newaxis, tf.newaxis], tf.range(width)[:, tf.newaxis]
    inside = (row > 0) & (row < height - 1) & (column > 0) & (column < width - 1)
    return tf.where(inside, (2 * total + 13) // 26, level)


def blur(k: kinds.Blur, images: tf.Tensor) -> tf.Tensor:
    height, width = size_of(images)
    count = k.weights.shape[-1]
    weight = by_pixel(int32(k.weights))
    total = int32(images)
    for axis, side in ((2, width), (1, height)):
        along = tf.range(side)
        total = sum(
            weight[..., tap]
            * tf.gather(total, maps.folded(along + (tap - count // 2), side, "edge"), axis=axis)
            for tap in range(count)
        )
    return tf.cast(half_to_even(total, 16), tf.uint8)
