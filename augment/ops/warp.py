"""Elastic deformation: the image as if printed on rubber. Computed in integers, but for sums
of whole numbers in float64, which are exact in any order."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Annotated

import numpy as np
from pydantic import Field

from augment.arrays import shift_right, tf
from augment.draws import Draw, uniform_between
from augment.labels.hazards import Hazard
from augment.ops.base import ROWS, Op, Size, fixed_as_uint8
from augment.ops.grain import grain
from augment.ops.parameters import KEY, Parameter, Real
from augment.ops.settings import Interval, interval


class Elastic(Op):
    """Deforms the image smoothly: each knot of a coarse grid is drawn aside, and the pixels follow.

    Of the family of Simard et al., "Best practices for convolutional neural networks"
    (2003), in the form of Ronneberger et al., "U-Net" (2015): displacements are drawn on
    a coarse grid and interpolated, here by cubic B-splines (Rueckert et al. 1999). A
    knot is moved by up to `strength` of a cell along each axis, uniformly; below 0.48 of
    a cell the image cannot fold (Choi and Lee 2000). What lies outside the image is its
    mirror image; levels between pixels are bilinear.

    `strength` is recorded, and the sub-key from which Threefry makes the displacements,
    with a knot's row and column as the counter.
    """

    cells: Annotated[int, Field(ge=1, le=64)] = 4
    """the cells of the grid along each side"""
    strength: Annotated[Interval, interval(None, 0.0, 0.48)]
    """how far a knot may move, as a fraction of a cell"""

    def parameters(self, size: Size | None) -> dict[str, Parameter]:
        return {"strength": Real(self.strength, _strength=(_fixed, np.int64)), **KEY}

    def output_size(self, size: Size | None) -> Size:
        return self.known(size)

    def apply(self, image: tf.Tensor, draw: Draw) -> tf.Tensor:
        height, width = image.shape[ROWS:-1]
        down, right = self._displacements(draw, (height, width))
        rows = tf.range(height)[:, tf.newaxis] * (1 << _PLACE_BITS) + down
        columns = tf.range(width) * (1 << _PLACE_BITS) + right
        return _bilinear(image, rows, columns)

    def hazards(self, size: Size | None) -> Iterator[Hazard]:
        if self.strength[1] > _MUCH:
            yield Hazard("stretch", f"limit {self.name} to strength [0, {_MUCH}]")

    def _displacements(self, draw: Draw, size: Size) -> list[tf.Tensor]:
        """int32 [..., H, W], down and right, with 8 fractional bits: where an output pixel's level is."""
        knots = self.cells + 3
        down, right = grain(draw, knots, knots)[:2]
        splines = [tf.constant(_splines(side, self.cells)) for side in size]
        strength = tf.convert_to_tensor(draw["_strength"])[..., tf.newaxis, tf.newaxis]
        fields = []
        for index, side in ((down, size[0]), (right, size[1])):
            uniform = tf.cast(2 * index - 0xFFFF, tf.float64)  # 16 fractional bits
            field = tf.matmul(tf.matmul(splines[0], uniform), splines[1], transpose_b=True)
            field = shift_right(tf.cast(field, tf.int64), 2 * _SPLINE_BITS)
            reach = strength * side // self.cells  # pixels with 16 fractional bits
            drop = 32 - _PLACE_BITS
            fields.append(tf.cast(shift_right(field * reach + (1 << (drop - 1)), drop), tf.int32))
        return fields


_MUCH = 0.2
"""From how much of a cell on neighbouring cells can differ visibly in their proportions."""

_PLACE_BITS = 8
_SPLINE_BITS = 12


def _fixed(u: np.ndarray, low: float, high: float) -> np.ndarray:
    return uniform_between(u, low, high) * (1 << 16)


@functools.lru_cache(maxsize=64)
def _splines(side: int, cells: int) -> np.ndarray:
    """float64 [side, cells + 3]: the weight of each knot at each pixel, in whole 4096ths that sum to 1."""
    places = (np.arange(side) + 0.5) * cells / side
    cell = np.floor(places).astype(int)
    t = places - cell
    quarters = [(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3]
    upto = np.rint(np.cumsum(quarters, axis=0) / 6 * (1 << _SPLINE_BITS))
    weights = np.zeros([side, cells + 3])
    for i, weight in enumerate(np.diff(upto, axis=0, prepend=0)):
        weights[np.arange(side), cell + i] = weight
    return weights


def _bilinear(image: tf.Tensor, rows: tf.Tensor, columns: tf.Tensor) -> tf.Tensor:
    """The levels of uint8 [..., H, W, 3] at places int32 [..., H, W] with 8 fractional bits."""
    height, width = image.shape[ROWS:-1]
    one = 1 << _PLACE_BITS
    part_down, part_right = rows & (one - 1), columns & (one - 1)
    top, left = shift_right(rows, _PLACE_BITS), shift_right(columns, _PLACE_BITS)
    pixels = tf.reshape(image, [-1, 3])
    images = tf.reshape(tf.range(tf.size(image) // (3 * height * width)), tf.shape(image)[:ROWS])
    first = images[..., tf.newaxis, tf.newaxis] * (height * width)
    total = 0
    for row, down in ((top, one - part_down), (top + 1, part_down)):
        for column, right in ((left, one - part_right), (left + 1, part_right)):
            place = first + _mirrored(row, height) * width + _mirrored(column, width)
            level = tf.cast(tf.gather(pixels, place), tf.int32)
            total += level * (down * right)[..., tf.newaxis]
    return fixed_as_uint8(total, 2 * _PLACE_BITS)


def _mirrored(index: tf.Tensor, side: int) -> tf.Tensor:
    """An index less than a side outside the image, reflected at the edge."""
    return tf.where(index < 0, -1 - index, tf.where(index >= side, 2 * side - 1 - index, index))
