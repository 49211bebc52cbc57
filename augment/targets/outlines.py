"""Closed lines in number, such as boxes' edges and polygons: moved, and cut where the frame ends."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np

from augment.kernels.maps import Size
from augment.targets.places import UNIT, Bent, Move, Straight, corner, frame


class Outlines:
    """Polygons, and how much of each is left."""

    part: np.ndarray
    """float64 [polygons]: which part of what it was at first is still seen, of its area; from 1 to 0"""
    _corners: np.ndarray
    """float64 [corners, 2]: all of the first polygon, then of the second, ..."""
    _owner: np.ndarray
    """int64 [corners]: the number of the polygon that each belongs to; none where nothing is left"""
    _first: np.ndarray
    """int64 [polygons of which something is left]: where their first corner is"""
    _before: np.ndarray
    """int64 [corners]: the corner before each, around its polygon"""

    def __init__(self, corners: np.ndarray, counts: Sequence[int]) -> None:
        """Of int64 [corners, 2], of which each polygon has so many."""
        self.part = np.ones(len(counts))
        self._corners = corners.astype(np.float64)
        self._owner, self._first, self._before = _order_of(tuple(counts))

    def _become(self, corners: np.ndarray, owner: np.ndarray) -> None:
        self._corners, self._owner = corners, owner
        self._first, self._before = _order(owner)

    def move(self, move: Move) -> None:
        """As one kernel moves pixels; what its output does not show is cut off.

        Where lines stay lines, the cut is made in the image, whose area says how much is left:
        there is a horizon in the output. Where they bend, it is made in the output.
        """
        if isinstance(move, Straight) and move.turns:
            self._corners = move(self._corners)
            return
        if isinstance(move, Bent):
            self._divide(move.piece)
            self._corners = move(self._corners)
            self._leave(~np.isnan(self._corners).any(axis=1))
            self._cut(frame(move.size).sides)
        else:
            if not move.shows_all:
                self._cut(move.sides)
            self._corners = move(self._corners)
        self._corners = _rounded(self._corners, move.size)
        flat = self.areas() < UNIT  # a 65,536th of a square pixel, for float64 may make that of nothing
        if flat.any():
            self.part[flat] = 0
            self._leave(~flat[self._owner])

    def hulls(self) -> np.ndarray:
        """float64 [polygons, 4]: x0, y0, x1, y1; zeros where nothing is left."""
        hulls = np.zeros((len(self.part), 4))
        if len(self._owner):
            there = self._owner[self._first]
            hulls[there, :2] = np.minimum.reduceat(self._corners, self._first)
            hulls[there, 2:] = np.maximum.reduceat(self._corners, self._first)
        return hulls

    def polygons(self) -> list[np.ndarray]:
        """float64 [m, 2] each; [0, 2] where nothing is left."""
        ends = np.searchsorted(self._owner, np.arange(len(self.part)), side="right")
        return np.split(self._corners, ends)[:-1]

    def _leave(self, stays: np.ndarray) -> None:
        if not stays.all():
            self._become(self._corners[stays], self._owner[stays])

    def areas(self) -> np.ndarray:
        """float64 [polygons], in square 65,536ths of a pixel; summed in order, and so alike everywhere."""
        x, y = self._corners.T
        before = self._corners[self._before]
        terms = before[:, 0] * y - x * before[:, 1]
        return np.abs(np.bincount(self._owner, terms, len(self.part))) / 2

    def _cut(self, sides: np.ndarray) -> None:
        """Leaves what lies in all of the half planes.

        Sutherland and Hodgman, "Reentrant polygon clipping" (1974), for all polygons at once: along
        each edge, what it has in common with the side comes first, then its end if it lies within.
        """
        crossed = (_distances(self._corners, sides[:, np.newaxis]) < 0).any(axis=1)
        if not crossed.any():
            return
        whole = self.areas()
        for side in sides[crossed]:
            end, end_distance = self._corners, _distances(self._corners, side)
            begin, distance = end[self._before], end_distance[self._before]
            outside = end_distance < 0
            crosses = outside != outside[self._before]
            along = np.divide(distance, distance - end_distance, out=np.zeros(len(end)), where=crosses)
            both, seen = np.empty((len(end), 2, 2)), np.empty((len(end), 2), np.bool_)
            both[:, 0], both[:, 1] = begin + (end - begin) * along[:, np.newaxis], end
            seen[:, 0], seen[:, 1] = crosses, ~outside
            self._become(both[seen], np.repeat(self._owner, np.count_nonzero(seen, axis=1)))
        self.part *= np.divide(self.areas(), whole, out=np.zeros(len(whole)), where=whole > 0)

    def _divide(self, longest: float) -> None:
        """Puts corners into edges, so that none is longer along either axis."""
        begin = self._corners[self._before]
        step = self._corners - begin
        pieces = np.maximum(np.ceil(np.abs(step).max(axis=1, initial=0) / longest), 1).astype(np.int64)
        edge = np.repeat(np.arange(len(pieces)), pieces)
        number = np.arange(1, len(edge) + 1) - np.repeat(np.cumsum(pieces) - pieces, pieces)
        self._become(begin[edge] + step[edge] * (number / pieces[edge])[:, np.newaxis], self._owner[edge])


def _distances(places: np.ndarray, side: np.ndarray) -> np.ndarray:
    """float64 [..., n]: below 0 for those places [n, 2] that do not lie in a half plane [..., 3]."""
    x, y = places.T
    return side[..., 0] * x + side[..., 1] * y + side[..., 2]


def _rounded(places: np.ndarray, size: Size) -> np.ndarray:
    """To whole 65,536ths, half up, and into the frame, which cuts have left by no more than they are off."""
    whole = np.floor(places + 0.5)
    np.maximum(whole, 0, out=whole)
    return np.minimum(whole, corner(size), out=whole)


def _order(owner: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where the first corner of each polygon is, and the corner before each."""
    changes = np.flatnonzero(owner[1:] != owner[:-1])
    first = np.concatenate([[0], changes + 1])[: len(owner)]
    before = np.arange(-1, len(owner) - 1)
    before[first] = np.concatenate([changes, [len(owner) - 1]])[: len(owner)]
    return first, before


@functools.lru_cache(maxsize=1024)
def _order_of(counts: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The owner of each corner, and `_order` of it: the same for many images with equally many boxes."""
    owner = np.repeat(np.arange(len(counts)), counts)
    return owner, *_order(owner)
