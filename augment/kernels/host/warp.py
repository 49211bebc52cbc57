"""The kernel that takes pixels from where a map says, by OpenCV's remap."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np

from augment.kernels import kinds, maps
from augment.kernels.host.arrays import BORDERS, NOTHING, with_channels


def warp(k: kinds.Warp, image: np.ndarray) -> np.ndarray:
    """By blocks of rows, so that places stay in the cache, and in memory that is not given back."""
    height, width, _ = image.shape
    seen, places = _near(k, image) or (image, _far_places(k, (height, width)))
    how = cv2.INTER_NEAREST if k.interpolation == "nearest" else cv2.INTER_LINEAR
    border, fill = BORDERS[k.border], (k.fill,) * 3
    out = np.empty(image.shape, image.dtype)
    blocks = -(-height * width // _BLOCK)
    count = -(-height // blocks)
    for first in range(0, height, count):
        rows = slice(first, first + count)
        place, part = places(rows)
        cv2.remap(seen, place, part, how, out[rows], border, fill)
    return out


_BLOCK = 1 << 14
"""Pixels whose places are made at once, about."""

_Places = Callable[[slice], Any]
"""For some rows of the output what OpenCV takes: int16 [n, W, 2] whole columns and rows, and uint16 [n, W]
32 times the part of a row beyond them, in 32nds, plus that of a column."""


def _near(k: kinds.Warp, image: np.ndarray) -> tuple[np.ndarray, _Places] | None:
    """The image, with what is seen beside it, and `maps.places` therein, where narrow numbers hold all
    of them, which their extremes tell; else None."""
    if isinstance(k.map, maps.Affine):
        return _near_affine(k, k.map.matrix, image)
    if isinstance(k.map, maps.Projective):
        height, width, _ = image.shape
        whole = k.interpolation == "nearest"
        places = _near_projective(k.map.matrix, (height, width), whole=whole)
        return places and (image, places)
    return None


def _near_affine(k: kinds.Warp, matrix: np.ndarray, image: np.ndarray) -> tuple[np.ndarray, _Places] | None:
    """Terms, sums and half of the last bit with them are exact in float64, and where they have no more
    than 24 bits, in float32; by that half OpenCV, which rounds to the nearest place, rounds half up."""
    height, width, _ = image.shape
    whole = k.interpolation == "nearest"
    bits = maps.WHOLE_SUM_BITS if whole else maps.SUM_BITS
    terms = _terms(matrix.reshape(2, 3), maps.AFFINE_BITS - bits, (height, width))
    terms *= 2.0**-bits
    (left, right), (top, bottom) = (_extremes(line, width) for line in terms)
    by = -top, bottom - height + 1, -left, right - width + 1
    above, below, before, after = (max(math.ceil(pixels + 1 / 16), 0) for pixels in by)
    tall, wide = height + above + below, width + before + after
    if max(tall, wide) >= 1 << 12:
        return None
    if tall * wide > _MOST_SEEN * height * width:
        above = before = 0
    elif tall * wide > height * width:  # OpenCV takes three times as long for what it has to find itself
        fill = (k.fill,) * 3
        padded = cv2.copyMakeBorder(image, above, below, before, after, BORDERS[k.border], value=fill)
        image = with_channels(padded)
    half = 0.5 if whole else 2.0 ** -(bits + 1)
    dtype: Any = np.float64 if whole and max(tall, wide) >= 1 << 8 else np.float32
    down, across = np.empty((3, height), dtype), _interleaving(width, dtype).copy()
    down[:2], down[2] = terms[:, width:], 1
    down[0] += before + half
    down[1] += above + half
    across[2, 0::2], across[2, 1::2] = terms[:, :width]

    def places(rows: slice) -> Any:
        sums = np.matmul(down[:, rows].T, across).reshape(-1, width, 2)
        if not whole:
            return cv2.convertMaps(sums, NOTHING, cv2.CV_16SC2)
        if not (above or before):
            np.floor(sums, out=sums)
        return sums.astype(np.int16), NOTHING

    return image, places


_MOST_SEEN = 4
"""How many times the image's pixels what is seen beside it may have, to be made before it is."""


@functools.lru_cache(maxsize=64)
def _interleaving(width: int, dtype: Any) -> np.ndarray:
    """[3, 2 W], by which the terms of a row's column and line come to each of its places in turn."""
    return np.array([[1, 0] * width, [0, 1] * width, [0, 0] * width], dtype)


def _extremes(line: np.ndarray, width: int) -> tuple[float, float]:
    """The least and the most sum of a column's term and a row's, of `_terms`, which are linear."""
    first, last, top, bottom = (line.item(place) for place in (0, width - 1, width, -1))
    return min(first, last) + min(top, bottom), max(first, last) + max(top, bottom)


def _terms(lines: np.ndarray, drop: Any, size: maps.Size) -> np.ndarray:
    """float64 [lines, W + H]: `maps.terms` of lines int64 [lines, 3], all of them below 2**53."""
    terms = (lines * 2.0**-drop) @ _frame(*size)
    terms += 0.5
    return np.floor(terms, out=terms)


@functools.lru_cache(maxsize=64)
def _frame(height: int, width: int) -> np.ndarray:
    """float64 [3, W + H], by which a line (a, b, c) comes to a x for each column and b y + c for each row."""
    frame = np.zeros((3, width + height))
    frame[0, :width] = np.arange(width)
    frame[1, width:] = np.arange(height)
    frame[2, width:] = 1
    return frame


def _near_projective(matrix: np.ndarray, size: maps.Size, *, whole: bool) -> _Places | None:
    """Terms and sums of no more than 24 bits are exact in float32, whose quotients and products NumPy and
    OpenCV round as the formula says."""
    height, width = size
    a, b, c, d, e, f, g, h, i = (matrix / (1 << maps.PROJECTIVE_BITS)).tolist()
    if max(abs(a) * width, abs(b) * height + abs(c), abs(d) * width, abs(e) * height + abs(f)) >= 1 << 12:
        return None
    for x, y in ((0, 0), (width - 1, 0), (0, height - 1), (width - 1, height - 1)):
        divisor = g * x + h * y + i  # what is linear is largest at a corner, and so is a quotient
        furthest = max(abs(a * x + b * y + c), abs(d * x + e * y + f)) / (1 << 12)
        if not max(2.0**-10, furthest) < divisor < 4:
            return None
    terms = _terms(matrix.reshape(3, 3), _DROPS, size)
    left, right = np.ones((3, height, 2), np.float32), np.ones((3, 2, width), np.float32)
    left[:, :, 0], right[:, 1] = terms[:, width:], terms[:, :width]
    scale = np.float32(1 << (maps.DIVISOR_BITS - maps.NUMERATOR_BITS))

    def places(rows: slice) -> Any:
        columns, lines, divisor = np.matmul(left[:, rows], right)
        np.divide(scale, divisor, out=divisor)
        columns *= divisor
        lines *= divisor
        if whole:
            return cv2.merge([np.rint(index).astype(np.int16) for index in (columns, lines)]), NOTHING
        return cv2.convertMaps(columns, lines, cv2.CV_16SC2)

    return places


_DROPS = maps.PROJECTIVE_BITS - np.array([maps.NUMERATOR_BITS] * 2 + [maps.DIVISOR_BITS])[:, np.newaxis]


def _packed(rows: np.ndarray, columns: np.ndarray, bits: int) -> tuple[np.ndarray, np.ndarray]:
    place = cv2.merge([(index >> bits).astype(np.int16, copy=False) for index in (columns, rows)])
    if not bits:
        return place, NOTHING
    part = rows & 31
    part <<= 5
    part |= columns & 31
    return place, part.view(np.uint16) if part.dtype == np.int16 else part.astype(np.uint16)


def _far_places(k: kinds.Warp, size: maps.Size) -> _Places:
    """Those of any map. Where OpenCV's numbers end, another place with the same levels around it."""
    whole = k.interpolation == "nearest"
    bits = 0 if whole else maps.PLACE_BITS
    lines, columns = (
        _nearer(index, side, bits, k.border)
        for index, side in zip(maps.places(k.map, size, whole=whole), size, strict=True)
    )
    return lambda rows: _packed(lines[rows], columns[rows], bits)


def _nearer(index: np.ndarray, side: int, bits: int, border: str) -> np.ndarray:
    if -(32000 << bits) < index.min() and index.max() < 32000 << bits:
        return index
    if border in ("constant", "edge"):
        return np.clip(index, -2 << bits, (side + 1) << bits)
    period = {"wrap": side, "symmetric": 2 * side, "reflect": max(2 * side - 2, 1)}[border]
    return index % (period << bits)
