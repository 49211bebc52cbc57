"""Closed lines in number, such as boxes' edges and polygons: moved, and cut where the frame ends."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Sequence

import numpy as np

from augment.kernels.maps import Size
from augment.targets.places import UNIT, Bent, Move, Side, frame

Corner = tuple[float, float]

_NOTHING = np.zeros((0, 2))


@dataclasses.dataclass
class Outlines:
    """Polygons within a frame, and how much of each is left."""

    corners: list[np.ndarray]
    """float64 [m, 2] each, whole 256ths of a pixel; [0, 2] where nothing is left"""
    part: list[float]
    """which part of what it was at first is still seen, of its area; from 1 to 0"""

    def move(self, move: Move) -> None:
        """As one kernel moves pixels; what its output does not show is cut off.

        Where lines stay lines, the cut is made in the image, whose area says how much is left:
        there is a horizon in the output. Where they bend, it is made in the output.
        """
        if isinstance(move, Bent):
            self.corners = [_in_pieces(corners, move.piece) for corners in self.corners]
            self._each(move)
            self.corners = [corners[~np.isnan(corners).any(axis=1)] for corners in self.corners]
            self.cut(frame(move.size).sides())
            self._each(lambda places: rounded(places, move.size))
        else:
            self.cut(move.sides())
            self._each(lambda places: rounded(move(places), move.size))
        self._forget_flat()

    def _forget_flat(self) -> None:
        """Nothing is left of what has no area."""
        there = self._there()
        if not there:
            return
        corners = np.concatenate([self.corners[i] for i in there]).astype(np.int64)
        starts, ends = self._bounds(there)
        after = np.arange(1, len(corners) + 1)
        after[ends - 1] = starts
        x, y = corners.T
        twice = np.add.reduceat(x * y[after] - x[after] * y, starts)
        for n in np.flatnonzero(twice == 0):
            self.corners[there[n]], self.part[there[n]] = _NOTHING, 0.0

    def _there(self) -> list[int]:
        return [i for i, corners in enumerate(self.corners) if len(corners)]

    def _bounds(self, there: list[int]) -> tuple[np.ndarray, np.ndarray]:
        """int64 [n] each: where the corners begin and end, if they are laid end to end."""
        ends = np.cumsum([len(self.corners[i]) for i in there])
        return np.concatenate([[0], ends[:-1]]), ends

    def _each(self, change: Callable[[np.ndarray], np.ndarray]) -> None:
        if not self.corners:
            return
        together = change(np.concatenate(self.corners))
        self.corners = np.split(together, np.cumsum([len(c) for c in self.corners])[:-1])

    def cut(self, sides: Sequence[Side]) -> None:
        """Leaves what lies on the right side of lines: a x + b y + c >= 0 for each (a, b, c)."""
        there = self._there()
        if not there:
            return
        x, y = np.concatenate([self.corners[i] for i in there]).T
        starts, _ = self._bounds(there)
        crossing, gone = np.zeros((2, len(there)), bool)
        for a, b, c in sides:
            outside = a * x + b * y + c < 0
            crossing |= np.logical_or.reduceat(outside, starts)
            gone |= np.logical_and.reduceat(outside, starts)
        for n in np.flatnonzero(crossing):
            i = there[n]
            before = [(float(x), float(y)) for x, y in self.corners[i]]
            after = [] if gone[n] else functools.reduce(_beside, sides, before)
            left = area(after)
            self.corners[i] = np.array(after) if left else _NOTHING
            self.part[i] *= left / area(before) if left else 0.0


def _beside(corners: list[Corner], side: Side) -> list[Corner]:
    """What of a polygon lies on the right side of a line: Sutherland and Hodgman, "Reentrant polygon
    clipping" (1974)."""
    a, b, c = side
    kept = []
    distances = [a * x + b * y + c for x, y in corners]
    for i, (x, y) in enumerate(corners):
        distance, before = distances[i], distances[i - 1]
        if (distance < 0) != (before < 0):
            t = before / (before - distance)
            from_x, from_y = corners[i - 1]
            kept.append((from_x + (x - from_x) * t, from_y + (y - from_y) * t))
        if distance >= 0:
            kept.append((x, y))
    return kept


def area(corners: Sequence[Corner]) -> float:
    """Of a polygon, in square 256ths of a pixel. The sum is rounded once, and alike everywhere."""
    if len(corners) < 3:
        return 0.0
    x0, y0 = corners[0]  # as the origin, it keeps the products small
    near = [(x - x0, y - y0) for x, y in corners]
    terms = (x * near[i - 1][1] - near[i - 1][0] * y for i, (x, y) in enumerate(near))
    return abs(math.fsum(terms)) / 2


def rounded(places: np.ndarray, size: Size) -> np.ndarray:
    """To whole numbers, half up, and into the frame."""
    return np.clip(np.floor(places + 0.5), 0, [size[1] * UNIT, size[0] * UNIT])


def _in_pieces(corners: np.ndarray, longest: float) -> np.ndarray:
    """The same polygon with more corners, so that no edge is longer along either axis."""
    if not len(corners):
        return corners
    step = np.roll(corners, -1, axis=0) - corners
    pieces = np.maximum(np.ceil(np.abs(step).max(axis=1) / longest), 1).astype(np.int64)
    edge = np.repeat(np.arange(len(corners)), pieces)
    number = np.arange(len(edge)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    return corners[edge] + step[edge] * (number / pieces[edge])[:, np.newaxis]
