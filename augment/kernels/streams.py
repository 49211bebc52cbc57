"""Randomness for every pixel: a sub-key that counters expand, by the same lines everywhere.

Row r of an image has a stream of its own: the words 0, 1 and so on that `_words` makes of the
key, r and their number, written out in little-endian bytes. So a pixel's randomness depends on
its place, and on no image's size.

A sub-key is Threefry's, so that images have nothing to do with each other. Within an image it is
enough that nobody sees a pattern and no statistic of the levels does, and a word by Threefry takes
seven times as long: words are mixed by lowbias32 instead (Wellons, "Prospecting for hash functions",
2018), a bijection of 32 bits of which each turns over half of the others, into which the second word
of the key enters halfway.
"""

from __future__ import annotations

import numpy as np

from augment.array_api import Array, cast, is_numpy, shift_right, tf

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
    per_word = 32 // bits
    first, behind = numbers[0] // per_word, -(-numbers[1] // per_word)
    if is_numpy(key):
        row, number = (np.arange(*part, dtype=np.uint32) for part in (rows, (first, behind)))
        words = _words(key, row, number).astype("<u4", copy=False)
        count = per_word * (behind - first)
        pieces = words.view(f"<u{bits // 8}").reshape(*words.shape[:-1], count)  # of no images, too
    else:
        row, number = (tf.cast(tf.range(*part), tf.uint32) for part in (rows, (first, behind)))
        words = _words(key, row, number)
        mask = np.uint32((1 << bits) - 1)
        pieces = tf.stack([cast(shift_right(words, at) & mask, np.int32) for at in range(0, 32, bits)], -1)
        pieces = tf.reshape(pieces, tf.concat([tf.shape(pieces)[:-2], [-1]], 0))
    return pieces[..., numbers[0] - per_word * first : numbers[1] - per_word * first]


_GOLDEN = np.uint32(0x9E3779B9)
_FIRST, _SECOND = np.uint32(0x7FEB352D), np.uint32(0x846CA68B)


def _words(key: Array, row: Array, number: Array) -> Array:
    """uint32 [..., rows, numbers], in arithmetic modulo 2 ** 32.

    With (k, l) for the key, a = lowbias32(k + r) and b = a ^ l are the state of row r. Its word i is
    lowbias32(a + i * 0x9E3779B9), but that b is added before the second multiplication.
    """
    # Not in one step: TensorFlow's optimizer forgets new axes where it undoes the stacking of a key.
    high, low = key[..., 0], key[..., 1]
    state = _mixed(high[..., np.newaxis] + row)
    within = state ^ low[..., np.newaxis]
    return _mixed(state[..., np.newaxis] + number * _GOLDEN, within[..., np.newaxis])


def _mixed(x: Array, within: Array | None = None) -> Array:
    """lowbias32, in place in NumPy."""
    x ^= shift_right(x, 16)
    x *= _FIRST
    x ^= shift_right(x, 15)
    if within is not None:
        x += within
    x *= _SECOND
    x ^= shift_right(x, 16)
    return x
