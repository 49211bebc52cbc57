"""Weights of resampling: for every output pixel along an axis, which input pixels count how much.

Tables of integers, made in float64 NumPy from the two lengths alone, so that both backends
read the same ones.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable

import numpy as np

LINEAR_BITS = 11
FILTER_BITS = 22


@dataclasses.dataclass(frozen=True)
class Taps:
    """`index` int32 and `weight` int32 [output, taps]: a tap that does not count weighs 0."""

    index: np.ndarray
    weight: np.ndarray


@functools.lru_cache(maxsize=512)
def nearest(length: int, count: int) -> np.ndarray:
    """int32 [count]: the pixel in whose extent an output pixel's middle lies, the right one on a tie."""
    return ((2 * np.arange(count, dtype=np.int64) + 1) * length // (2 * count)).astype(np.int32)


@functools.lru_cache(maxsize=512)
def linear(length: int, count: int, *, rows: bool) -> Taps:
    """Two taps in 2048ths, as OpenCV's INTER_LINEAR has them.

    Beyond the middles of the edge pixels, both taps are the edge pixel. Along rows the second
    then weighs nothing; along columns (`rows`) both keep their weights, which rounds differently.
    """
    scale = 1 / (np.float64(count) / length)
    place = ((np.arange(count) + 0.5) * scale - 0.5).astype(np.float32)
    first = np.floor(place).astype(np.int32)
    part = place - first.astype(np.float32)
    if not rows:
        part = np.where((first < 0) | (first >= length - 1), np.float32(0), part)
    weight = np.rint(np.stack([np.float32(1) - part, part], -1) * (1 << LINEAR_BITS)).astype(np.int32)
    return Taps(np.clip(np.stack([first, first + 1], -1), 0, length - 1), weight)


@functools.lru_cache(maxsize=512)
def filtered(length: int, count: int, method: str, antialias: bool) -> Taps:
    """Pillow's weights, in 2 ** 22ths: a filter about each output pixel's middle, cut at the edges.

    With `antialias` it widens with the scale when shrinking, as in Pillow; without, it never does.
    As many pixels as there are stay what they are, whatever the filter.
    """
    if length == count:
        return Taps(
            np.arange(count, dtype=np.int32)[:, np.newaxis], np.full((count, 1), 1 << FILTER_BITS, np.int32)
        )
    shape, support = FILTERS[method]
    scale = length / count
    widened = max(scale, 1.0) if antialias else 1.0
    reach = support * widened
    middles = (np.arange(count) + 0.5) * scale
    first = np.maximum(np.trunc(middles - reach + 0.5), 0).astype(np.int64)
    behind = np.minimum(np.trunc(middles + reach + 0.5), length).astype(np.int64)
    taps = max(int((behind - first).max()), 1)
    index = first[:, np.newaxis] + np.arange(taps)
    counts = index < behind[:, np.newaxis]
    weight = np.where(counts, shape((index - middles[:, np.newaxis] + 0.5) / widened), 0.0)
    total = weight.sum(axis=1, keepdims=True)
    weight = np.divide(weight, total, out=np.zeros_like(weight), where=total != 0)
    scaled = weight * (1 << FILTER_BITS)
    whole = np.trunc(scaled + np.where(scaled < 0, -0.5, 0.5)).astype(np.int32)
    return Taps(np.minimum(index, length - 1).astype(np.int32), whole)


def _box(x: np.ndarray) -> np.ndarray:
    return ((x > -0.5) & (x <= 0.5)).astype(np.float64)


def _triangle(x: np.ndarray) -> np.ndarray:
    return np.maximum(1 - np.abs(x), 0.0)


def _cubic(b: float, c: float) -> Callable[[np.ndarray], np.ndarray]:
    """Mitchell and Netravali, "Reconstruction filters in computer graphics" (1988)."""

    def shape(x: np.ndarray) -> np.ndarray:
        x = np.abs(x)
        near = (12 - 9 * b - 6 * c) * x**3 + (-18 + 12 * b + 6 * c) * x**2 + (6 - 2 * b)
        far = (-b - 6 * c) * x**3 + (6 * b + 30 * c) * x**2 + (-12 * b - 48 * c) * x + (8 * b + 24 * c)
        return np.where(x < 1, near, np.where(x < 2, far, 0.0)) / 6

    return shape


def _lanczos(lobes: int) -> Callable[[np.ndarray], np.ndarray]:
    return lambda x: np.where(np.abs(x) < lobes, np.sinc(x) * np.sinc(x / lobes), 0.0)


def _gaussian(x: np.ndarray) -> np.ndarray:
    return np.where(np.abs(x) < 1.5, np.exp(-2 * x**2), 0.0)


FILTERS: dict[str, tuple[Callable[[np.ndarray], np.ndarray], float]] = {
    "area": (_box, 0.5),
    "bilinear": (_triangle, 1.0),
    "bicubic": (_cubic(0.0, 0.5), 2.0),
    "mitchellcubic": (_cubic(1 / 3, 1 / 3), 2.0),
    "lanczos3": (_lanczos(3), 3.0),
    "lanczos5": (_lanczos(5), 5.0),
    "gaussian": (_gaussian, 1.5),
}
"""Each method's filter and its reach to either side; area, bilinear, bicubic and lanczos3 are Pillow's
BOX, BILINEAR, BICUBIC and LANCZOS."""


def gaussian(sigma: float, reach: int) -> np.ndarray:
    """int32 [2 reach + 1]: a Gaussian in 256ths that sum to 256, none of them negative.

    From the ends to the middle it is the sums that are rounded, as by OpenCV's GaussianBlur.
    """
    at = np.arange(-reach, reach + 1)
    weight = np.exp(-(at**2) / (2 * sigma**2)) if sigma > 0 else (at == 0).astype(np.float64)
    sums = np.rint(np.cumsum(weight[:reach]) / weight.sum() * 256).astype(np.int32)
    side = np.diff(sums, prepend=np.int32(0))
    return np.concatenate([side, 256 - 2 * side.sum(keepdims=True), side[::-1]]).astype(np.int32)


def reach_of(sigma: float) -> int:
    """How far a Gaussian's weights are more than nothing: three standard deviations."""
    return math.ceil(3 * sigma)
