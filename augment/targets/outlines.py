"""Closed lines in number, such as boxes' edges and polygons: moved, and cut where the frame ends."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from augment.targets.places import STILL, UNIT, Bent, Move, Straight, frame, lines_at, shown_at


class Outlines:
    """Polygons of several samples, and how much of each is left."""

    part: np.ndarray
    """float64 [polygons]: which part of what it was at first is still seen, of its area; from 1 to 0"""
    _corners: np.ndarray
    """float64 [corners, 2]: all of the first sample's first polygon, then of its second, ..."""
    _owner: np.ndarray
    """int64 [corners]: the number of the polygon that each belongs to; none where nothing is left"""
    _first: np.ndarray
    """int64 [polygons of which something is left]: where their first corner is"""
    _before: np.ndarray
    """int64 [corners]: the corner before each, around its polygon"""
    _of: np.ndarray
    """int64 [polygons]: the number of the sample that each belongs to"""

    def __init__(self, corners: Sequence[np.ndarray], counts: Sequence[Sequence[int]]) -> None:
        """Of int64 [corners, 2] of each sample, of which each of its polygons has so many."""
        self._samples = len(counts)
        self._of = np.repeat(np.arange(len(counts)), [len(its) for its in counts])
        self.part = np.ones(len(self._of))
        self._corners = np.concatenate([np.zeros((0, 2)), *corners])
        owners = np.array(list(itertools.chain.from_iterable(counts)), np.int64)
        self._owner = np.repeat(np.arange(len(owners)), owners)
        self._first, self._before = _order(self._owner)

    def _become(self, corners: np.ndarray, owner: np.ndarray) -> None:
        self._corners, self._owner = corners, owner
        self._first, self._before = _order(owner)

    def move(self, moves: Sequence[Move]) -> None:
        """As one kernel of each sample moves its pixels; what its output does not show is cut off.

        All are of one `kind`, or STILL. Where lines stay lines, the cut is made in the image, whose area says
        how much is left: there is a horizon in the output. Where they bend, it is made in the output.
        """
        if all(move is STILL for move in moves):
            return
        straight = [move if isinstance(move, Straight) else frame(move.size) for move in moves]
        if any(isinstance(move, Bent) for move in moves):
            self._bend(moves)
        numbers = _numbers_of(straight)
        count = 3 if all(move.shows_all for move in straight) else 7
        lines = lines_at(self._corners, self._of_corners(numbers), count)
        outside = lines[3:] < 0
        if outside.any():
            self._cut(straight, outside)
            lines = lines_at(self._corners, self._of_corners(numbers), 3)
        self._corners = shown_at(lines)
        if all(move.turns for move in straight):
            return
        # To whole 65,536ths, half up, and into the frame, which cuts have left by no more than they are off.
        whole = np.floor(self._corners + 0.5)
        np.maximum(whole, 0, out=whole)
        self._corners = np.minimum(whole, self._of_corners(numbers[:, -2:]), out=whole)
        flat = self.areas() < UNIT  # a 65,536th of a square pixel, for float64 may make that of nothing
        if flat.any():
            flat &= np.array([not move.turns for move in straight]).take(self._of)
            self.part[flat] = 0
            self._leave(~flat[self._owner])

    def _of_corners(self, values: np.ndarray) -> np.ndarray:
        """Of [samples, ...] what each corner's sample has, [corners, ...]; of [1, ...] that."""
        return values if len(values) == 1 else values.take(self._sample(), axis=0)

    def _sample(self) -> np.ndarray:
        """int64 [corners]: the number of the sample that each belongs to."""
        return self._of.take(self._owner)

    def hulls(self) -> np.ndarray:
        """float64 [polygons, 4]: x0, y0, x1, y1; zeros where nothing is left."""
        hulls = np.zeros((len(self.part), 4))
        if len(self._owner):
            there = self._owner[self._first]
            hulls[there, :2] = np.minimum.reduceat(self._corners, self._first)
            hulls[there, 2:] = np.maximum.reduceat(self._corners, self._first)
        return hulls

    def lines(self) -> list[tuple[int, ...]]:
        """x, y, x, y, ... of each polygon's corners; none where nothing is left."""
        flat = self._corners.astype(np.int64).ravel().tolist()
        ends = (2 * np.searchsorted(self._owner, np.arange(len(self.part)), side="right")).tolist()
        return [tuple(flat[begin:end]) for begin, end in zip([0, *ends], ends, strict=False)]

    def _leave(self, stays: np.ndarray) -> None:
        if not stays.all():
            self._become(self._corners[stays], self._owner[stays])

    def areas(self) -> np.ndarray:
        """float64 [polygons], in square 65,536ths of a pixel; summed in order, and so alike everywhere."""
        x, y = self._corners.T
        terms = x.take(self._before) * y - x * y.take(self._before)
        return np.abs(np.bincount(self._owner, terms, len(self.part))) / 2

    def _cut(self, moves: Sequence[Straight], outside: np.ndarray) -> None:
        """Leaves what lies in those half planes of each sample's move that not all of its corners lie in.

        Which they do not is `outside`, bool [4, corners].

        Sutherland and Hodgman, "Reentrant polygon clipping" (1974), for all polygons at once: along
        each edge, what it has in common with the side comes first, then its end if it lies within.
        """
        crossed = np.zeros((self._samples, 4), np.bool_)
        side, at = outside.nonzero()
        crossed[self._sample().take(at), side] = True
        sides = [
            [move.numbers[3 + number : 21 : 7] for number in range(4) if its[number]]
            for move, its in zip(moves, crossed.tolist(), strict=True)
        ]
        whole = self.areas()
        for lines in itertools.zip_longest(*sides, fillvalue=(0.0, 0.0, 0.0)):
            a, b, c = self._of_corners(np.array(lines)).T
            x, y = self._corners.T
            distance = a * x + b * y + c
            outside = distance < 0
            crosses = outside != outside.take(self._before)
            begin, distance_before = self._corners.take(self._before, axis=0), distance.take(self._before)
            along = np.zeros((len(x), 1))
            np.divide(distance_before, distance_before - distance, out=along[:, 0], where=crosses)
            both, seen = np.empty((len(x), 2, 2)), np.empty((len(x), 2), np.bool_)
            both[:, 0], both[:, 1] = begin + (self._corners - begin) * along, self._corners
            seen[:, 0], seen[:, 1] = crosses, ~outside
            there = seen.ravel().nonzero()[0]
            self._become(both.reshape(-1, 2).take(there, axis=0), self._owner.take(there >> 1))
        left = np.divide(self.areas(), whole, out=np.zeros(len(whole)), where=whole > 0)
        self.part *= np.where(crossed.any(axis=1).take(self._of), left, 1)

    def _bend(self, moves: Sequence[Move]) -> None:
        self._divide(np.array([move.piece if isinstance(move, Bent) else np.inf for move in moves]))
        ends = np.searchsorted(self._sample(), range(1, self._samples))
        parts = np.split(self._corners, ends)
        self._corners = np.concatenate([move(part) for move, part in zip(moves, parts, strict=True)])
        self._leave(~np.isnan(self._corners).any(axis=1))

    def _divide(self, longest: np.ndarray) -> None:
        """Puts corners into edges, so that none is longer along either axis than a sample's, [samples]."""
        begin = self._corners[self._before]
        step = self._corners - begin
        parts = np.abs(step).max(axis=1, initial=0) / self._of_corners(longest)
        pieces = np.maximum(np.ceil(parts), 1).astype(np.int64)
        edge = np.repeat(np.arange(len(pieces)), pieces)
        number = np.arange(1, len(edge) + 1) - np.repeat(np.cumsum(pieces) - pieces, pieces)
        self._become(begin[edge] + step[edge] * (number / pieces[edge])[:, np.newaxis], self._owner[edge])


def _numbers_of(moves: Sequence[Straight]) -> np.ndarray:
    """float64 [samples, 23], or [1, 23] where all are the same: their `numbers`."""
    if all(move is moves[0] for move in moves):
        return np.array([moves[0].numbers])
    return np.array([number for move in moves for number in move.numbers]).reshape(len(moves), -1)


def _order(owner: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where the first corner of each polygon is, and the corner before each."""
    last = (owner[1:] != owner[:-1]).nonzero()[0]
    first, before = np.zeros(len(last) + (len(owner) > 0), np.int64), np.arange(-1, len(owner) - 1)
    first[1:] = last + 1
    before[first[:-1]] = last
    before[first[-1:]] = len(owner) - 1
    return first, before
