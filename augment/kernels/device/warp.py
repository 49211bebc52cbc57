"""The kernel that takes pixels from where a map says."""

from __future__ import annotations

import dataclasses
from typing import Any

import tensorflow as tf

from augment.kernels import kinds, maps
from augment.kernels.device.arrays import lifted, shifted, size_of


def warp(k: kinds.Warp, images: tf.Tensor) -> tf.Tensor:
    height, width = size_of(images)
    whole = k.interpolation == "nearest"
    map_ = lifted(k.map)
    map_ = dataclasses.replace(
        map_, **{name: tf.convert_to_tensor(getattr(map_, name)) for name in kinds.arrays_of(map_)}
    )
    rows, columns = maps.places(map_, (height, width), whole=whole)
    pixels = tf.reshape(images, [-1, height * width, images.shape[-1]])
    if k.border == "constant":  # one pixel more, for all that lie outside
        pixels = tf.pad(pixels, [[0, 0], [0, 1], [0, 0]], constant_values=k.fill)

    def taken(levels: tf.Tensor, row: tf.Tensor, column: tf.Tensor) -> tf.Tensor:
        place = maps.folded(row, height, k.border) * width + maps.folded(column, width, k.border)
        if k.border == "constant":
            inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
            place = tf.where(inside, place, height * width)
        if place.shape[0] == 1:
            return tf.gather(levels, place[0], axis=1)
        return tf.gather(levels, place, axis=1, batch_dims=1)

    if whole:
        return taken(pixels, rows, columns)
    v, u = rows & 31, columns & 31
    y, x = shifted(rows, 5), shifted(columns, 5)
    levels = _together(pixels)
    total: Any = 0
    for down, weigh_down in ((0, 32 - v), (1, v)):
        for right, weigh_right in ((0, 32 - u), (1, u)):
            weight = tf.cast(weigh_down * weigh_right, tf.int64)
            total += weight * taken(levels, y + down, x + right)
    return _apart(total, images.shape[-1])


_FIELD = 20
"""Bits for one channel of a pixel: a sum of weighted levels is below 2**18."""


def _together(pixels: tf.Tensor) -> tf.Tensor:
    """int64 [B, N] of uint8 [B, N, C]: the channels beside each other, so that all are weighed at once."""
    return sum(
        tf.bitwise.left_shift(tf.cast(channel, tf.int64), tf.constant(_FIELD * number, tf.int64))
        for number, channel in enumerate(tf.unstack(pixels, axis=-1))
    )


def _apart(sums: tf.Tensor, channels: int) -> tf.Tensor:
    """uint8 [..., C]: sums of channels that are together, over 1024 and rounded half up."""
    fields = [_FIELD * number for number in range(channels)]
    sums += sum(512 << field for field in fields)
    shifts = tf.constant([field + 10 for field in fields], tf.int64)
    return tf.cast(tf.bitwise.right_shift(sums[..., tf.newaxis], shifts) & 255, tf.uint8)
