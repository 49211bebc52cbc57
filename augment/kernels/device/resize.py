"""The kernel that resamples to another size."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import numpy as np
import tensorflow as tf

from augment.kernels import kinds, weights
from augment.kernels.device.arrays import int32, picked, shifted, size_of


def resize(k: kinds.Resize, images: tf.Tensor) -> tf.Tensor:
    height, width = size_of(images)
    top = left = tf.zeros([1], tf.int32)
    lengths: list[Any] = [
        np.array([side], np.int32) if isinstance(side, int) else tf.reshape(side, [1])
        for side in (height, width)
    ]
    if k.box is not None:
        top, left, *lengths = tf.unstack(int32(k.box), axis=1)
    antialias = k.antialias or k.method == "area"
    down = _taps(lengths[0], height, _Table(k.height, k.method, antialias, rows=True))
    across = _taps(lengths[1], width, _Table(k.width, k.method, antialias, rows=False))
    if k.method == "nearest":
        out = picked(images, top[:, tf.newaxis] + down.index[..., 0], 1)
        return picked(out, left[:, tf.newaxis] + across.index[..., 0], 2)
    if k.method == "bilinear" and not k.antialias:
        parts = shifted(sum(_tapped(_turned(images), across, left)), 4)
        total: Any = 2
        for part in _tapped(_turned(parts), down, top):
            total += shifted(part, 16)
        return tf.cast(shifted(total, 2), tf.uint8)
    for taps, start in ((across, left), (down, top)):
        total = sum(_tapped(_turned(images), taps, start), 1 << (weights.FILTER_BITS - 1))
        images = tf.cast(tf.clip_by_value(shifted(total, weights.FILTER_BITS), 0, 255), tf.uint8)
    return images


def _turned(images: tf.Tensor) -> tf.Tensor:
    """With columns for rows: to take whole rows is several times as fast as to take pixels."""
    return tf.transpose(images, [0, 2, 1, 3])


@dataclasses.dataclass(frozen=True)
class _Table:
    """What makes the taps along an axis of given length."""

    count: Any
    """how many pixels come of it: a number, or a tensor"""
    method: str
    antialias: bool
    rows: bool

    @property
    def taps(self) -> int | None:
        """How many pixels count for one, where that depends on no length."""
        if self.method == "nearest":
            return 1
        return 2 if self.method == "bilinear" and not self.antialias else None

    def of(self, length: int) -> weights.Taps:
        if self.method == "nearest":
            index = weights.nearest(length, self.count)[:, np.newaxis]
            return weights.Taps(index, np.ones_like(index))
        if self.method == "bilinear" and not self.antialias:
            return weights.linear(length, self.count, rows=self.rows)
        return weights.filtered(length, self.count, self.method, self.antialias)

    def stacked(self, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """int32 [lengths, count, taps] both, with as many taps as the most has."""
        taps = [self.of(int(length)) for length in lengths]
        most = max(t.index.shape[1] for t in taps)
        index, weight = np.zeros([2, len(taps), self.count, most], np.int32)
        for number, of_length in enumerate(taps):
            index[number, :, : of_length.index.shape[1]] = of_length.index
            weight[number, :, : of_length.index.shape[1]] = of_length.weight
        return index, weight


_LARGEST_TABLE = 1 << 23
"""Numbers that a graph may hold for all lengths that an axis can have."""


def _taps(lengths: Any, longest: Any, table: _Table) -> weights.Taps:
    """int32 [B or 1, count, taps], for lengths int32 [B or 1] of which `longest` is the most possible."""
    known, fixed = tf.get_static_value(lengths), isinstance(table.count, int)
    if fixed and known is not None:
        return weights.Taps(*map(tf.constant, table.stacked(known)))
    if fixed and isinstance(longest, int) and longest * table.of(longest).index.size <= _LARGEST_TABLE:
        index, weight = _all_lengths(longest, table)
        return weights.Taps(tf.gather(index, lengths - 1), tf.gather(weight, lengths - 1))

    def made(lengths: np.ndarray, count: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return dataclasses.replace(table, count=int(count)).stacked(lengths)

    taps = tf.numpy_function(made, [lengths, table.count], [tf.int32, tf.int32], stateful=False)
    shape = [lengths.shape[0], table.count if fixed else None, table.taps]
    return weights.Taps(*(tf.ensure_shape(v, shape) for v in taps))


@functools.lru_cache(maxsize=16)
def _all_lengths(longest: int, table: _Table) -> tuple[np.ndarray, np.ndarray]:
    return table.stacked(np.arange(1, longest + 1))


def _tapped(images: tf.Tensor, taps: weights.Taps, start: tf.Tensor) -> list[tf.Tensor]:
    """int32 [B, count, W, C]: for each tap, the weighted levels of rows."""
    index = start[:, tf.newaxis, tf.newaxis] + taps.index
    width, channels = images.shape[2] or tf.shape(images)[2], images.shape[3]
    rows = tf.reshape(images, [-1, tf.shape(images)[1], width * channels])

    def weighted(tap: Any) -> tf.Tensor:
        return taps.weight[..., tap, tf.newaxis] * int32(picked(rows, index[..., tap], 1))

    count = taps.index.shape[2]
    if count is None:  # only known when it runs
        count, first = tf.shape(index)[-1], weighted(0)
        state = tf.constant(1), first
        total = tf.while_loop(
            lambda tap, _: tap < count,
            lambda tap, total: (tap + 1, total + weighted(tap)),
            state,
            maximum_iterations=count - 1,
        )[1]
        each = [total]
    else:
        each = [weighted(tap) for tap in range(count)]
    shape = [-1, taps.index.shape[1] or tf.shape(index)[1], width, channels]
    return [tf.reshape(one, shape) for one in each]
