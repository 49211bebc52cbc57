"""Kernels that look levels up in tables, given ones or such as follow from the image."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from augment.kernels import kinds, tables
from augment.kernels.device.arrays import entries, half_to_even, int32
from augment.kernels.device.color import luma


def levels(k: kinds.Levels, images: tf.Tensor) -> tf.Tensor:
    tables = tf.convert_to_tensor(k.table)
    if tables.shape[1] == 1:
        return entries(tables[:, 0], images)
    channels = images.shape[-1]
    flat = tf.reshape(tables, [-1, 256 * channels])
    return entries(flat, int32(images) + 256 * tf.range(channels))


def adapt(k: kinds.Adapt, images: tf.Tensor) -> tf.Tensor:
    count = tf.cast(tf.reduce_prod(tf.cast(tf.shape(images)[1:3], tf.int64)), tf.int64)
    if k.rule.statistic == "sums":
        statistic = _sum(int32(images))
    elif k.rule.statistic == "gray":
        statistic = _sum(luma(images))[..., 0]
    elif k.rule.statistic == "ends":
        ends = [reduce(images, axis=[1, 2]) for reduce in (tf.reduce_min, tf.reduce_max)]
        statistic = tf.cast(tf.stack(ends, axis=-1), tf.int64)
    else:
        statistic = _histogram(images)
    factor: Any = None if k.factor is None else tf.cast(tf.convert_to_tensor(k.factor), tf.int64)
    if k.rule.line is not None:
        slope, start = k.rule.line(statistic, count, factor[:, tf.newaxis])
        total = _by_channel(slope) * int32(images) + _by_channel(start)
        return tf.cast(tf.clip_by_value(half_to_even(total, tables.LINE_BITS), 0, 255), tf.uint8)
    return levels(kinds.Levels(table=k.rule.table(statistic, count, factor)), images)


def _by_channel(x: tf.Tensor) -> tf.Tensor:
    """int32 [B, 1, 1, C] of int64 [B, C or 1], in which 24 bits are in use."""
    return int32(x)[:, tf.newaxis, tf.newaxis]


def _sum(levels: tf.Tensor) -> tf.Tensor:
    """int64 [B, C]: of int32 [B, H, W, C]; a row of levels adds up to less than 2**31."""
    return tf.reduce_sum(tf.cast(tf.reduce_sum(levels, axis=2), tf.int64), axis=1)


def _histogram(images: tf.Tensor) -> tf.Tensor:
    """int64 [B, C, 256]."""
    channels = images.shape[-1]
    count = tf.shape(images)[0] * channels
    first = 256 * tf.reshape(tf.range(count), [-1, 1, 1, channels])
    place = tf.reshape(first + int32(images), [-1])
    counts = tf.math.unsorted_segment_sum(tf.ones_like(place), place, 256 * count)
    return tf.cast(tf.reshape(counts, [-1, channels, 256]), tf.int64)
