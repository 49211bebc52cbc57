"""Ops that move pixels within a frame: flips, quarter turns, perspective.

Flips and quarter turns are exact index operations.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator

from augment.arrays import Array, cast, stack, tf
from augment.draws import Draw, Uniforms, uniform_between
from augment.labels.hazards import Hazard
from augment.ops.affine import resample
from augment.ops.base import COLUMNS, ROWS, Op, Size, changed_where
from augment.ops.parameters import Parameter, Real
from augment.ops.settings import Chance, choices


class Flip(Op):
    """Mirrors the image. Each axis tosses its own coin."""

    horizontal: Chance = 0.0
    """the probability of exchanging left and right"""
    vertical: Chance = 0.0
    """the probability of exchanging top and bottom"""

    @model_validator(mode="after")
    def _flips(self) -> Flip:
        if not self.horizontal and not self.vertical:
            raise ValueError("it never flips; give horizontal or vertical a probability above 0")
        return self

    def apply(self, image: tf.Tensor, draw: Draw) -> tf.Tensor:
        return _mirrored(
            image,
            rows=draw["vertical"] if self.vertical else None,
            columns=draw["horizontal"] if self.horizontal else None,
        )

    def hazards(self, size: Size | None) -> Iterator[Hazard]:
        leave_out = f"leave {self.name} out"
        across, down = (
            f"use {self.name}: {{{axis}: {chance:g}}}"
            for axis, chance in (("horizontal", self.horizontal), ("vertical", self.vertical))
        )
        if self.horizontal:
            yield Hazard("mirror", f"{down}, without horizontal" if self.vertical else leave_out)
        if self.vertical:
            yield Hazard("upside_down", f"{across}, without vertical" if self.horizontal else leave_out)
        if self.horizontal and self.vertical:
            yield Hazard("half_turn", f"use {self.name} with horizontal or with vertical, not with both")


class Rot90(Op):
    """Turns the image counter-clockwise by a multiple of 90 degrees, as tf.image.rot90."""

    quarter_turns: Annotated[tuple[int, ...], choices(0, 1, 2, 3)] = (0, 1, 2, 3)
    """how many quarter turns; one of several is drawn uniformly"""

    def output_size(self, size: Size | None) -> Size | None:
        odd = {turns % 2 for turns in self.quarter_turns}
        if odd == {0}:
            return size
        height, width = self.known(size)
        if height != width and (len(odd) == 2 or self.p < 1):
            raise ValueError(
                f"rot90 would give images of {height}x{width} and of {width}x{height}; make them "
                "square first, or let quarter_turns be [0, 2]"
            )
        return width, height

    def apply(self, image: tf.Tensor, draw: Draw) -> tf.Tensor:
        turns = draw["quarter_turns"]
        odd = {turns % 2 for turns in self.quarter_turns}
        if odd == {1}:
            image = _transposed(image)
        elif 1 in odd:
            image = changed_where(turns % 2 == 1, _transposed, image)
        return _mirrored(image, rows=(turns == 1) | (turns == 2), columns=(turns == 2) | (turns == 3))

    def plain(self, image: tf.Tensor) -> tf.Tensor:
        """Turns by the first of its values where that exchanges sides that are not equal."""
        height, width = image.shape[ROWS:-1]
        first = self.quarter_turns[0]
        if first % 2 == 0 or height == width:
            return image
        turns = tf.fill(tf.shape(image)[:ROWS], first)  # the recipe promises the turned sides
        return self.apply(image, {"quarter_turns": turns})

    def hazards(self, size: Size | None) -> Iterator[Hazard]:
        leave_out = f"leave {self.name} out"
        turns = {0, *self.quarter_turns}
        apart = {(a - b) % 4 for a in turns for b in turns}
        if 2 in apart:
            yield Hazard("half_turn", leave_out)
        if 1 in apart:
            yield Hazard("quarter_turn", f"use {self.name}: {{quarter_turns: [0, 2]}}")


def _mirrored(image: tf.Tensor, *, rows: Array | None, columns: Array | None) -> tf.Tensor:
    """Reverses the rows and the columns of the images [...] for which these booleans [...] hold."""
    if image.shape.rank == 3:  # in one op, without a branch
        no = tf.constant(False)
        dims = tf.stack([no if rows is None else rows, no if columns is None else columns, no])
        return tf.ensure_shape(tf.raw_ops.Reverse(tensor=image, dims=dims), image.shape)
    if columns is not None:
        image = changed_where(columns, _reversed_columns, image)
    return image if rows is None else changed_where(rows, _reversed_rows, image)


def _reversed_rows(image: tf.Tensor) -> tf.Tensor:
    return tf.reverse(image, [image.shape.rank + ROWS])


def _reversed_columns(image: tf.Tensor) -> tf.Tensor:
    return tf.reverse(image, [image.shape.rank + COLUMNS])


def _transposed(image: tf.Tensor) -> tf.Tensor:
    rank = image.shape.rank
    return tf.transpose(image, [*range(rank - 3), rank - 2, rank - 3, rank - 1])


class Perspective(Op):
    """Looks at the image from an angle.

    Four points, each drawn near one corner, become the corners of the output:
    the quadrilateral between them is stretched to the frame, so that nothing
    from outside the image shows.
    """

    strength: Annotated[float, Field(gt=0, le=0.6)]
    """how far a point may lie from its corner, as a fraction of half the side; from two thirds on,
    the points might enclose no convex shape"""
    interpolation: Literal["bilinear", "nearest"] = "bilinear"
    """how levels between pixels are found"""

    CORNERS: ClassVar[tuple[str, ...]] = ("top_left", "top_right", "bottom_right", "bottom_left")

    def parameters(self, size: Size | None) -> dict[str, Parameter]:
        names = [f"{corner}_{axis}" for corner in self.CORNERS for axis in "xy"]
        inward = (0.0, self.strength / 2)
        return {name: Real(inward, _inward, **{f"_{name}": (_fixed, np.int64)}) for name in names}

    def draw(self, u: Uniforms, size: Size | None) -> Draw:
        height, width = self.known(size)
        draw = super().draw(u, size)
        (x0, y0), (x1, y1), (x2, y2), (x3, y3) = (
            (draw[f"_{corner}_x"], draw[f"_{corner}_y"]) for corner in self.CORNERS
        )
        quadrilateral = [
            (x0, y0),
            (_FULL - x1, y1),
            (_FULL - x2, _FULL - y2),
            (x3, _FULL - y3),
        ]
        draw["_transform"] = _square_to(quadrilateral, height, width)
        return draw

    def output_size(self, size: Size | None) -> Size:
        height, width = self.known(size)
        if min(height, width) < 2:
            raise ValueError(f"perspective cannot take images of {height}x{width}: a side is 1")
        return height, width

    def apply(self, image: tf.Tensor, draw: Draw) -> tf.Tensor:
        return resample(image, draw["_transform"], self.interpolation, "nearest", 0.0)

    def hazards(self, size: Size | None) -> Iterator[Hazard]:
        if self.strength >= 0.3:
            yield Hazard("stretch", f"limit {self.name} to strength 0.2")
        if self.strength >= 0.5:
            yield Hazard("cut", f"limit {self.name} to strength 0.3")


_FULL = 1 << 14  # a whole side in fixed point


def _fixed(u: np.ndarray, low: float, high: float) -> np.ndarray:
    return np.rint(uniform_between(u, low, high) * _FULL)


def _inward(u: np.ndarray, low: float, high: float) -> np.ndarray:
    """How far from its corner a point is, as it is used: a multiple of 1/16384 of the side."""
    return _fixed(u, low, high) / _FULL


def _square_to(corners: list[tuple[Array, Array]], height: int, width: int) -> Array:
    """float32 [..., 8]: maps the frame's pixels to those of a quadrilateral within it.

    Heckbert, "Fundamentals of texture mapping and image warping" (1989), section
    2.2.3, multiplied by the determinant: all is integer but one division at the end.
    """
    (x0, y0), (x1, y1), (x2, y2), (x3, y3) = corners
    dx1, dx2, px = x1 - x2, x3 - x2, x0 - x1 + x2 - x3
    dy1, dy2, py = y1 - y2, y3 - y2, y0 - y1 + y2 - y3
    det = dx1 * dy2 - dx2 * dy1
    g = px * dy2 - dx2 * py
    h = dx1 * py - px * dy1
    w, t = width - 1, height - 1
    full = det * _FULL
    rows = [
        ((x1 - x0) * det + g * x1, full),
        (((x3 - x0) * det + h * x3) * w, full * t),
        (x0 * w, det * 0 + _FULL),
        (((y1 - y0) * det + g * y1) * t, full * w),
        ((y3 - y0) * det + h * y3, full),
        (y0 * t, det * 0 + _FULL),
        (g, det * w),
        (h, det * t),
    ]
    return stack([cast(cast(n, np.float64) / cast(d, np.float64), np.float32) for n, d in rows])
