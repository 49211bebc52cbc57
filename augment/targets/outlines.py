"""Closed lines in number, such as boxes' edges and polygons: moved, and cut where the frame ends."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from augment.kernels.maps import Size
from augment.targets.places import UNIT, Bent, Move, Side, frame


@dataclasses.dataclass
class Outlines:
    """Polygons, and how much of each is left."""

    corners: np.ndarray
    """float64 [corners, 2]: all of the first polygon, then of the second, ..."""
    owner: np.ndarray
    """int64 [corners]: the number of the polygon that each belongs to; none where nothing is left"""
    part: np.ndarray
    """float64 [polygons]: which part of what it was at first is still seen, of its area; from 1 to 0"""

    @classmethod
    def of(cls, polygons: Sequence[np.ndarray]) -> Outlines:
        """Of int64 [m, 2] each."""
        owner = np.repeat(np.arange(len(polygons)), [len(polygon) for polygon in polygons])
        corners = np.concatenate([np.zeros((0, 2)), *polygons])
        return cls(corners, owner, np.ones(len(polygons)))

    def move(self, move: Move) -> None:
        """As one kernel moves pixels; what its output does not show is cut off.

        Where lines stay lines, the cut is made in the image, whose area says how much is left:
        there is a horizon in the output. Where they bend, it is made in the output.
        """
        if isinstance(move, Bent):
            self._divide(move.piece)
            self.corners = move(self.corners)
            self._leave(~np.isnan(self.corners).any(axis=1))
            self._cut(frame(move.size).sides())
        else:
            self._cut(move.sides())
            self.corners = move(self.corners)
        self.corners = _rounded(self.corners, move.size)
        flat = self._areas() == 0
        self.part[flat] = 0
        self._leave(~flat[self.owner])

    def hulls(self) -> np.ndarray:
        """float64 [polygons, 4]: x0, y0, x1, y1; zeros where nothing is left."""
        hulls = np.zeros((len(self.part), 4))
        if len(self.owner):
            first = self._first()
            hulls[self.owner[first], :2] = np.minimum.reduceat(self.corners, first)
            hulls[self.owner[first], 2:] = np.maximum.reduceat(self.corners, first)
        return hulls

    def polygons(self) -> list[np.ndarray]:
        """float64 [m, 2] each; [0, 2] where nothing is left."""
        ends = np.searchsorted(self.owner, np.arange(len(self.part)), side="right")
        return np.split(self.corners, ends)[:-1]

    def _leave(self, stays: np.ndarray) -> None:
        if not stays.all():
            self.corners, self.owner = self.corners[stays], self.owner[stays]

    def _first(self) -> np.ndarray:
        """Which corners are the first of their polygon."""
        return np.flatnonzero(np.diff(self.owner, prepend=-1))

    def _before(self) -> np.ndarray:
        """int64 [corners]: the corner before each, around its polygon."""
        before = np.arange(-1, len(self.owner) - 1)
        first = self._first()
        before[first] = np.append(first[1:], len(self.owner)) - 1
        return before

    def _areas(self) -> np.ndarray:
        """float64 [polygons], in square 256ths of a pixel; summed in order, and so alike everywhere."""
        x, y = self.corners.T
        before = self._before()
        terms = x[before] * y - x * y[before]
        return np.abs(np.bincount(self.owner, terms, len(self.part))) / 2

    def _cut(self, sides: Sequence[Side]) -> None:
        """Leaves what lies in all of the half planes.

        Sutherland and Hodgman, "Reentrant polygon clipping" (1974), for all polygons at once: along
        each edge, what it has in common with the side comes first, then its end if it lies within.
        """
        whole = None
        for a, b, c in sides:
            x, y = self.corners.T
            distance = a * x + b * y + c
            outside = distance < 0
            if not outside.any():
                continue
            whole = self._areas() if whole is None else whole
            before = self._before()
            crosses = outside != outside[before]
            start, end = distance[before], distance
            along = np.divide(start, start - end, out=np.zeros(len(end)), where=crosses)
            begin = self.corners[before]
            both = np.stack([begin + (self.corners - begin) * along[:, np.newaxis], self.corners], axis=1)
            seen = np.stack([crosses, ~outside], axis=1)
            self.corners, self.owner = both[seen], np.repeat(self.owner, seen.sum(axis=1))
        if whole is not None:
            self.part *= np.divide(self._areas(), whole, out=np.zeros(len(whole)), where=whole > 0)

    def _divide(self, longest: float) -> None:
        """Puts corners into edges, so that none is longer along either axis."""
        before = self._before()
        begin = self.corners[before]
        step = self.corners - begin
        pieces = np.maximum(np.ceil(np.abs(step).max(axis=1, initial=0) / longest), 1).astype(np.int64)
        edge = np.repeat(np.arange(len(pieces)), pieces)
        number = np.arange(1, len(edge) + 1) - np.repeat(np.cumsum(pieces) - pieces, pieces)
        self.corners = begin[edge] + step[edge] * (number / pieces[edge])[:, np.newaxis]
        self.owner = self.owner[edge]


def _rounded(places: np.ndarray, size: Size) -> np.ndarray:
    """To whole 256ths, half up, and into the frame, which cuts have left by no more than they are off."""
    return np.clip(np.floor(places + 0.5), 0, [size[1] * UNIT, size[0] * UNIT])
