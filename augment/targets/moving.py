"""What becomes of an annotation when its image is augmented."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from augment.targets.annotations import Object
from augment.targets.geometry import LEAST_PART, Geometry, corners_of, outlines
from augment.targets.outlines import Outlines

Parts = tuple[tuple[int, float], ...]
"""Of some objects the place in the annotation, and which part of it is seen."""


class Moved(NamedTuple):
    """The targets of one sample, in its own coordinates."""

    objects: tuple[Object, ...]
    """those that are still seen"""
    numbers: tuple[int, ...]
    """their places in the annotation"""
    clipped: Parts
    """of them those that the frame cuts"""
    dropped: Parts
    """the others"""
    mask: np.ndarray | None
    """uint8 [H, W], if there is one"""


def moved(
    objects: tuple[Object, ...],
    mask: np.ndarray | None,
    geometry: Geometry,
    pairs: tuple[tuple[int, int], ...] = (),
) -> Moved:
    """Objects and a mask, uint8 [H, W], as the image moves.

    An object goes by its outline where it has one, else by its box; it is dropped if less than a tenth of
    that is seen (LEAST_PART). A box moves as a box; but where the image is turned or bent, that of an object
    with an outline is the hull of that, which is tighter. Keypoints that leave the frame are not labeled any
    more; where left and right are exchanged, those of `pairs` change places.
    """
    return moved_each([(objects, mask, geometry)], pairs)[0]


def moved_each(
    given: Sequence[tuple[tuple[Object, ...], np.ndarray | None, Geometry]],
    pairs: tuple[tuple[int, int], ...] = (),
) -> list[Moved]:
    """The same in several samples, of one image or of several: each has its objects and mask, and moves."""
    found = []
    for (objects, mask, geometry), (boxes, polygons, part) in zip(given, _outlines(given), strict=True):
        points = _keypoints(objects, geometry, pairs)
        kept, clipped, dropped, numbers = [], [], [], []
        for i, (one, (x0, y0, x1, y1), seen) in enumerate(zip(objects, boxes, part, strict=True)):
            if not seen >= LEAST_PART:
                dropped.append((i, seen))
                continue
            kept.append(Object(one.name, (x0, y0, x1, y1), polygons[i], points[i], one.crowd))
            numbers.append(i)
            if seen < 1:
                clipped.append((i, seen))
        its = mask if mask is None else geometry.mask(mask)
        found.append(Moved(tuple(kept), tuple(numbers), tuple(clipped), tuple(dropped), its))
    return found


_Polygons = tuple[tuple[int, ...], ...]


def _outlines(
    given: Sequence[tuple[tuple[Object, ...], np.ndarray | None, Geometry]],
) -> Iterator[tuple[list[list[int]], list[_Polygons], list[float]]]:
    """In each sample: moved boxes, moved polygons by object, and which part of each object is seen."""
    drawn = [_Drawn((), _NOWHERE, ())]
    for objects, _, _ in given:
        same = objects is drawn[-1].objects  # as in the copies of one image
        drawn.append(drawn[-1] if same else _drawn(objects))
    drawn, geometries = drawn[1:], [geometry for _, _, geometry in given]
    corners, counts = [one.corners for one in drawn], [one.counts for one in drawn]
    lines = outlines(geometries, corners, counts)
    outlined = any(len(one.counts) > len(one.objects) for one in drawn)
    hulls, part = lines.hulls().astype(np.int64).tolist(), lines.part
    if outlined:
        shown, whole = lines.lines(), Outlines(corners, counts).areas()
    end = 0
    for one, geometry in zip(drawn, geometries, strict=True):
        begin, end = end, end + len(one.counts)
        if len(one.counts) == len(one.objects):
            yield hulls[begin:end], [()] * len(one.objects), part[begin:end].tolist()
            continue
        boxes, polygons = _of_outlines(
            one.objects, hulls[begin:end], shown[begin:end], tight=geometry.upright
        )
        yield boxes, polygons, _parts(one.objects, part[begin:end], whole[begin:end])


class _Drawn(NamedTuple):
    """The closed lines of an image's objects."""

    objects: tuple[Object, ...]
    corners: np.ndarray
    """int64 [corners, 2]: of all boxes, and then of all polygons"""
    counts: tuple[int, ...]
    """how many of these each line has"""


_NOWHERE = np.zeros((0, 2), np.int64)


def _drawn(objects: tuple[Object, ...]) -> _Drawn:
    if not objects:
        return _Drawn(objects, _NOWHERE, ())
    corners = corners_of(np.array([one.box for one in objects], np.int64))
    polygons = [polygon for one in objects for polygon in one.polygons]
    if polygons:
        flat = np.array([place for polygon in polygons for place in polygon], np.int64)
        corners = np.concatenate([corners, flat.reshape(-1, 2)])
    return _Drawn(objects, corners, (*[4] * len(objects), *[len(polygon) // 2 for polygon in polygons]))


def _of_outlines(
    objects: tuple[Object, ...], hulls: list[list[int]], lines: list[tuple[int, ...]], *, tight: bool
) -> tuple[list[list[int]], list[_Polygons]]:
    """Boxes, and polygons by object, of the hulls and the corners of all boxes and then of all polygons.

    `tight` says whether boxes are as tight as they were.
    """
    boxes, polygons, end = [], [], len(objects)
    for one, box in zip(objects, hulls, strict=False):
        begin, end = end, end + len(one.polygons)
        shown = [i for i in range(begin, end) if lines[i]]
        if shown and not (tight and box[0] < box[2] and box[1] < box[3]):
            left, top, right, bottom = zip(*(hulls[i] for i in shown), strict=True)
            box = [min(left), min(top), max(right), max(bottom)]
        boxes.append(box)
        polygons.append(tuple(lines[i] for i in shown))
    return boxes, polygons


def _parts(objects: tuple[Object, ...], part: np.ndarray, whole: np.ndarray) -> list[float]:
    """Which part of each object is seen: of its polygons' area, if it has any, else of its box.

    Given are the parts of all boxes and then of all polygons, and the areas that they had.
    """
    counts = [len(one.polygons) for one in objects]
    of = np.repeat(np.arange(len(objects)), counts)
    whole, seen = whole[len(objects) :], part[len(objects) :]
    total, left = (np.bincount(of, areas, len(objects)) for areas in (whole, seen * whole))
    by_polygons = np.divide(left, total, out=np.zeros(len(objects)), where=total > 0)
    parts: list[float] = np.where(counts, np.minimum(by_polygons, 1), part[: len(objects)]).tolist()
    return parts


def _keypoints(
    objects: tuple[Object, ...], geometry: Geometry, pairs: tuple[tuple[int, int], ...]
) -> list[tuple[tuple[int, int, int], ...]]:
    given = [one.keypoints for one in objects]
    if not any(given):
        return given
    count = max(map(len, given))
    points = np.array([each or ((0, 0, 0),) * count for each in given], np.int64)
    places, inside = geometry.points(points[..., :2])
    visible = np.where(inside, points[..., 2], 0)
    moved = np.concatenate([places, visible[..., np.newaxis]], -1)
    moved[visible == 0] = 0
    if geometry.mirrored and pairs:
        order = np.arange(count)
        for one, other in pairs:
            order[one], order[other] = other, one
        moved = moved[:, order]
    return [
        tuple((x, y, v) for x, y, v in its) if each else ()
        for each, its in zip(given, moved.tolist(), strict=True)
    ]
