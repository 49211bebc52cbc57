"""Where a pixel comes from: maps from places in the output to places in the image.

A place is a column and a row; whole numbers are the middles of pixels. Maps are integers
in fixed point, and are computed by the same lines in NumPy and in TensorFlow.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any, Literal

import numpy as np

from augment.array_api import Array, cast, clip, is_numpy, nearest, shift_right, tf, where
from augment.kernels.streams import grain16

Size = tuple[int, int]
"""Height and width in pixels."""

Border = Literal["constant", "edge", "symmetric", "reflect", "wrap"]
"""What lies outside an image: one level, its edge pixels, its mirror image with or without
the edge pixels, its repetition. The names are np.pad's."""

AFFINE_BITS = 24
PROJECTIVE_BITS = 40
PLACE_BITS = 5
"""Places between pixels are whole 32nds."""

SUM_BITS = 10
"""The fractional bits to which the two terms of an affine place are rounded before they are added."""
WHOLE_SUM_BITS = 16
"""The same of places in whole pixels, as Pillow has it: of its matrices nothing is rounded off."""

NUMERATOR_BITS, DIVISOR_BITS = 11, 22
"""The same of a projective place, whose numerators and divisor then have 24 bits in all, as float32 has,
in frames of up to 4096 pixels."""


@dataclasses.dataclass(eq=False)
class Affine:
    """The map (x, y) -> (a x + b y + c, d x + e y + f)."""

    matrix: Array = dataclasses.field(metadata={"rank": 1})
    """int64 [6]: a to f, with 24 fractional bits"""


@dataclasses.dataclass(eq=False)
class Projective:
    """The map (x, y) -> (a x + b y + c, d x + e y + f) / (g x + h y + i)."""

    matrix: Array = dataclasses.field(metadata={"rank": 1})
    """int64 [9]: a to i, with 40 fractional bits, so that the divisor is above 0 in the whole frame"""


@dataclasses.dataclass(eq=False)
class Displaced:
    """The map (x, y) -> (x + columns[y, x], y + rows[y, x])."""

    rows: Array = dataclasses.field(metadata={"rank": 2})
    """int32 [H, W] in 32nds of a pixel"""
    columns: Array = dataclasses.field(metadata={"rank": 2})


Map = Affine | Projective | Displaced


def places(map_: Map, size: Size, *, whole: bool = False) -> tuple[Array, Array]:
    """For every pixel of the output its row and column in the image, int32 [..., H, W] both.

    In 32nds of a pixel, or, where `whole`, in pixels; rounded half up from the fixed point. Those of a
    projective map are the products, in float32, of the numerators and 1 over the divisor, rounded half to
    even: each of these roundings is that of IEEE 754, and none can be left out.
    """
    bits = 0 if whole else PLACE_BITS
    y, x = (_upto(side, like=_leaf(map_)) for side in size)
    y = y[:, np.newaxis]
    if isinstance(map_, Displaced):
        drop = PLACE_BITS - bits
        half = (1 << drop) >> 1
        rows, columns = (
            shift_right(cast(part, np.int64) + at * (1 << PLACE_BITS) + half, drop)
            for part, at in ((map_.rows, y), (map_.columns, x))
        )
        return cast(rows, np.int32), cast(columns, np.int32)
    # In two steps: TensorFlow, where it sees a slice of what was stacked, forgets that axes are added.
    matrix = map_.matrix[..., np.newaxis, np.newaxis]
    m = [matrix[..., i, :, :] for i in range(9 if isinstance(map_, Projective) else 6)]
    if isinstance(map_, Affine):
        sum_bits = WHOLE_SUM_BITS if whole else SUM_BITS
        drop = sum_bits - bits
        columns, rows = (
            shift_right(sum(terms(m[i : i + 3], x, y, AFFINE_BITS - sum_bits)) + (1 << (drop - 1)), drop)
            for i in (0, 3)
        )
    else:
        # A quotient of float32 numbers in float64, rounded to float32, is what it is in float32, which not
        # all compilers divide in as IEEE 754 says.
        divisor = clip(sum(terms(m[6:], x, y, PROJECTIVE_BITS - DIVISOR_BITS)), 1, 1 << 62)
        scale = float(1 << (DIVISOR_BITS - NUMERATOR_BITS + bits))
        inverse = cast(scale / cast(cast(divisor, np.float32), np.float64), np.float32)
        columns, rows = (
            nearest(
                cast(sum(terms(m[i : i + 3], x, y, PROJECTIVE_BITS - NUMERATOR_BITS)), np.float32) * inverse
            )
            for i in (0, 3)
        )
    return cast(rows, np.int32), cast(columns, np.int32)


def terms(line: list[Array], x: Array, y: Array, drop: Any) -> tuple[Array, Array]:
    """a x and b y + c of a line (a, b, c), int64, each rounded half up by so many bits."""
    half = 1 << (drop - 1)
    return shift_right(line[0] * x + half, drop), shift_right(line[1] * y + (line[2] + half), drop)


def _upto(count: Array, like: Array) -> Array:
    """int64 [count]: the numbers from 0."""
    return np.arange(count, dtype=np.int64) if is_numpy(like) else tf.range(tf.cast(count, tf.int64))


def _leaf(map_: Map) -> Array:
    return map_.rows if isinstance(map_, Displaced) else map_.matrix


def folded(index: Array, side: Array, border: Border) -> Array:
    """Indices of pixels, int32 or int64, brought into [0, side); with border constant, clipped."""
    if border == "wrap":
        return index % side
    if border in ("symmetric", "reflect"):
        again = 1 if border == "symmetric" else 0  # how often the edge pixel is met
        last = 2 * side - 2 + again
        place = index % (last + again if again else _least_one(last))
        return where(place < side, place, last - place)
    return clip(index, 0, side - 1)


def _least_one(x: Array) -> Array:
    """A mirror without the edge pixels shows the only pixel where there is no other."""
    return max(x, 1) if isinstance(x, int) else tf.maximum(x, 1)


_SPLINE_BITS = 12


def elastic(key: Array, strength: Array, cells: int, size: Size) -> Displaced:
    """Knots of a coarse grid are drawn aside, and the pixels follow by cubic B-splines.

    Args:
        key: uint32 [..., 2]. A row of knots has a stream of 16-bit numbers (`streams.py`): the
            down of knot j is its number 2 j, the right 2 j + 1.
        strength: int64 [...]: how far a knot may move, in 65536ths of a cell.
        cells: of the grid along each side.

    The sums of whole numbers that make a displacement are exact in float64, in any order.
    """
    xp: Any = np if is_numpy(strength) else tf
    knots = cells + 3
    drawn = grain16(key, knots, 2 * knots)
    down, right = drawn[..., 0::2], drawn[..., 1::2]
    strength = strength[..., np.newaxis, np.newaxis]
    rows, columns = (_splines(side, cells) for side in size)
    fields = []
    for index, side in ((down, size[0]), (right, size[1])):
        uniform = cast(2 * cast(index, np.int32) - 0xFFFF, np.float64)  # 16 fractional bits
        field = xp.matmul(xp.matmul(rows, uniform), np.ascontiguousarray(columns.T))
        field = shift_right(cast(field, np.int64), 2 * _SPLINE_BITS)
        reach = strength * side // cells  # pixels with 16 fractional bits
        drop = 32 - PLACE_BITS
        fields.append(cast(shift_right(field * reach + (1 << (drop - 1)), drop), np.int32))
    return Displaced(*fields)


@functools.lru_cache(maxsize=64)
def _splines(side: int, cells: int) -> np.ndarray:
    """float64 [side, cells + 3]: the weight of each knot at each pixel, in whole 4096ths that sum to 1."""
    at = (np.arange(side) + 0.5) * cells / side
    cell = np.floor(at).astype(int)
    t = at - cell
    quarters = [(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3]
    upto = np.rint(np.cumsum(quarters, axis=0) / 6 * (1 << _SPLINE_BITS))
    weights = np.zeros([side, cells + 3])
    for i, weight in enumerate(np.diff(upto, axis=0, prepend=0)):
        weights[np.arange(side), cell + i] = weight
    return weights
