"""Kernels that compute a pixel from those around it, and blends with what they give."""

from __future__ import annotations

import functools

import cv2
import numpy as np

from augment.kernels import kinds, tables
from augment.kernels.host.arrays import LEVELS, entries, with_channels
from augment.kernels.host.color import gray


def enhance(k: kinds.Enhance, image: np.ndarray) -> np.ndarray:
    """A weighted sum less half a level: what is then rounded to the nearest whole number is truncated.

    OpenCV makes it in float32 by six roundings, less than a 1020th of a level for factors up to 10. Where a
    product nearly is a whole number, the formula's own roundings decide, for which there are tables.
    """
    base = gray(kinds.Gray(), image) if k.base == "gray" else smooth(image)
    factor, off = _substitute(int(k.factor))
    if factor > 10 or off <= max(factor, 1) * 2.0**-15:
        return _by_tables(int(k.factor), base, image)
    return with_channels(cv2.addWeighted(image, factor, base, 1 - factor, 1 / 1020 - 0.5))


_ONE = 1 << tables.FACTOR_BITS


def _substitute(factor: int) -> tuple[float, float]:
    """A factor with the same whole parts of its products with distances up to 255, which are whole numbers or
    a 510th off them; and the least by which those of the given factor are off without being whole.

    Multiples of the last denominator up to 255 in the continued fraction come nearest. Factors between this
    fraction and the next one with such a denominator have the same whole parts.
    """
    before, off = _ONE, factor % _ONE
    previous, denominator, side = 0, 1, 1
    while off and (following := before // off * denominator + previous) <= 255:
        before, off = off, before % off
        previous, denominator, side = denominator, following, -side
    if not off:
        return factor / _ONE, 1 / denominator
    return factor / _ONE + side * (1 / 510 - off / _ONE) / denominator, off / _ONE


def _by_tables(factor: int, base: np.ndarray, image: np.ndarray) -> np.ndarray:
    """What is added to the base below a level, and subtracted from one above, are tables of their distance.

    But float32 rounds a sum that nearly is a whole number up to it, if the sum is large enough.
    """
    above, below = (with_channels(cv2.subtract(*pair)) for pair in ((image, base), (base, image)))
    up, down, near = _moves(factor)
    raised = None
    if near:
        largest = cv2.min(*map(entries, _rounded_up(factor), (above, below)))
        raised = np.bitwise_and(cv2.compare(base, largest, cv2.CMP_GT), np.uint8(1))
    out = cv2.add(base, entries(up, above, above), above)
    cv2.subtract(out, entries(down, below, below), out)
    return with_channels(out if raised is None else cv2.add(out, raised, out))


@functools.lru_cache(maxsize=1024)
def _moves(factor: int) -> tuple[np.ndarray, np.ndarray, bool]:
    """uint8 [256] both, for distances above and below a base: the levels by which it is left.

    And whether a product lies so near to a whole number that a sum with it can be rounded to one.
    """
    products = (_DISTANCES * (factor / _ONE)).astype(np.float32)
    higher = np.ceil(products)
    up, down = np.minimum(products, 255).astype(np.uint8), np.minimum(higher, 255).astype(np.uint8)
    near = np.abs(products - np.rint(products)) <= 2.0**-17  # half of the last bit of a sum from 128 on
    return up, down, bool((near & (up != down)).any())


_DISTANCES = LEVELS.astype(np.float64)


@functools.lru_cache(maxsize=1024)
def _rounded_up(factor: int) -> tuple[np.ndarray, np.ndarray]:
    """uint8 [256] both, for distances above and below a base: the largest whose sum is not rounded up."""
    bits = tables.FACTOR_BITS
    sums = (LEVELS[:, np.newaxis] << bits) + tables.steps(np.arange(-255, 256), np.int64(factor))
    rounded_up = (sums >= 0) & (sums.astype(np.float32).astype(np.int64) >> bits > sums >> bits)
    largest = (255 - rounded_up.sum(axis=0)).astype(np.uint8)
    return largest[255:], largest[255::-1]


def smooth(image: np.ndarray) -> np.ndarray:
    """A sum over 13 is never halfway between whole numbers, so float32 rounds it rightly. Edges come last."""
    height, width, _ = image.shape
    if min(height, width) < 3:
        return image
    level = image.astype(np.uint16)
    box = cv2.boxFilter(image, cv2.CV_16U, (3, 3), normalize=False)
    out = with_channels(cv2.addWeighted(level, 4 / 13, box, 1 / 13, 0, box)).astype(np.uint8)
    out[:: height - 1] = image[:: height - 1]
    out[:, :: width - 1] = image[:, :: width - 1]
    return out


def blur(k: kinds.Blur, image: np.ndarray) -> np.ndarray:
    """In 256ths weights and their products are exact in float32, and so are the sums: 24 bits. OpenCV's
    filter of uint8 to uint8 rounds ties one way in the middle of a row and another at its end."""
    part = _parts(k.weights.tobytes())
    if len(part) == 1:
        return image
    blurred = cv2.sepFilter2D(image, cv2.CV_32F, part, part, borderType=cv2.BORDER_REPLICATE)
    return with_channels(cv2.convertScaleAbs(blurred))


@functools.lru_cache(maxsize=1024)
def _parts(weights: bytes) -> np.ndarray:
    """float32 [an odd number]: of weights int32 in 256ths, without those at the ends that are 0."""
    return np.trim_zeros(np.frombuffer(weights, np.int32)).astype(np.float32) / np.float32(256)
