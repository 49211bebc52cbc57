"""Kernels that take pixels from elsewhere, and no arithmetic: windows, orientations, channels."""

from __future__ import annotations

import functools

import tensorflow as tf

from augment.kernels import kinds, maps
from augment.kernels.device.arrays import by_pixel, int32, picked, size_of

FEW = 8
"""Images of which a graph may hold a crop each."""


def window(k: kinds.Window, images: tf.Tensor) -> tf.Tensor:
    """Of few images rows are taken in one piece where all frames lie within, in less time than pixels."""
    count, height, width, _ = images.shape
    known = None not in (count, height, width) and isinstance(k.height, int) and isinstance(k.width, int)
    if not known or count > FEW or k.height > height or k.width > width:
        return _placed(k, images)
    top, left = (tf.broadcast_to(int32(side), [count]) for side in (k.top, k.left))
    inside = (top >= 0) & (top <= height - k.height) & (left >= 0) & (left <= width - k.width)
    cut = functools.partial(_cut, k, images, top, left)
    return tf.cond(tf.reduce_all(inside), cut, functools.partial(_placed, k, images))


def _cut(k: kinds.Window, images: tf.Tensor, top: tf.Tensor, left: tf.Tensor) -> tf.Tensor:
    """Rolled, for XLA compiles a slice anew for each place at which it begins."""
    count, height, width, channels = images.shape
    rows = tf.reshape(images, [count, height, width * channels])
    rolled = [tf.roll(rows[i], [-top[i], -channels * left[i]], [0, 1]) for i in range(count)]
    cut = tf.stack(rolled)[:, : k.height, : channels * k.width]
    return tf.reshape(cut, [count, k.height, k.width, channels])


def _placed(k: kinds.Window, images: tf.Tensor) -> tf.Tensor:
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
