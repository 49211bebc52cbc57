"""What the kernels of every family take: operations on batches and on what there is for each image."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import tensorflow as tf

from augment.kernels import kinds


def size_of(image: tf.Tensor) -> tuple[Any, Any]:
    """Height and width of [..., H, W, C], as numbers where they are known when the graph is made."""
    shape = tf.shape(image)
    height, width = (image.shape[axis] or shape[axis] for axis in (-3, -2))
    return height, width


def lifted(kernel: Any) -> Any:
    """The same with an axis for images in front of every array that lacks it."""
    lifted = {}
    for name, rank in kinds.arrays_of(kernel).items():
        value = getattr(kernel, name)
        if value is not None:
            lifted[name] = value[np.newaxis] if len(np.shape(value)) == rank else value
    return dataclasses.replace(kernel, **lifted)


def int32(x: Any) -> tf.Tensor:
    return tf.cast(x, tf.int32)


def picked(images: tf.Tensor, index: tf.Tensor, axis: int) -> tf.Tensor:
    """Of each image the entries int32 [B or 1, n] along an axis."""
    if index.shape[0] == 1:
        return tf.gather(images, index[0], axis=axis)
    return tf.gather(images, index, axis=axis, batch_dims=1)


def entries(tables: tf.Tensor, index: tf.Tensor) -> tf.Tensor:
    """Of each table [B or 1, n] the entries int32 [B, ...]."""
    index = int32(index)
    if tables.shape[0] == 1:
        return tf.gather(tables[0], index)
    # Not in one table of all: XLA would make the entry of a table anew for each pixel that takes it.
    return tf.gather(tables, index, axis=1, batch_dims=1)


def by_pixel(x: Any) -> tf.Tensor:
    """[B or 1] to [B or 1, 1, 1, 1]."""
    return tf.convert_to_tensor(x)[:, tf.newaxis, tf.newaxis, tf.newaxis]


def shifted(x: tf.Tensor, bits: int) -> tf.Tensor:
    return tf.bitwise.right_shift(x, tf.constant(bits, x.dtype))


def half_to_even(x: tf.Tensor, bits: int) -> tf.Tensor:
    return shifted(x + ((1 << (bits - 1)) - 1) + (shifted(x, bits) & 1), bits)
