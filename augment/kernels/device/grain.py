"""Kernels with randomness for every pixel: noise, and boxes that are filled."""

from __future__ import annotations

import tensorflow as tf

from augment.kernels import kinds
from augment.kernels.device.arrays import entries, int32, shifted, size_of
from augment.kernels.streams import grain8, grain16


def noise(k: kinds.Noise, images: tf.Tensor) -> tf.Tensor:
    height, width = size_of(images)
    channels = 1 if k.monochrome else images.shape[-1]
    place = shifted(grain16(tf.convert_to_tensor(k.key), height, width * channels), 4)
    deviates = int32(entries(tf.convert_to_tensor(k.table), place))
    deviates = tf.reshape(deviates, [-1, height, width, channels])
    return tf.cast(tf.clip_by_value(int32(images) + deviates, 0, 255), tf.uint8)


def fill(k: kinds.Fill, images: tf.Tensor) -> tf.Tensor:
    height, width = size_of(images)
    row, column = tf.range(height)[:, tf.newaxis], tf.range(width)
    inside = tf.zeros([1, 1, 1], tf.bool)
    boxes = int32(k.boxes)[:, :, tf.newaxis, tf.newaxis]
    for hole in range(boxes.shape[1]):
        top, left, bottom, right = tf.unstack(boxes[:, hole], axis=-1)
        inside |= (top <= row) & (row < bottom) & (left <= column) & (column < right)
    cover = tf.constant(k.level, tf.uint8)
    if k.key is not None:
        channels = images.shape[-1]
        stream = grain8(tf.convert_to_tensor(k.key), height, width * channels)
        cover = tf.cast(tf.reshape(stream, [-1, height, width, channels]), tf.uint8)
    return tf.where(inside[..., tf.newaxis], cover, images)
