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
    pixels = _together(tf.reshape(images, [-1, height * width, images.shape[-1]]))
    if k.border == "constant":  # one pixel more, for all that lie outside
        pixels = tf.pad(pixels, [[0, 0], [0, 1]], constant_values=k.fill * 0x010101)
    first = (tf.range(tf.shape(pixels)[0]) * tf.shape(pixels)[1])[:, tf.newaxis, tf.newaxis]

    def taken(row: tf.Tensor, column: tf.Tensor) -> tf.Tensor:
        place = maps.folded(row, height, k.border) * width + maps.folded(column, width, k.border)
        if k.border == "constant":
            inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
            place = tf.where(inside, place, height * width)
        return tf.bitcast(tf.gather(tf.reshape(pixels, [-1]), first + place), tf.uint8)

    if whole:
        return taken(rows, columns)[..., : images.shape[-1]]
    v, u = rows & 31, columns & 31
    y, x = shifted(rows, 5), shifted(columns, 5)
    total: Any = 512.0
    for down, weigh_down in ((0, 32 - v), (1, v)):
        for right, weigh_right in ((0, 32 - u), (1, u)):
            # Whole numbers, whose sum is below 2**18: float32 has them all, and takes the least time.
            weight = tf.cast(weigh_down * weigh_right, tf.float32)[..., tf.newaxis]
            total += weight * tf.cast(taken(y + down, x + right), tf.float32)
    return tf.cast(total * (1 / 1024), tf.uint8)[..., : images.shape[-1]]


def _together(pixels: tf.Tensor) -> tf.Tensor:
    """int32 [B, N] of uint8 [B, N, C]: a pixel is taken at once.

    Nor does XLA fuse beyond this, which would compute all channels' places, and what made the image, anew
    for each level that is taken.
    """
    return tf.bitcast(tf.pad(pixels, [[0, 0], [0, 0], [0, 4 - pixels.shape[-1]]]), tf.int32)
