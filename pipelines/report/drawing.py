"""What belongs to a picture, drawn over it: masks, boxes, polygons, keypoints and the names of classes.

A mask is a translucent color with an outline, a polygon and a box are lines (dashed where an object stands
for a crowd), a keypoint is a dot (hollow where it is hidden) whose color tells which one it is, so that left
and right differ. All is drawn after the picture got its size on the sheet: a line is a pixel wide, however
large a pixel of the picture is.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from augment.recipe import Shape
from augment.targets import UNIT, Annotation, Moved, Object
from pipelines.format.targets import Targets, moved_of
from pipelines.report.thumbnail import as_image

COLORS = (
    (230, 159, 0),
    (86, 180, 233),
    (0, 158, 115),
    (240, 228, 66),
    (0, 114, 178),
    (213, 94, 0),
    (204, 121, 167),
)
"""Okabe and Ito's, which people tell apart whose eyes have two kinds of cones; without black."""
_SHADES = ((0, 0.0), (255, 0.45), (0, 0.4))
"""What a class beyond the first seven is mixed with, and how much of it."""
_NAMELESS = (150, 150, 150)
_BACKGROUND = ("background", "_background_", "__background__")
_STRENGTH = 0.45
"""Of a mask's color over the picture."""
_DOT = 2.5
"""Radius of a keypoint in pixels of the sheet."""
_FRACTION = 4
"""Bits behind the point in OpenCV's places."""
_DASH = 4
_MOST_DASHED = 5_000
"""Dashes, and corners, of a line that is dashed: one that is longer is drawn whole."""
_FAR = 1 << 14
_FONT_SIZE, _MOST_LETTERS = 10, 24
_FEW = 50
"""Objects whose lines get a shadow, without which light ones are not seen on a light picture."""
_ROOM = 3
"""How many times as large as its name an object has to be."""
_MOST_NAMES = 1 / 8
"""Of the picture, beneath names."""


def drawn(
    pixels: np.ndarray,
    annotation: Annotation,
    mask: np.ndarray | None,
    classes: Sequence[str],
    scale: float = 1,
    ids: Sequence[int] = (),
) -> np.ndarray:
    """A picture with its targets over it.

    Args:
        pixels: uint8 [H, W, 1 or 3].
        annotation: in places of `pixels`.
        mask: uint8 [H, W], an id a pixel.
        classes: all of the dataset, whose order gives colors.
        scale: how large a pixel becomes: a whole number, or one over a whole number.
        ids: what stands for each of the classes in the mask; by default they count from 1. 0 is left as it
            is unless it is a class, and so is the background; other ids without a class are gray, but where
            there are no classes.

    Returns uint8 [h, w, 3], h and w being `scale` times what they were, rounded up.
    """
    canvas = _scaled(pixels, scale)
    if mask is not None:
        _paint(canvas, _scaled_ids(mask, scale), classes, ids or range(1, 256))
    colors = {name: _color(number) for number, name in enumerate(classes)}
    shapes = [_Shape.of(thing, colors.get(thing.name, _NAMELESS), scale) for thing in annotation.objects]
    shapes.sort(key=_Shape.area, reverse=True)  # the small ones on top
    if len(shapes) <= _FEW:
        _shade(canvas, shapes)
    for shape in shapes:
        _outline(canvas, shape, shape.color)
    for thing in annotation.objects:
        _dots(canvas, thing, scale)
    _names(canvas, shapes)
    return canvas


class Overlay(NamedTuple):
    """What is drawn over a picture."""

    moved: Moved
    """in places of the picture"""
    targets: Targets
    """of the dataset"""

    @classmethod
    def of_record(cls, entries: bytes, targets: Targets, shape: Shape) -> Overlay | None:
        """Of what a record has beside its image, which has this shape; None if that cannot be read."""
        try:
            return cls(moved_of(entries, targets, shape), targets)
        except ValueError:
            return None

    def drawn(self, pixels: np.ndarray, scale: float) -> np.ndarray:
        """See `drawn`."""
        annotation, names = Annotation(self.moved.objects), self.targets.classes
        return drawn(pixels, annotation, self.moved.mask, names, scale, self.targets.class_numbers)


class _Shape(NamedTuple):
    """An object in pixels of the sheet."""

    name: str
    color: tuple[int, int, int]
    box: tuple[int, int, int, int]
    """the first and the last pixels: x0, y0, x1, y1"""
    lines: list[np.ndarray]
    """float64 [n, 2] each, closed; whole numbers are middles of pixels"""
    crowd: bool

    @classmethod
    def of(cls, thing: Object, color: tuple[int, int, int], scale: float) -> _Shape:
        edges = np.clip(np.array(thing.box) * (scale / UNIT), -_FAR, _FAR)
        x0, y0 = np.floor(edges[:2] + 1e-6).astype(int).tolist()
        x1, y1 = np.maximum(np.ceil(edges[2:] - 1e-6).astype(int) - 1, [x0, y0]).tolist()
        lines = [
            np.clip(np.array(polygon).reshape(-1, 2) * (scale / UNIT) - 0.5, -_FAR, _FAR)
            for polygon in thing.polygons
        ]
        return cls(thing.name, color, (x0, y0, x1, y1), lines, thing.crowd)

    def area(self) -> int:
        x0, y0, x1, y1 = self.box
        return (x1 - x0 + 1) * (y1 - y0 + 1)


def _scaled(pixels: np.ndarray, scale: float) -> np.ndarray:
    """As sheets scale pictures: pixels stay pixels where they grow, and are averaged where they shrink."""
    image = as_image(pixels).convert("RGB")
    if scale < 1:
        return np.array(image.reduce(round(1 / scale)))
    size = (image.width * round(scale), image.height * round(scale))
    return np.array(image.resize(size, Image.Resampling.NEAREST))


def _scaled_ids(mask: np.ndarray, scale: float) -> np.ndarray:
    if scale < 1:
        step = round(1 / scale)
        return np.ascontiguousarray(mask[::step, ::step])
    return mask.repeat(round(scale), axis=0).repeat(round(scale), axis=1)


def _color(number: int) -> tuple[int, int, int]:
    """Of the class, or the keypoint, with this number."""
    lap, place = divmod(number, len(COLORS))
    toward, part = _SHADES[lap % len(_SHADES)]
    red, green, blue = (round(level + part * (toward - level)) for level in COLORS[place])
    return red, green, blue


def _paint(canvas: np.ndarray, mask: np.ndarray, classes: Sequence[str], ids: Sequence[int]) -> None:
    """A mask, and the line where ids change, on the side of each."""
    table, shown = np.full((256, 3), _NAMELESS, np.uint8), np.arange(256) > 0
    if not classes:
        table[1:255] = [_color(number) for number in range(254)]
    for number, (which, name) in enumerate(zip(ids, classes, strict=False)):
        if 0 <= which < 256:
            table[which], shown[which] = _color(number), name.lower() not in _BACKGROUND
    painted, there = table[mask], shown[mask]
    mixed = cv2.addWeighted(canvas, 1 - _STRENGTH, painted, _STRENGTH, 0)
    np.copyto(canvas, mixed, where=there[..., None])
    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    edge = (cv2.morphologyEx(mask, cv2.MORPH_GRADIENT, cross) > 0) & there
    np.copyto(canvas, painted, where=edge[..., None])


def _shade(canvas: np.ndarray, shapes: Sequence[_Shape]) -> None:
    """Darkens a pixel on both sides of where lines will be."""
    lines = np.zeros(canvas.shape[:2], np.uint8)
    for shape in shapes:
        _outline(lines, shape, 1)
    beside = cv2.dilate(lines, np.ones((3, 3), np.uint8)) > 0
    canvas[beside] = canvas[beside] * 0.6


def _outline(canvas: np.ndarray, shape: _Shape, color: tuple[int, int, int] | int) -> None:
    x0, y0, x1, y1 = shape.box
    if shape.crowd:
        corners = np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]], float)
        for line in (corners, *shape.lines):
            if len(line) > _MOST_DASHED or _length(line) > _MOST_DASHED * _DASH:
                cv2.polylines(canvas, [_places(line)], True, color, 1, cv2.LINE_8, _FRACTION)
                continue
            dashes = [_places(dash) for dash in _dashes(line)]
            cv2.polylines(canvas, dashes, False, color, 1, cv2.LINE_8, _FRACTION)
        return
    cv2.rectangle(canvas, (x0, y0), (x1, y1), color, 1)
    lines = [_places(line) for line in shape.lines if len(line)]
    cv2.polylines(canvas, lines, True, color, 1, cv2.LINE_AA, _FRACTION)


def _places(line: np.ndarray) -> np.ndarray:
    return np.round(line * (1 << _FRACTION)).astype(np.int32)


def _length(line: np.ndarray) -> float:
    return float(np.hypot(*(np.roll(line, -1, axis=0) - line).T).sum())


def _dashes(line: np.ndarray) -> Iterator[np.ndarray]:
    """Every second piece of a closed line, of so many pixels."""
    for start, end in zip(line, np.roll(line, -1, axis=0), strict=True):
        length = float(np.hypot(*(end - start)))
        for at in np.arange(0, length, 2 * _DASH):
            yield start + (end - start) * (np.array([[at], [min(at + _DASH - 1, length)]]) / length)


def _dots(canvas: np.ndarray, thing: Object, scale: float) -> None:
    """With a dark ring, for a picture may have any color."""
    for place, (x, y, visibility) in enumerate(thing.keypoints):
        if not visibility:
            continue
        middle = np.clip((np.array([x, y]) / UNIT + 0.5) * scale - 0.5, -_FAR, _FAR)
        at, one = _places(middle).tolist(), 1 << _FRACTION
        cv2.circle(canvas, at, round((_DOT + 1) * one), (20, 20, 20), -1, cv2.LINE_AA, _FRACTION)
        cv2.circle(canvas, at, round(_DOT * one), _color(place), -1, cv2.LINE_AA, _FRACTION)
        if visibility == 1:
            cv2.circle(canvas, at, round(one), (20, 20, 20), -1, cv2.LINE_AA, _FRACTION)


def _names(canvas: np.ndarray, shapes: Sequence[_Shape]) -> None:
    """The largest objects' first; none over another one, none on an object that it would hide."""
    taken, left = np.zeros(canvas.shape[:2], bool), int(canvas.shape[0] * canvas.shape[1] * _MOST_NAMES)
    for shape in shapes:
        label = _label(shape.name, shape.color)
        (height, width), (x0, y0, _, _) = label.shape[:2], shape.box
        if shape.area() < _ROOM * height * width or left < height * width:
            continue
        x = min(max(x0, 0), canvas.shape[1] - width)
        for y in (y0 - height, max(y0, 0)):
            if x < 0 or not 0 <= y <= canvas.shape[0] - height:
                continue
            place = np.s_[y : y + height, x : x + width]
            if not taken[place].any():
                canvas[place], taken[place] = label, True
                left -= height * width
                break


@functools.lru_cache(maxsize=1024)
def _label(name: str, color: tuple[int, int, int]) -> np.ndarray:
    """A name on its class's color, in what is read best on it: uint8 [h, w, 3]."""
    font = ImageFont.load_default(size=_FONT_SIZE)
    name = name if len(name) <= _MOST_LETTERS else name[: _MOST_LETTERS - 1] + "…"
    image = Image.new("RGB", (int(font.getlength(name)) + 4, _FONT_SIZE + 2), color)
    dark = 299 * color[0] + 587 * color[1] + 114 * color[2] > 110_000
    ImageDraw.Draw(image).text((2, 0), name, (20, 20, 20) if dark else (255, 255, 255), font)
    return np.array(image)
