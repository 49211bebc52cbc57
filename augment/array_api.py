"""The array operations whose names differ between NumPy and TensorFlow.

Draws are written once and run in both: in NumPy for a block of samples that a
worker or tf.data is about to make, in a TensorFlow graph for a layer within a
model. Everything here is exact (integers, comparisons, look-ups, one correctly
rounded cast), so that both give the same bits.
"""

from __future__ import annotations

import importlib
import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import tensorflow as tf
else:

    class _TensorFlowOnFirstUse:
        """Stands for `tensorflow`, whose import takes seconds, until something is computed.

        Whoever only parses a recipe or reports a mistake in one never waits for it.
        """

        def __getattr__(self, name: str) -> Any:
            return getattr(importlib.import_module("tensorflow"), name)

    tf = _TensorFlowOnFirstUse()

Array = Any  # np.ndarray or tf.Tensor


_NUMPY = np.ndarray, np.generic


def is_numpy(x: Array) -> bool:
    return isinstance(x, _NUMPY)


def cast(x: Array, dtype: type[np.generic]) -> Array:
    if isinstance(x, np.generic):  # of one sample, for which `astype` takes twice as long
        return dtype(x)
    return x.astype(dtype, copy=False) if is_numpy(x) else tf.cast(x, dtype)


def long(x: Array) -> Array:
    """int64: of arrays, and of plain numbers, such as the sides of an image."""
    return np.int64(x) if isinstance(x, int) else cast(x, np.int64)


def clip(x: Array, low: Array, high: Array) -> Array:
    if is_numpy(x):
        return np.minimum(np.maximum(x, low), high)  # np.clip takes three times as long for few
    return tf.clip_by_value(x, low, high)


def nearest(x: Array) -> Array:
    """int32: of float32, rounded half to even; what lies beyond 2 ** 30 is cut."""
    x = clip(x, np.float32(-(2.0**30)), np.float32(2.0**30))
    return cast(np.rint(x) if is_numpy(x) else tf.round(x), np.int32)


def at_most(x: Array, high: int) -> Array:
    return np.minimum(x, high) if is_numpy(x) else tf.minimum(x, high)


def rounded_root(x: Array) -> Array:
    """int64: the whole number nearest to the square root, of int64 from 0 to 2**52."""
    if isinstance(x, int):
        root = math.isqrt(x)
        return root + (x > root * root + root)
    root = cast((np.sqrt if is_numpy(x) else tf.sqrt)(cast(x, np.float64)), np.int64)  # off by one at most
    low = cast((x <= root * root - root) & (root > 0), np.int64)
    high = cast(x > root * root + root, np.int64)
    return root - low + high


def shift_right(x: Array, bits: int) -> Array:
    """Integer shift; arithmetic (rounding down) for signed integers."""
    if isinstance(x, int) or is_numpy(x):
        return x >> bits
    return tf.bitwise.right_shift(x, tf.constant(bits, x.dtype))


def take(table: Array, index: Array) -> Array:
    return table[index] if is_numpy(index) else tf.gather(tf.convert_to_tensor(table), index)


def where(condition: Array, x: Array, y: Array) -> Array:
    if isinstance(condition, (bool, np.bool_)):  # of one sample, for which np.where takes ten times as long
        return x if condition else y
    return np.where(condition, x, y) if is_numpy(condition) else tf.where(condition, x, y)


def stack(columns: list[Array]) -> Array:
    """Joins [...] arrays into one [..., n]."""
    if isinstance(columns[0], np.generic):
        return np.array(columns)
    return np.stack(columns, -1) if is_numpy(columns[0]) else tf.stack(columns, -1)


def prepended(first: Array, rest: Array) -> Array:
    """[...] before [..., n], as one [..., n + 1]."""
    parts = [first[..., np.newaxis], rest]
    return np.concatenate(parts, -1) if is_numpy(rest) else tf.concat(parts, -1)


def transposed(x: Array) -> Array:
    """The axes in reverse order."""
    return np.transpose(x) if is_numpy(x) else tf.transpose(x)


def least(x: Array) -> Array:
    """[..., n] to [...]."""
    return x.min(-1) if is_numpy(x) else tf.reduce_min(x, -1)


def total(x: Array) -> Array:
    """[..., n] to [...], integers."""
    return x.sum(-1, dtype=x.dtype) if is_numpy(x) else tf.reduce_sum(x, -1)


def ones(like: Array, dtype: type[np.generic]) -> Array:
    """An array of ones, shaped like `like`."""
    return np.ones(np.shape(like), dtype) if is_numpy(like) else tf.ones_like(like, dtype)


def argsort(x: Array) -> Array:
    """int32 [n]: the places in the order of int64 [n]; equal ones stay in theirs."""
    if is_numpy(x):
        return np.argsort(x, kind="stable").astype(np.int32)
    return tf.argsort(x, stable=True)


def counted_up(count: Array, *, like: Array) -> Array:
    """int32 [count]: 0, 1 and so on, of the kind of `like`."""
    return np.arange(count, dtype=np.int32) if is_numpy(like) else tf.range(count, dtype=tf.int32)


def axis_length(x: Array, axis: int) -> Array:
    """How long an axis is, as a number where that is known when a graph is made."""
    return x.shape[axis] if is_numpy(x) or x.shape[axis] is not None else tf.shape(x)[axis]


def reshaped(x: Array, sides: list[Array]) -> Array:
    """Of other sides, which are numbers or, in a graph, scalars."""
    return np.reshape(x, sides) if is_numpy(x) else tf.reshape(x, sides)
