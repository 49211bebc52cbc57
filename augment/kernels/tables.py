"""Tables of levels: what an op's integers come to, in lines that NumPy and TensorFlow share.

Parameters are int64 [...] in fixed point, one for each image; tables are uint8 [..., 1, 256],
or [..., C, 256] where channels differ. Rules, for `Adapt`, take what an image is like as well.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Literal

import numpy as np

from augment.array_api import Array, at_most, cast, clip, is_numpy, shift_right, take, tf, where

FACTOR_BITS = 32
"""The fractional bits of a factor; a float32 from 2 ** -9 on has no more."""
LINE_BITS = 11
"""The fractional bits of a straight line: with a factor of 10, levels take 13 more."""
LEVELS = np.arange(256, dtype=np.int64)


def shifted(offset: Array) -> Array:
    """Brightness of tf.image: the level plus an offset in whole levels."""
    return take(_SHIFTED, offset + 255)


_SHIFTED = np.clip(np.arange(-255, 256)[:, np.newaxis, np.newaxis] + LEVELS, 0, 255).astype(np.uint8)
"""For each whole offset from -255 to 255."""


def scaled(factor: Array) -> Array:
    """Brightness of Pillow: each level blended with black (`blended`)."""
    level = shift_right(steps(LEVELS, factor[..., np.newaxis]), FACTOR_BITS)
    return cast(at_most(level, 255), np.uint8)[..., np.newaxis, :]


def gamma(exponent: Array) -> Array:
    """255 (x / 255) ** exponent, for an exponent above 0 in 65536ths, rounded half up.

    By tables of the logarithm and of powers of 2: before rounding, it is off by less than a
    hundredth of a level.
    """
    log = shift_right(_by_level(exponent) * _logarithms(), 32)  # of 2, with 16 fractional bits
    return take(_powers(), at_most(log, len(_powers()) - 1))


@functools.cache
def _logarithms() -> np.ndarray:
    """int64 [1, 256]: log2(255 / x) with 32 fractional bits; for 0, as much as exponents leave room for."""
    log = np.log2(255 / np.maximum(LEVELS, 1))
    log[0] = 1 << 10
    return np.rint(log * 2.0**32).astype(np.int64)[np.newaxis]


@functools.cache
def _powers() -> np.ndarray:
    """uint8: 255 * 2 ** -x, for x in 65536ths up to 9, by which no more than half a level is left."""
    part = np.rint(255 * 2.0 ** (32 - np.arange(1 << 16) / (1 << 16))).astype(np.int64)
    power = part >> np.arange(10)[:, np.newaxis]  # with 32 fractional bits
    return ((power + (1 << 31)) >> 32).astype(np.uint8).ravel()


def posterized(bits: Array) -> Array:
    """ImageOps.posterize: keeps the upper bits of each level, a number from 0 to 8."""
    return take(_POSTERIZED, bits)


_POSTERIZED = np.stack([LEVELS & -(1 << (8 - kept)) for kept in range(9)]).astype(np.uint8)[:, np.newaxis]


def solarized(threshold: Array) -> Array:
    """ImageOps.solarize: inverts the levels from a whole threshold on."""
    return take(_SOLARIZED, threshold)


_SOLARIZED = np.where(np.arange(257)[:, np.newaxis, np.newaxis] <= LEVELS, 255 - LEVELS, LEVELS)
_SOLARIZED = _SOLARIZED.astype(np.uint8)
"""For each threshold from 0 to 256."""


def inverted() -> np.ndarray:
    return (255 - LEVELS[np.newaxis]).astype(np.uint8)


def blended(base: Array, level: Array, factor: Array) -> Array:
    """Pillow's Image.blend of levels int64, broadcast against each other: uint8.

    Pillow truncates `base + factor * (level - base)`, and rounds its product and its sum to
    float32. So do the casts here, which, unlike the product and the sum of floats, no compiler
    makes one rounding of. Whether a sum comes up to a whole number hangs on both levels, not
    on their difference alone.
    """
    moved = steps(level - base, factor) + base * (1 << FACTOR_BITS)
    return _uint8(shift_right(cast(cast(moved, np.float32), np.int64), FACTOR_BITS))


def steps(distance: Array, factor: Array) -> Array:
    """int64: factor * distance, rounded to float32."""
    return cast(cast(factor * distance, np.float32), np.int64)


def distances(factor: Array) -> Array:
    """uint8 [..., 256]: d times a factor from 0, rounded half up, for `Saturation`."""
    product = factor[..., np.newaxis] * LEVELS + (1 << (FACTOR_BITS - 1))
    return cast(at_most(shift_right(product, FACTOR_BITS), 255), np.uint8)


@dataclasses.dataclass(frozen=True)
class Rule:
    """How a table follows from an image."""

    statistic: Literal["sums", "gray", "histogram", "ends"]
    """the sum of each channel's levels int64 [..., C], or of the luma [...]; how often each level
    occurs in each channel [..., C, 256]; or each one's lowest and highest [..., C, 2]"""
    table: Callable[[Array, Array, Array], Array]
    """from the statistic, the number of pixels (int64 []) and the kernel's factor"""
    line: Callable[[Array, Array, Array], tuple[Array, Array]] | None = None
    """where the table is a straight line: slope and start int64 in 2048ths of a level, rounded half to
    even and clipped; from the same, which broadcast against each other, or are plain numbers"""


def _contrast_line(sums: Array, count: Array, factor: Array) -> tuple[Array, Array]:
    one = 1 << LINE_BITS
    slope = shift_right(factor + (1 << (FACTOR_BITS - LINE_BITS - 1)), FACTOR_BITS - LINE_BITS)
    return slope, (2 * (one - slope) * sums + count) // (2 * count)


def _contrast(sums: Array, count: Array, factor: Array) -> Array:
    line = _contrast_line(sums, count, factor[..., np.newaxis])
    slope, start = (part[..., np.newaxis] for part in line)
    total = slope * LEVELS + start
    even = (1 << (LINE_BITS - 1)) - 1 + (shift_right(total, LINE_BITS) & 1)
    return _uint8(shift_right(total + even, LINE_BITS))


def _contrast_with_gray(total: Array, count: Array, factor: Array) -> Array:
    mean = ((2 * total + count) // (2 * count))[..., np.newaxis]
    return blended(mean, LEVELS, factor[..., np.newaxis])[..., np.newaxis, :]


def _equalized(histogram: Array, count: Array, factor: None) -> Array:
    cumulated = np.cumsum(histogram, -1) if is_numpy(histogram) else tf.cumsum(histogram, axis=-1)
    below = cumulated - histogram
    # Of the levels that occur, the highest has all but its own count below it.
    step = _highest(where(histogram > 0, below, below * 0)) // 255
    spread = (below + step // 2) // where(step > 0, step, step + 1)
    return _uint8(where(step > 0, spread, LEVELS + spread * 0))


def _stretched(ends: Array, count: Array, factor: None) -> Array:
    lowest, highest = ends[..., :1], ends[..., 1:]
    row = 256 * (highest - lowest)
    moved = take(_products(), row + LEVELS) - take(_products(), row + lowest)
    whole = cast(moved, np.int64)  # truncates; what lies below 0 is clipped in any case
    return _uint8(where(row > 0, whole, LEVELS + whole * 0))


@functools.cache
def _products() -> np.ndarray:
    """float64 [65536]: at 256 w + x, level x times the scale that stretches a range of w to 255.

    Pillow multiplies in float64 and truncates. With its products in a table, what remains is
    one subtraction, which no compiler can fuse with anything.
    """
    scales = np.concatenate([[0.0], 255.0 / np.arange(1, 256)])
    return np.outer(scales, np.arange(256)).ravel()


CONTRAST = Rule("sums", _contrast, _contrast_line)
"""Contrast of tf.image: scales the distance from the channel's mean."""
CONTRAST_WITH_GRAY = Rule("gray", _contrast_with_gray)
"""Contrast of Pillow: blends with the mean of the luma, rounded half up."""
EQUALIZE = Rule("histogram", _equalized)
"""ImageOps.equalize: makes each channel's histogram flat."""
AUTOCONTRAST = Rule("ends", _stretched)
"""ImageOps.autocontrast: stretches each channel's levels over the whole range."""


def _by_level(x: Array) -> Array:
    """[...] to [..., 1, 1], against which the levels of all channels broadcast, as one number does itself."""
    return x if isinstance(x, np.generic) else x[..., np.newaxis, np.newaxis]


def _highest(x: Array) -> Array:
    return np.max(x, -1, keepdims=True) if is_numpy(x) else tf.reduce_max(x, -1, keepdims=True)


def _uint8(x: Array) -> Array:
    return cast(clip(x, 0, 255), np.uint8)
