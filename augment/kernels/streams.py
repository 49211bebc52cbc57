"""Randomness for every pixel: a sub-key that counters expand, by the same lines everywhere.

Row r of an image has a stream of its own: the words of Threefry's counters (r, 0), (r, 1)
and so on, written out in little-endian bytes. So a pixel's randomness depends on its
place, and on no image's size.
"""

from __future__ import annotations

import numpy as np

from augment.array_api import Array, cast, is_numpy, shift_right, tf
from augment.keys import threefry2x32

Range = tuple[int, int]
"""From the first to before the second."""


def grain16(key: Array, rows: int, count: int) -> Array:
    """Uniform in [0, 65536): the first `count` 16-bit numbers of each row, [..., rows, count].

    `key` is uint32 [..., 2]. uint16 in NumPy, int32 in TensorFlow.
    """
    return _pieces(key, (0, rows), (0, count), 16)


def grain8(key: Array, rows: int, count: int) -> Array:
    """The same of 8 bits, uniform in [0, 256); uint8 in NumPy, int32 in TensorFlow."""
    return _pieces(key, (0, rows), (0, count), 8)


def grain8_within(key: np.ndarray, rows: Range, numbers: Range) -> np.ndarray:
    """uint8: of `grain8`, a part of the rows and of the numbers in each."""
    return np.asarray(_pieces(key, rows, numbers, 8))


def _pieces(key: Array, rows: Range, numbers: Range, bits: int) -> Array:
    per_block = 64 // bits
    blocks = numbers[0] // per_block, -(-numbers[1] // per_block)
    if is_numpy(key):
        row, block = (np.arange(*part, dtype=np.uint32) for part in (rows, blocks))
        words = np.stack(threefry2x32(_two(key), (row[:, np.newaxis], block)), -1).astype("<u4", copy=False)
        count = per_block * (blocks[1] - blocks[0])
        pieces = words.view(f"<u{bits // 8}").reshape(*words.shape[:-2], count)  # of no images, too
    else:
        row, block = tf.range(*rows)[:, None], tf.range(*blocks)
        pair = threefry2x32(_two(key), (tf.cast(row, tf.uint32), tf.cast(block, tf.uint32)))
        mask = (1 << bits) - 1
        parts = [
            cast(shift_right(word, at) & np.uint32(mask), np.int32)
            for word in pair
            for at in range(0, 32, bits)
        ]
        pieces = tf.stack(parts, -1)
        pieces = tf.reshape(pieces, tf.concat([tf.shape(pieces)[:-2], [-1]], 0))
    first = per_block * blocks[0]
    return pieces[..., numbers[0] - first : numbers[1] - first]


def _two(key: Array) -> tuple[Array, Array]:
    # Not in one step: TensorFlow's optimizer forgets new axes where it undoes the stacking of a key.
    high, low = key[..., 0], key[..., 1]
    return high[..., np.newaxis, np.newaxis], low[..., np.newaxis, np.newaxis]
