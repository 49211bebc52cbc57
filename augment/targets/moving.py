"""What becomes of an annotation when its image is augmented."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from augment.targets.annotations import Object
from augment.targets.geometry import LEAST_PART, Geometry, corners_of
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
    mask = mask if mask is None else geometry.mask(mask)
    if not objects:
        return Moved((), (), (), (), mask)
    boxes, polygons, part = _outlines(objects, geometry)
    kept = (part >= LEAST_PART) & (part > 0)
    points = _keypoints(objects, geometry, pairs)
    found = tuple(
        Object(one.name, (box[0], box[1], box[2], box[3]), outline, keypoints, one.crowd)
        for one, box, outline, keypoints, stays in zip(
            objects, boxes, polygons, points, kept.tolist(), strict=True
        )
        if stays
    )
    numbers, seen = np.flatnonzero(kept).tolist(), part.tolist()
    return Moved(
        found,
        tuple(numbers),
        tuple((i, seen[i]) for i in numbers if seen[i] < 1),
        tuple((i, seen[i]) for i in np.flatnonzero(~kept).tolist()),
        mask,
    )


def _outlines(
    objects: tuple[Object, ...], geometry: Geometry
) -> tuple[list[list[int]], list[tuple[tuple[int, ...], ...]], np.ndarray]:
    """Moved boxes, moved polygons by object, and which part of each object is seen.

    That goes by the areas that its polygons had, if it has any.
    """
    corners = corners_of(np.array([one.box for one in objects], np.int64))
    counts = [4] * len(objects)
    given = [polygon for one in objects for polygon in one.polygons]
    if not given:
        lines = geometry.outlines(corners, counts)
        return lines.hulls().astype(np.int64).tolist(), [()] * len(objects), lines.part
    flat = np.array([place for polygon in given for place in polygon], np.int64).reshape(-1, 2)
    corners, counts = np.concatenate([corners, flat]), counts + [len(polygon) // 2 for polygon in given]
    whole = Outlines(corners, counts).areas()
    lines = geometry.outlines(corners, counts)
    hulls = lines.hulls().astype(np.int64)
    boxes = hulls[: len(objects)].tolist()
    moved = lines.polygons()[len(objects) :]
    part, owned = lines.part[: len(objects)].copy(), lines.part * whole
    outlines, at = [], len(objects)
    for i, one in enumerate(objects):
        its = slice(at, at := at + len(one.polygons))
        shown = moved[its.start - len(objects) : its.stop - len(objects)]
        outlines.append(tuple(tuple(line.astype(np.int64).ravel().tolist()) for line in shown if len(line)))
        flat = boxes[i][0] == boxes[i][2] or boxes[i][1] == boxes[i][3]
        if shown and (flat or not geometry.upright):
            there = hulls[its][[len(line) > 0 for line in shown]]
            if len(there):
                boxes[i] = [*there[:, :2].min(axis=0).tolist(), *there[:, 2:].max(axis=0).tolist()]
        if one.polygons:
            total = sum(whole[its].tolist())
            part[i] = min(sum(owned[its].tolist()) / total, 1.0) if total else 0
    return boxes, outlines, part


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
