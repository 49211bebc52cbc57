"""Where a kernel takes the places of an image: the inverse of where its pixels come from.

Places are in 65,536ths of a pixel from the frame's top left corner, columns before rows, so that
the middle of the first pixel is at (32768, 32768). They are float64; a sum or product of
them is rounded as IEEE 754 says, one at a time, and so to the same bits everywhere.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from augment.kernels import kinds, maps

UNIT = 1 << 16
"""How many parts a pixel has: the six digits of a YOLO file come back, of images from 16 to 16,384 pixels."""
_HALF = UNIT // 2

Matrix = tuple[int, ...]
"""A projective map, row by row, of places in homogeneous coordinates: nine whole numbers of any length."""


@dataclasses.dataclass(frozen=True)
class Straight:
    """What a crop, a turn, a resize, an affine or a perspective map does: lines stay lines."""

    matrix: Matrix
    """from the image to the output; the divisor is above 0 for all that is seen"""
    size: maps.Size
    """of the output"""
    shows_all: bool = False
    """whether all of the image is in the output"""
    turns: bool = False
    """whether places go to places, whole ones to whole ones, and no more happens"""

    @functools.cached_property
    def upright(self) -> bool:
        """Whether upright boxes stay upright."""
        a, b, _, d, e, _, g, h, _ = self.matrix
        return not (g or h) and (not (b or d) or not (a or e))

    @property
    def kind(self) -> int:
        """Its place among moves of different kinds (`Geometry.stages`)."""
        return 0 if self.turns else 1

    @functools.cached_property
    def mirrors(self) -> bool:
        """Whether a left hand comes to look like a right one."""
        return _determinant(self.matrix) < 0

    def __call__(self, places: np.ndarray) -> np.ndarray:
        """float64 [n, 2] to float64 [n, 2]: NaN for what lies at the horizon or behind it."""
        return shown_at(lines_at(places, np.array([self.numbers])))

    @functools.cached_property
    def numbers(self) -> tuple[float, ...]:
        """Of seven lines a x + b y + c all a, all b and all c, then where the output's frame ends, x and y.

        The first three come to a place's column, row and divisor. The others are below 0 for what the frame
        does not show; they are 0 where there is nothing to cut off.
        """
        a, b, c, d, e, f, g, h, i = self.matrix
        height, width = self.size[0] * UNIT, self.size[1] * UNIT
        lines: Matrix
        if self.shows_all:
            lines = (a, d, g, 0, 0, 0, 0, b, e, h, 0, 0, 0, 0, c, f, i, 0, 0, 0, 0)
        elif any(self.matrix):
            lines = (
                *(a, d, g, a, width * g - a, d, height * g - d),
                *(b, e, h, b, width * h - b, e, height * h - e),
                *(c, f, i, c, width * i - c, f, height * i - f),
            )
        else:
            lines = (*[0] * 17, *[-1] * 4)
        return tuple(map(float, (*lines, width, height)))


def lines_at(places: np.ndarray, numbers: np.ndarray, count: int = 7) -> np.ndarray:
    """float64 [count, n]: what the first lines of `Straight.numbers` come to at places, float64 [n, 2].

    `numbers` are those of each place, float64 [n, 23], or of all, [1, 23].
    """
    x, y = places.T
    a, b, c = (np.ascontiguousarray(numbers[:, begin : begin + count].T) for begin in (0, 7, 14))
    return a * x + b * y + c


def shown_at(lines: np.ndarray) -> np.ndarray:
    """float64 [n, 2]: the places at which that is shown; NaN for what lies at the horizon or behind it."""
    divisor = lines[2]
    ahead = divisor > 0
    if ahead.all():
        return (lines[:2] / divisor).T
    return np.divide(lines[:2], divisor, out=np.full((2, len(divisor)), np.nan), where=ahead).T


@functools.lru_cache(maxsize=1024)
def frame(size: maps.Size) -> Straight:
    """Everything stays; what lies outside of the frame is not seen."""
    return Straight((1, 0, 0, 0, 1, 0, 0, 0, 1), size)


STILL = Straight((1, 0, 0, 0, 1, 0, 0, 0, 1), (1 << 30, 1 << 30), shows_all=True, turns=True)
"""What happens to a sample while others are moved."""


@dataclasses.dataclass(frozen=True, eq=False)
class Bent:
    """What an elastic map does. A line has to be moved in pieces (`piece`)."""

    map: maps.Displaced
    size: maps.Size

    mirrors = upright = False
    kind = 2

    def __call__(self, places: np.ndarray) -> np.ndarray:
        """float64 [n, 2] to float64 [n, 2]: NaN for what has no place.

        An output place q shows the place q + d(q), where d is bilinear between pixels and constant
        outside of their middles. From q = p on, q moves by p - q - d(q) until no more than a
        2,048th of a pixel of that is left along either axis; after 50 times by a quarter of it, for the map
        may shrink to less than half. What is off by more than a 32nd of a pixel after 200 times has no place:
        the map folds there, which elastic maps do not.
        """
        moved = np.full(places.shape, np.nan)
        moving = np.flatnonzero(~np.isnan(places).any(axis=1))
        at = moved[moving] = places[moving]
        for count in range(200):
            off = places[moving] - at - self._displaced(at)
            far = np.abs(off).max(axis=1) > UNIT >> 11
            moving = moving[far]
            if not len(moving):
                return moved
            at = at[far] + off[far] * (1 if count < 50 else 1 / 4)
            moved[moving] = at
        off = np.abs(places[moving] - at - self._displaced(at)).max(axis=1)
        moved[moving[off > UNIT >> maps.PLACE_BITS]] = np.nan
        return moved

    @functools.cached_property
    def piece(self) -> float:
        """How long a piece of a line may be that stays straight, in 65,536ths; a pixel at least.

        A chord of length s strays from a curve by s s / 8 times how fast its slope changes, and may
        by an eighth of a pixel, as long as d stretches nothing; d's second differences tell how fast.
        """
        field = self._field.reshape(*self.size, 2)
        change = max(np.abs(np.diff(field, 2, axis=axis)).max(initial=0) for axis in (0, 1))
        return max(UNIT * math.sqrt(UNIT / max(change, 1)), UNIT)

    def _displaced(self, at: np.ndarray) -> np.ndarray:
        height, width = self.size
        pixels = np.clip((at - _HALF) / UNIT, 0, [width - 1, height - 1])
        corner = pixels.astype(np.int64)
        u, v = (pixels - corner).T[..., np.newaxis]
        left, top = corner.T
        index = top * width + left
        right, below = (left < width - 1) * 1, (top < height - 1) * width
        above = self._field[index] * (1 - u) + self._field[index + right] * u
        index += below
        return above * (1 - v) + (self._field[index] * (1 - u) + self._field[index + right] * u) * v

    @functools.cached_property
    def _field(self) -> np.ndarray:
        """float64 [H W, 2]: d at the middle of each pixel, in 65,536ths."""
        parts = np.stack([self.map.columns, self.map.rows], -1).reshape(-1, 2)
        return parts * float(UNIT >> maps.PLACE_BITS)


Move = Straight | Bent


def move_of(kernel: kinds.Kernel, size: maps.Size) -> Move:
    """Where a kernel takes the places of an image of `size`; it must be one that moves pixels."""
    return _MOVES[type(kernel)](kernel, size)


def _window(k: kinds.Window, size: maps.Size) -> Straight:
    return _shifted(int(k.left), int(k.top), (k.height, k.width))


def _orient(k: kinds.Orient, size: maps.Size) -> Straight:
    return _oriented(bool(k.transposed), bool(k.rows), bool(k.columns), size)


def _resize(k: kinds.Resize, size: maps.Size) -> Straight:
    box = None if k.box is None else tuple(int(v) for v in k.box)
    return _resized(box, (k.height, k.width), size)


# Kept, for they are few, and the same for very many samples.


@functools.lru_cache(maxsize=1024)
def _shifted(left: int, top: int, size: maps.Size) -> Straight:
    return _straight((1, 0, -left * UNIT, 0, 1, -top * UNIT, 0, 0, 1), size)


@functools.lru_cache(maxsize=1024)
def _oriented(transposed: bool, rows: bool, columns: bool, size: maps.Size) -> Straight:
    height, width = size[::-1] if transposed else size
    across, down = ([0, 1, 0], [1, 0, 0]) if transposed else ([1, 0, 0], [0, 1, 0])
    if rows:
        down = [-down[0], -down[1], height * UNIT]
    if columns:
        across = [-across[0], -across[1], width * UNIT]
    return Straight((*across, *down, 0, 0, 1), (height, width), shows_all=True, turns=True)


@functools.lru_cache(maxsize=1024)
def _resized(box: tuple[int, ...] | None, to: maps.Size, size: maps.Size) -> Straight:
    top, left, height, width = (0, 0, *size) if box is None else box
    x, y = to[1] * height, to[0] * width
    matrix = (x, 0, -x * left * UNIT, 0, y, -y * top * UNIT, 0, 0, height * width)
    return _straight(matrix, to, shows_all=box is None)


def _warp(k: kinds.Warp, size: maps.Size) -> Move:
    if isinstance(k.map, maps.Displaced):
        return Bent(k.map, size)
    m = k.map.matrix.tolist()
    source = m if isinstance(k.map, maps.Projective) else [*m, 0, 0, 1 << maps.AFFINE_BITS]
    return _straight(_inverse(_of_places(source)), size)


def _of_places(m: Sequence[int]) -> Matrix:
    """A map of pixels, with whole numbers in their middles, as one of places."""
    a, b, c, d, e, f, g, h, i = m
    c, f, i = UNIT * c - _HALF * (a + b), UNIT * f - _HALF * (d + e), UNIT * i - _HALF * (g + h)
    return (
        *(UNIT * a + _HALF * g, UNIT * b + _HALF * h, UNIT * c + _HALF * i),
        *(UNIT * d + _HALF * g, UNIT * e + _HALF * h, UNIT * f + _HALF * i),
        *(g, h, i),
    )


def _straight(matrix: Matrix, size: maps.Size, *, shows_all: bool = False) -> Straight:
    """With the shortest numbers, which float64 holds exactly more often."""
    divisor = math.gcd(*matrix) or 1
    return Straight(tuple([value // divisor for value in matrix]), size, shows_all)


def _determinant(m: Matrix) -> int:
    a, b, c, d, e, f, g, h, i = m
    return a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)


def _inverse(m: Matrix) -> Matrix:
    """Up to a factor, by which the divisor of all that is seen is above 0; zeros if there is none."""
    a, b, c, d, e, f, g, h, i = m
    determinant = _determinant(m)
    sign = (determinant > 0) - (determinant < 0)
    adjugate = (
        *(e * i - f * h, c * h - b * i, b * f - c * e),
        *(f * g - d * i, a * i - c * g, c * d - a * f),
        *(d * h - e * g, b * g - a * h, a * e - b * d),
    )
    return tuple([sign * value for value in adjugate])


_MOVES: dict[type[kinds.Kernel], Any] = {
    kinds.Window: _window,
    kinds.Orient: _orient,
    kinds.Resize: _resize,
    kinds.Warp: _warp,
}
MOVING = tuple(_MOVES)
"""The kernels that move pixels."""
