"""Ops that move pixels within a frame: flips, quarter turns, perspective.

Flips and quarter turns are exact index operations.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field, model_validator

from augment.array_api import Array, stack
from augment.draws import Draw, Uniforms, uniform_between
from augment.kernels.kinds import Interpolation, Kernels, Orient, Warp
from augment.kernels.maps import PROJECTIVE_BITS, Projective
from augment.labels.hazards import Hazard
from augment.ops.base import Op, Size
from augment.ops.parameters import Parameter, Real
from augment.ops.settings import Chance, choices

_NO = np.False_


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

    def kernels(self, draw: Draw, size: Size) -> Kernels:
        rows = draw["vertical"] if self.vertical else _NO
        columns = draw["horizontal"] if self.horizontal else _NO
        return (Orient(transposed=_NO, rows=rows, columns=columns),)

    def hazards(self, size: Size | None) -> Iterator[Hazard]:
        leave_out = f"leave {self.name} out"
        across, down = (
            f"use {self.name}: {{{axis}: {chance:g}}}"
            for axis, chance in (("horizontal", self.horizontal), ("vertical", self.vertical))
        )
        if self.horizontal:
            limit = {"horizontal": 0} if self.vertical else {}
            yield Hazard("mirror", f"{down}, without horizontal" if limit else leave_out, limit=limit)
        if self.vertical:
            limit = {"vertical": 0} if self.horizontal else {}
            yield Hazard("upside_down", f"{across}, without vertical" if limit else leave_out, limit=limit)
        if self.horizontal and self.vertical:
            both = f"use {self.name} with horizontal or with vertical, not with both"
            yield Hazard("half_turn", both, limit={"vertical": 0})


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

    def kernels(self, draw: Draw, size: Size) -> Kernels:
        if self.quarter_turns == (0,):
            return ()
        return _turned(draw["quarter_turns"], {turns % 2 for turns in self.quarter_turns})

    def plain_kernels(self, size: Size) -> Kernels:
        """Turns by the first of its values where that exchanges sides that are not equal."""
        height, width = size
        first = self.quarter_turns[0]
        if first % 2 == 0 or height == width:
            return ()
        return _turned(np.int32(first), {1})  # the recipe promises the turned sides

    def hazards(self, size: Size | None) -> Iterator[Hazard]:
        leave_out = f"leave {self.name} out"
        turns = {0, *self.quarter_turns}
        apart = {(a - b) % 4 for a in turns for b in turns}
        if 2 in apart:
            yield Hazard("half_turn", leave_out)
        if 1 in apart:
            limit = {"quarter_turns": [0, 2]} if 2 in apart else {}
            yield Hazard("quarter_turn", f"use {self.name}: {{quarter_turns: [0, 2]}}", limit=limit)


def _turned(turns: Array, odd: set[int]) -> Kernels:
    """By quarter turns int32 [...], of which `odd` are the remainders by 2 that there can be."""
    transposed = np.bool_(odd == {1}) if len(odd) == 1 else turns % 2 == 1
    rows, columns = (turns == 1) | (turns == 2), (turns == 2) | (turns == 3)
    return (Orient(transposed=transposed, rows=rows, columns=columns),)


class Perspective(Op):
    """Looks at the image from an angle.

    Four points, each drawn near one corner, become the corners of the output:
    the quadrilateral between them is stretched to the frame, so that nothing
    from outside the image shows. Pillow's PERSPECTIVE, at places in 32nds of a pixel.
    """

    strength: Annotated[float, Field(gt=0, le=0.6)]
    """how far a point may lie from its corner, as a fraction of half the side; from two thirds on,
    the points might enclose no convex shape"""
    interpolation: Interpolation = "bilinear"
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

    def kernels(self, draw: Draw, size: Size) -> Kernels:
        return (Warp(map=Projective(draw["_transform"]), interpolation=self.interpolation, border="edge"),)

    def hazards(self, size: Size | None) -> Iterator[Hazard]:
        if self.strength >= 0.3:
            yield Hazard("stretch", f"limit {self.name} to strength 0.2", limit={"strength": 0.2})
        if self.strength >= 0.5:
            yield Hazard("cut", f"limit {self.name} to strength 0.3", limit={"strength": 0.3})


_CORNER_BITS = 14
_FULL = 1 << _CORNER_BITS  # a whole side in fixed point


def _fixed(u: np.ndarray, low: float, high: float) -> np.ndarray:
    return np.rint(uniform_between(u, low, high) * _FULL)


def _inward(u: np.ndarray, low: float, high: float) -> np.ndarray:
    """How far from its corner a point is, as it is used: a multiple of 1/16384 of the side."""
    return _fixed(u, low, high) / _FULL


def _square_to(corners: list[tuple[Array, Array]], height: int, width: int) -> Array:
    """int64 [..., 9]: maps the frame's pixels to those of a quadrilateral within it (`maps.Projective`).

    Heckbert, "Fundamentals of texture mapping and image warping" (1989), section 2.2.3,
    in integers: places are off by less than 1/1000 of a pixel for sides up to 16384.
    """
    (x0, y0), (x1, y1), (x2, y2), (x3, y3) = corners
    dx1, dx2, px = x1 - x2, x3 - x2, x0 - x1 + x2 - x3
    dy1, dy2, py = y1 - y2, y3 - y2, y0 - y1 + y2 - y3
    det = dx2 * dy1 - dx1 * dy2  # above 0, for the corners are those of a convex shape
    g = dx2 * py - px * dy2
    h = px * dy1 - dx1 * py
    w, t = width - 1, height - 1
    drop = PROJECTIVE_BITS - _CORNER_BITS
    # What belongs to a row or a column of the frame's unit square, then of its pixels.
    unit = [
        *(_quotient(n, det, drop) for n in ((x1 - x0) * det + g * x1, (x3 - x0) * det + h * x3)),
        *(_quotient(n, det, drop) for n in ((y1 - y0) * det + g * y1, (y3 - y0) * det + h * y3)),
        *(_quotient(n, det, 32) * (1 << (PROJECTIVE_BITS - 32)) for n in (g, h)),
    ]
    return stack(
        [
            unit[0],
            unit[1] * w // t,
            x0 * (w << drop),
            unit[2] * t // w,
            unit[3],
            y0 * (t << drop),
            unit[4] // w,
            unit[5] // t,
            x0 * 0 + (1 << PROJECTIVE_BITS),
        ]
    )


def _quotient(n: Array, d: Array, bits: int) -> Array:
    """n / d with so many fractional bits, rounded down, for d from 1 to 2**30, and 32 bits at most."""
    whole = n // d
    return whole * (1 << bits) + (n - whole * d) * (1 << bits) // d
