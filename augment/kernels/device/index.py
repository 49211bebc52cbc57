"""Kernels that take pixels from elsewhere, and no arithmetic: windows, orientations, channels."""

from __future__ import annotations

import tensorflow as tf

from augment.kernels import kinds, maps
from augment.kernels.device.arrays import by_pixel, int32, picked, size_of


def window(k: kinds.Window, images: tf.Tensor) -> tf.Tensor:
    height, width = size_of(images)
    rows = int32(k.top)[:, tf.newaxis] + tf.range(k.height)
    columns = int32(k.left)[:, tf.newaxis] + tf.range(k.width)
    if k.border == "constant":  # one row and one column more, for all that lie outside
        images = tf.pad(images, [[0, 0], [0, 1], [0, 1], [0, 0]], constant_values=k.fill)
    for axis, index, side in ((1, rows, height), (2, columns, width)):
        place = maps.folded(index, side, k.border)
        if k.border == "constant":
            place = tf.where((index >= 0) & (index < side), place, side)
        images = picked(images, place, axis)
    return images


def orient(k: kinds.Orient, images: tf.Tensor) -> tf.Tensor:
    transposed = tf.get_static_value(k.transposed)
    if transposed is None:
        images = tf.where(by_pixel(k.transposed), tf.transpose(images, [0, 2, 1, 3]), images)
    elif transposed.all():
        images = tf.transpose(images, [0, 2, 1, 3])
    elif transposed.any():
        images = tf.where(by_pixel(transposed), tf.transpose(images, [0, 2, 1, 3]), images)
    for axis, reversed_ in ((1, k.rows), (2, k.columns)):
        constant = tf.get_static_value(reversed_)
        if constant is None or constant.any():
            place = tf.range(size_of(images)[axis - 1])
            back = tf.convert_to_tensor(reversed_)[:, tf.newaxis]
            images = picked(images, tf.where(back, tf.reverse(place, [0]), place), axis)
    return images


def channels(k: kinds.Channels, images: tf.Tensor) -> tf.Tensor:
    return images if images.shape[-1] == 1 else picked(images, int32(k.order), 3)
