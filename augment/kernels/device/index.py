"""Kernels that take pixels from elsewhere, and no arithmetic: windows, orientations, channels."""

from __future__ import annotations

import tensorflow as tf

from augment.kernels import kinds, maps
from augment.kernels.device.arrays import by_pixel, int32, picked, size_of


def window(k: kinds.Window, images: tf.Tensor) -> tf.Tensor:
    height, width = size_of(images)
    rows = int32(k.top)[:, tf.newaxis] + tf.range(k.height)
    columns = int32(k.left)[:, tf.newaxis] + tf.range(k.width)
    out = picked(images, maps.folded(rows, height, k.border), 1)
    out = picked(out, maps.folded(columns, width, k.border), 2)
    if k.border != "constant":
        return out
    inside = ((rows >= 0) & (rows < height))[:, :, tf.newaxis]
    inside &= ((columns >= 0) & (columns < width))[:, tf.newaxis]
    return tf.where(inside[..., tf.newaxis], out, tf.constant(k.fill, tf.uint8))


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
            images = tf.where(by_pixel(reversed_), tf.reverse(images, [axis]), images)
    return images


def channels(k: kinds.Channels, images: tf.Tensor) -> tf.Tensor:
    return images if images.shape[-1] == 1 else picked(images, int32(k.order), 3)
