"""Kernels that compute a pixel from those around it, and blends with what they give."""

from __future__ import annotations

import functools

import cv2
import numpy as np

from augment.kernels import kinds, tables
from augment.kernels.host.arrays import LEVELS, entries, with_channels
from augment.kernels.host.color import gray


def enhance(k: kinds.Enhance, image: np.ndarray) -> np.ndarray:
    """What is added to the base below a level, and subtracted from one above, are tables of their distance.

    But float32 rounds a sum that nearly is a whole number up to it, if the sum is large enough.
    """
    base = gray(kinds.Gray(), image) if k.base == "gray" else smooth(image)
    above, below = (with_channels(cv2.subtract(*pair)) for pair in ((image, base), (base, image)))
    products = (k.factor * LEVELS).astype(np.float32) / np.float32(1 << tables.FACTOR_BITS)
    up, down = (np.minimum(whole(products), 255).astype(np.uint8) for whole in (np.floor, np.ceil))
    out = cv2.subtract(cv2.add(base, entries(up, above)), entries(down, below))
    missed = np.abs(products - np.rint(products))
    if ((missed > 0) & (missed <= 2.0**-17)).any():  # half of the last bit of a sum from 128 on
        up, down = _rounded_up(int(k.factor))
        largest = cv2.min(entries(up, above), entries(down, below))
        out = cv2.add(out, np.bitwise_and(cv2.compare(base, largest, cv2.CMP_GT), np.uint8(1)))
    return with_channels(out)


@functools.lru_cache(maxsize=1024)
def _rounded_up(factor: int) -> tuple[np.ndarray, np.ndarray]:
    """uint8 [256] both, for distances above and below a base: the largest whose sum is not rounded up."""
    bits = tables.FACTOR_BITS
    sums = (LEVELS[:, np.newaxis] << bits) + tables.steps(np.arange(-255, 256), np.int64(factor))
    rounded_up = (sums >= 0) & (sums.astype(np.float32).astype(np.int64) >> bits > sums >> bits)
    largest = (255 - rounded_up.sum(axis=0)).astype(np.uint8)
    return largest[255:], largest[255::-1]


def smooth(image: np.ndarray) -> np.ndarray:
    """A sum over 13 is never halfway between whole numbers, so that float32 rounds it rightly."""
    if min(image.shape[:2]) < 3:
        return image
    total = image.astype(np.uint16)
    total *= 4  # a shift takes NumPy three times as long
    total += with_channels(cv2.boxFilter(image, cv2.CV_16U, (3, 3), normalize=False))
    out = with_channels(cv2.convertScaleAbs(total, alpha=1 / 13))
    for edge in ((0,), (-1,), (slice(None), 0), (slice(None), -1)):
        out[edge] = image[edge]
    return out


def blur(k: kinds.Blur, image: np.ndarray) -> np.ndarray:
    counts = np.flatnonzero(k.weights)
    weight = k.weights[counts[0] : len(k.weights) - counts[0]]
    if len(weight) == 1:
        return image
    # In 256ths they and their products are exact in float32, and so are the sums: 24 bits. OpenCV's
    # filter of uint8 to uint8 rounds ties one way in the middle of a row and another at its end.
    part = weight.astype(np.float32) / np.float32(256)
    blurred = cv2.sepFilter2D(image, cv2.CV_32F, part, part, borderType=cv2.BORDER_REPLICATE)
    return with_channels(cv2.convertScaleAbs(blurred))
