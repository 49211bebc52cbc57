"""Randomness for every pixel: a sub-key that counters expand, by the same lines everywhere.

Row r of an image has a stream of its own: the words of Threefry's counters (r, 0), (r, 1)
and so on, written out in little-endian bytes. So a pixel's randomness depends on its
place, and on no image's size.
"""

from __future__ import annotations

import numpy as np

from augment.arrays import Array, cast, is_numpy, shift_right, tf
from augment.keys import PARITY, ROTATIONS, threefry2x32


def grain16(key: Array, rows: int, count: int) -> Array:
    """Uniform in [0, 65536): the first `count` 16-bit numbers of each row, [..., rows, count].

    `key` is uint32 [..., 2]. uint16 in NumPy, int32 in TensorFlow.
    """
    return _pieces(key, rows, count, 16)


def grain8(key: Array, rows: int, count: int) -> Array:
    """The same of 8 bits, uniform in [0, 256); uint8 in NumPy, int32 in TensorFlow."""
    return _pieces(key, rows, count, 8)


def _pieces(key: Array, rows: int, count: int, bits: int) -> Array:
    blocks = -(-count * bits // 64)
    if is_numpy(key):
        words = _encrypted(*_two(key), rows, blocks).astype("<u4", copy=False)
        pieces = words.view(f"<u{bits // 8}").reshape(*words.shape[:-2], -1)
    else:
        row, block = tf.range(rows)[:, None], tf.range(blocks)
        pair = threefry2x32(_two(key), (tf.cast(row, tf.uint32), tf.cast(block, tf.uint32)))
        mask = (1 << bits) - 1
        parts = [
            cast(shift_right(word, at) & np.uint32(mask), np.int32)
            for word in pair
            for at in range(0, 32, bits)
        ]
        pieces = tf.stack(parts, -1)
        pieces = tf.reshape(pieces, tf.concat([tf.shape(pieces)[:-2], [-1]], 0))
    return pieces[..., :count]


def _two(key: Array) -> tuple[Array, Array]:
    key = key[..., np.newaxis, np.newaxis]  # in two steps, as in `maps.places`
    return key[..., 0, :, :], key[..., 1, :, :]


def _encrypted(high: np.ndarray, low: np.ndarray, rows: int, blocks: int) -> np.ndarray:
    """uint32 [..., rows, blocks, 2]: `threefry2x32` of the counters, in place, which takes half the time."""
    shape = (*high.shape[:-2], rows, blocks)
    schedule = (high, low, high ^ low ^ PARITY)
    with np.errstate(over="ignore"):
        x0 = np.broadcast_to(np.arange(rows, dtype=np.uint32)[:, np.newaxis] + high, shape).copy()
        x1 = np.broadcast_to(np.arange(blocks, dtype=np.uint32) + low, shape).copy()
        part = np.empty_like(x1)
        for block in range(5):
            for rotation in ROTATIONS[block % 2]:
                x0 += x1
                np.left_shift(x1, rotation, out=part)
                x1 >>= 32 - rotation
                x1 |= part
                x1 ^= x0
            x0 += schedule[(block + 1) % 3]
            x1 += schedule[(block + 2) % 3] + np.uint32(block + 1)
    return np.stack((x0, x1), -1)
