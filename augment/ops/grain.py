"""Randomness for every pixel: a sub-key, drawn and recorded, that a counter a pixel expands.

The words of the pixel in row y and column x are the encryption of the counter
(y, x), so that a pixel's randomness depends on its place, and on no image's size.
"""

from __future__ import annotations

import numpy as np

from augment.arrays import Array, tf
from augment.draws import Draw
from augment.keys import threefry2x32


def grain(draw: Draw, height: Array, width: Array) -> list[tf.Tensor]:
    """Four int32 [..., height, width], independent and uniform in [0, 65536)."""
    high, low = (tf.convert_to_tensor(draw[n])[..., tf.newaxis, tf.newaxis] for n in ("key_high", "key_low"))
    rows, columns = (tf.cast(tf.range(side), tf.uint32) for side in (height, width))
    words = threefry2x32((high, low), (rows[:, tf.newaxis], columns))
    halves = [half for w in words for half in (tf.bitwise.right_shift(w, _SIXTEEN), w & _LOWER)]
    return [tf.cast(half, tf.int32) for half in halves]


_SIXTEEN, _LOWER = np.uint32(16), np.uint32(0xFFFF)
