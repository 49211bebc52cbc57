"""Where kernels take what belongs to an image: the one door to `augment.targets`."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from augment.errors import RequestError
from augment.kernels import host, kinds
from augment.kernels.maps import Size
from augment.targets.outlines import Outlines
from augment.targets.places import MOVING, STILL, UNIT, Move, frame, move_of

LEAST_PART = 0.1
"""A box or polygon of which less is seen is not kept. Ultralytics has a tenth too."""

STAYING = (
    *(kinds.Channels, kinds.Levels, kinds.Adapt, kinds.Gray, kinds.Hue, kinds.Saturation),
    *(kinds.Enhance, kinds.Blur, kinds.Noise, kinds.Fill, kinds.Jpeg),
)
"""Kernels that change levels alone. A covered part (`Fill`) is an object still, as in torchvision."""

_KNOWN = (*MOVING, *STAYING, kinds.Choose, kinds.Blend)
_BETWEEN = UNIT // 2  # from a pixel's edge to its middle
_FAR = float(1 << 38)


class MovedPoints(NamedTuple):
    places: np.ndarray
    """int64 [..., 2], outside of the frame too; (0, 0) where there is no such place"""
    inside: np.ndarray
    """bool [...]: whether the point is still seen"""


class MovedBoxes(NamedTuple):
    boxes: np.ndarray
    """int64 [n, 4] within the frame; zeros where nothing is seen"""
    part: np.ndarray
    """float64 [n]: which part of its area is still seen"""
    kept: np.ndarray
    """bool [n]: whether that is enough"""


class MovedPolygons(NamedTuple):
    polygons: list[np.ndarray]
    """int64 [m, 2] each, within the frame; [0, 2] where nothing is seen"""
    part: np.ndarray
    kept: np.ndarray


class Geometry:
    """Where one sample's kernels take what belongs to its image.

    Coordinates are int64 in 65,536ths of a pixel (UNIT), x before y. Those of boxes and polygons are of
    edges, as in COCO: a pixel reaches from 0 to UNIT, the frame from 0 to UNIT times its
    side. Those of keypoints are of middles, as in OpenCV, torchvision and Albumentations:
    (0, 0) is the middle of the first pixel, and the frame begins at -UNIT / 2. After every kernel
    they are rounded to the nearest whole number, half up, so that kernels moved along
    one by one give what all give together (boxes excepted, which come out narrower together).

    What leaves the frame is lost, even if a later kernel pads: it is no longer in the picture.
    Where a border mirrors or repeats the image, its copies are in the moved mask; points, boxes and
    polygons follow the original alone.

    Args:
        kernels: what an op or all of a recipe came to for one sample, on the host.
        size: height and width of the image that they are given.

    Raises RequestError if the kernels cannot move targets (`why_not`).
    """

    size: Size
    """of the output"""
    mirrored: bool
    """Whether left and right are exchanged, and with them the names of keypoints that come in pairs:
    a left eye is a right one now. So after one flip, of whichever axis, and not after two."""

    upright: bool
    """Whether upright boxes stay upright, whose hulls are then as tight as they were"""

    def __init__(self, kernels: kinds.Kernels, size: Size) -> None:
        reason = why_not(kernels)
        if reason:
            raise RequestError(f"targets cannot move with the image: {reason}")
        self._given, self.size = size, size
        self._kernels = tuple(_moving(kernels))
        self._moves = []
        self.mirrored, self.upright = False, True
        for kernel in self._kernels:
            move = move_of(kernel, self.size)
            self._moves.append(move)
            self.size = move.size
            self.mirrored ^= move.mirrors
            self.upright &= move.upright

    def mask(self, mask: np.ndarray, fill: int = 0) -> np.ndarray:
        """Moves class or instance ids as the image moves, each pixel from the nearest place.

        Args:
            mask: uint8 or int32 [H, W] or [H, W, 1].
            fill: what shows where the image gets its fill level: the id of nothing, or one that
                training leaves out, such as 255.

        Returns the same dtype and rank; it may share memory with the mask.
        """
        if mask.dtype not in (np.uint8, np.int32) or mask.shape not in (self._given, (*self._given, 1)):
            height, width = self._given
            raise ValueError(
                f"the mask is {mask.dtype} {list(mask.shape)}; it must be uint8 or int32 [{height}, {width}]"
            )
        if not np.iinfo(mask.dtype).min <= fill <= np.iinfo(mask.dtype).max:
            raise ValueError(f"fill is {fill}, which {mask.dtype} does not hold")
        kernels = tuple(_of_ids(kernel, fill) for kernel in self._kernels)
        return host.apply(kernels, mask.reshape(*self._given, 1)).reshape(*self.size, *mask.shape[2:])

    def points(self, points: np.ndarray) -> MovedPoints:
        """Moves keypoints, int64 [..., 2], of whose pixels the middles are at whole numbers."""
        _check("keypoints", points, "[..., 2]", points.shape[-1:] == (2,))
        places = points.reshape(-1, 2) + float(_BETWEEN)
        inside = _within(places, self._given)
        for move in self._moves:
            places = np.clip(np.floor(move(places) + 0.5), -_FAR, _FAR)
            inside &= _within(places, move.size)
        whole = np.where(np.isnan(places), 0, places - _BETWEEN).astype(np.int64)
        return MovedPoints(whole.reshape(points.shape), inside.reshape(points.shape[:-1]))

    def boxes(self, boxes: np.ndarray, least_part: float = LEAST_PART) -> MovedBoxes:
        """Moves upright boxes, int64 [n, 4]: x0, y0, x1, y1, the edges.

        A box becomes the hull of its moved outline, of as much as is seen. It is kept if at least
        `least_part` of its area is seen, not that of its hull, and it has an area.
        """
        _check("boxes", boxes, "[n, 4]", boxes.ndim == 2 and boxes.shape[-1] == 4)
        if (boxes[:, :2] > boxes[:, 2:]).any():
            raise ValueError("a box ends before it begins; x0 <= x1 and y0 <= y1 must hold for each")
        lines = outlines([self], [corners_of(boxes)], [[4] * len(boxes)])
        return MovedBoxes(lines.hulls().astype(np.int64), lines.part, _enough(lines, least_part))

    def polygons(self, polygons: Sequence[np.ndarray], least_part: float = LEAST_PART) -> MovedPolygons:
        """Moves polygons, int64 [m, 2] each: their corners in order. Four corners are a rotated box.

        Where the frame cuts one, its corners become other and more; what is cut in two stays joined
        along the frame's edge. An elastic map puts corners into its edges. Kept is what boxes
        are; of a polygon that crosses itself, what runs round to the left counts against what
        runs to the right.
        """
        for polygon in polygons:
            _check("polygons", polygon, "[m, 2]", polygon.ndim == 2 and polygon.shape[-1] == 2)
        corners = np.concatenate([np.zeros((0, 2), np.int64), *polygons])
        lines = outlines([self], [corners], [[len(polygon) for polygon in polygons]])
        moved = [np.array(line, np.int64).reshape(-1, 2) for line in lines.lines()]
        return MovedPolygons(moved, lines.part, _enough(lines, least_part))

    def stages(self, *, within: bool) -> list[Move]:
        """What moves closed lines, with STILL in between: so that at one place there are moves of one kind,
        whatever the sample.

        What does not lie `within` the frame is cut first, and so is what nothing else looks at.
        """
        moves = self._moves
        if not (within and any(move.kind for move in moves)):
            moves = [frame(self._given), *moves]
        stages: list[Move] = []
        for move in moves:
            stages += [STILL] * ((move.kind - len(stages)) % 3)
            stages.append(move)
        return stages

    def holds(self, places: np.ndarray) -> bool:
        """Whether there are places, int64 [n, 2], and all of them lie in the frame of the image."""
        height, width = self._given
        end = [width * UNIT, height * UNIT]
        return bool(len(places) and places.min() >= 0 and (places.max(axis=0) <= end).all())


def outlines(
    geometries: Sequence[Geometry], corners: Sequence[np.ndarray], counts: Sequence[Sequence[int]]
) -> Outlines:
    """What becomes of closed lines in several samples: at once, which takes NumPy little longer than in one.

    Args:
        geometries: of the samples.
        corners: int64 [corners, 2] of each sample's lines.
        counts: how many of these each of its lines has.
    """
    lines = Outlines(corners, counts)
    stages = (
        geometry.stages(within=geometry.holds(its)) for geometry, its in zip(geometries, corners, strict=True)
    )
    for moves in itertools.zip_longest(*stages, fillvalue=STILL):
        lines.move(moves)
    return lines


def corners_of(boxes: np.ndarray) -> np.ndarray:
    """int64 [4 n, 2]: four in order of each of boxes [n, 4]."""
    return boxes[:, [[0, 1], [2, 1], [2, 3], [0, 3]]].reshape(-1, 2)


def why_not(kernels: kinds.Kernels) -> str | None:
    """Why kernels cannot move targets, as the end of a sentence; None if they can.

    Of a batch's kernels it tells for all that an op can come to, so that a recipe can be refused
    before any work.
    """
    for kernel in kernels:
        if not isinstance(kernel, _KNOWN):
            return f"nobody has said where {type(kernel).__name__} takes pixels; leave its op out"
        for branch in getattr(kernel, "branches", ()):
            reason = why_not(branch)
            if reason:
                return reason
            if isinstance(kernel, kinds.Blend) and any(map(_moves, branch)):
                return (
                    "it blends versions of the image that were moved apart, which shows a thing in several "
                    "places at once; leave it out"
                )
    return None


def _moves(kernel: kinds.Kernel) -> bool:
    """Whether a kernel can move pixels, or one within it."""
    return isinstance(kernel, MOVING) or any(
        _moves(inner) for branch in getattr(kernel, "branches", ()) for inner in branch
    )


def _moving(kernels: kinds.Kernels) -> Iterator[kinds.Kernel]:
    """Those of one sample that move pixels, in order."""
    for kernel in kernels:
        if isinstance(kernel, kinds.Choose):
            yield from _moving(kernel.branches[int(kernel.index)])
        elif isinstance(kernel, MOVING):
            yield kernel


def _of_ids(kernel: Any, fill: int) -> kinds.Kernel:
    """The kernel that takes ids from where this one takes levels."""
    if isinstance(kernel, kinds.Window):
        return dataclasses.replace(kernel, fill=fill)
    if isinstance(kernel, kinds.Warp):
        return dataclasses.replace(kernel, interpolation="nearest", fill=fill)
    if isinstance(kernel, kinds.Resize):
        return dataclasses.replace(kernel, method="nearest")
    return kernel


def _enough(lines: Outlines, least_part: float) -> np.ndarray:
    return (lines.part > 0) & (lines.part >= least_part)


def _within(places: np.ndarray, size: Size) -> np.ndarray:
    within: np.ndarray = (places >= 0) & (places < [size[1] * UNIT, size[0] * UNIT])
    return np.asarray(within.all(axis=1))


def _check(what: str, given: np.ndarray, shape: str, fits: bool) -> None:
    if given.dtype != np.int64 or not fits:
        raise ValueError(f"{what} are {given.dtype} {list(given.shape)}; they must be int64 {shape}")
