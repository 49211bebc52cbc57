"""The kernel that takes pixels from where a map says."""

from __future__ import annotations

import dataclasses
from typing import Any

import tensorflow as tf

from augment.kernels import kinds, maps
from augment.kernels.device.arrays import int32, lifted, shifted, size_of


def warp(k: kinds.Warp, images: tf.Tensor) -> tf.Tensor:
    height, width = size_of(images)
    whole = k.interpolation == "nearest"
    map_ = lifted(k.map)
    map_ = dataclasses.replace(
        map_, **{name: tf.convert_to_tensor(getattr(map_, name)) for name in kinds.arrays_of(map_)}
    )
    rows, columns = maps.places(map_, (height, width), whole=whole)
    pixels = tf.reshape(images, [-1, height * width, images.shape[-1]])

    def levels(row: tf.Tensor, column: tf.Tensor) -> tf.Tensor:
        place = maps.folded(row, height, k.border) * width + maps.folded(column, width, k.border)
        if place.shape[0] == 1:
            found = tf.gather(pixels, place[0], axis=1)
        else:
            found = tf.gather(pixels, place, axis=1, batch_dims=1)
        if k.border != "constant":
            return found
        inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
        return tf.where(inside[..., tf.newaxis], found, tf.constant(k.fill, tf.uint8))

    if whole:
        return levels(rows, columns)
    v, u = rows & 31, columns & 31
    y, x = shifted(rows, 5), shifted(columns, 5)
    total: Any = 512
    for down, weigh_down in ((0, 32 - v), (1, v)):
        for right, weigh_right in ((0, 32 - u), (1, u)):
            weight = (weigh_down * weigh_right)[..., tf.newaxis]
            total += weight * int32(levels(y + down, x + right))
    return tf.cast(shifted(total, 10), tf.uint8)
