"""Affine ops, and how a run of them becomes one resampling.

A transform is kept as the map from output to input positions, relative to the
image's centre, in fixed point: integers compose to the same bits in NumPy, in a
graph and under XLA, which products of floats do not. Neighbouring affine ops
whose fill and interpolation agree compose into one map, and the image is
resampled once (`Warp`). That is not the same as resampling after every op, which
blurs each time.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal, NamedTuple

import numpy as np

from augment.array_api import Array, is_numpy, ones, shift_right, stack, where
from augment.draws import Draw, uniform_between
from augment.kernels import maps
from augment.kernels.kinds import Interpolation, Kernels, Warp
from augment.labels.hazards import Hazard, turned
from augment.ops.base import Op, Size
from augment.ops.parameters import Parameter, Real
from augment.ops.settings import Interval, Level, interval

LINEAR_BITS = maps.AFFINE_BITS
PIXEL_BITS = 16
_ONE = 1 << LINEAR_BITS
LARGEST_REACH = 64.0
"""How much a run of ops may magnify distances: keeps the fixed point within 63 bits."""


class Affine(NamedTuple):
    """The map (x, y) -> (a x + b y + c, d x + e y + f) in int64 arrays [...].

    a, b, d, e have 24 fractional bits; c and f are pixels with 16.
    """

    a: Array
    b: Array
    c: Array
    d: Array
    e: Array
    f: Array

    def after(self, inner: Affine) -> Affine:
        """The map that applies `inner` first, then this one."""
        return Affine(
            _rounded(self.a * inner.a + self.b * inner.d),
            _rounded(self.a * inner.b + self.b * inner.e),
            _rounded(self.a * inner.c + self.b * inner.f) + self.c,
            _rounded(self.d * inner.a + self.e * inner.d),
            _rounded(self.d * inner.b + self.e * inner.e),
            _rounded(self.d * inner.c + self.e * inner.f) + self.f,
        )

    def where(self, condition: Array) -> Affine:
        """This map where `condition` holds, the identity elsewhere."""
        return Affine(*(where(condition, x, i) for x, i in zip(self, identity(condition), strict=True)))

    def about_the_corner(self, size: Size) -> Array:
        """int64 [..., 6]: the matrix of `maps.Affine`."""
        height, width = size
        to_linear = 1 << (LINEAR_BITS - PIXEL_BITS)
        half = 1 << (LINEAR_BITS - 1)
        x = self.c * to_linear + (width - 1) * half
        y = self.f * to_linear + (height - 1) * half
        x = x - shift_right(self.a * (width - 1) + self.b * (height - 1), 1)
        y = y - shift_right(self.d * (width - 1) + self.e * (height - 1), 1)
        return stack([self.a, self.b, x, self.d, self.e, y])


_NOTHING_MOVES = [_ONE, 0, 0, 0, _ONE, 0]


def identity(like: Array) -> Affine:
    one = ones(like, np.int64) * _ONE
    zero = one * 0
    return Affine(one, zero, zero, zero, one, zero)


def _rounded(product: Array) -> Array:
    return shift_right(product + (_ONE >> 1), LINEAR_BITS)


def fixed(values: np.ndarray) -> np.ndarray:
    """Linear coefficients in fixed point, to be rounded to integers."""
    return values * _ONE


def _fixed_between(u: np.ndarray, low: float, high: float) -> np.ndarray:
    return fixed(uniform_between(u, low, high))


def _fixed_inverse(u: np.ndarray, low: float, high: float) -> np.ndarray:
    return fixed(1 / uniform_between(u, low, high))


def _degrees(u: np.ndarray, low: float, high: float) -> np.ndarray:
    return 360 * uniform_between(u, low, high)


def _fixed_cos(u: np.ndarray, low: float, high: float) -> np.ndarray:
    return fixed(np.cos(2 * np.pi * uniform_between(u, low, high)))


def _fixed_sin(u: np.ndarray, low: float, high: float) -> np.ndarray:
    return fixed(np.sin(2 * np.pi * uniform_between(u, low, high)))


class AffineOp(Op):
    """An op that moves content by an affine map about the image's centre, in a fixed frame."""

    abstract: ClassVar[bool] = True

    fill_mode: Literal["reflect", "constant", "wrap", "nearest"] = "reflect"
    """what lies outside the image, as in Keras: its mirror image, one value, its repetition, its edge"""
    fill_value: Level = 0
    """the level outside the image under fill_mode constant"""
    interpolation: Interpolation = "bilinear"
    """how levels between pixels are found"""

    def inverse(self, draw: Draw, size: Size) -> Affine:
        """The map from output to input positions."""
        raise NotImplementedError(f"{type(self).__name__} does not define inverse()")

    def reach(self) -> float:
        """The most by which the inverse map can magnify a distance along an axis; 1 at least.

        For a map may be skipped, and one that shrinks costs what a later one magnifies its precision.
        """
        return 1.0

    def output_size(self, size: Size | None) -> Size:
        return self.known(size)

    def resampling(self) -> tuple[str, str, int]:
        return self.interpolation, self.fill_mode, self.fill_value

    def kernels(self, draw: Draw, size: Size) -> Kernels:
        """Those of the run that the op begins, whose maps have been composed when they were drawn."""
        matrix = draw["_transform"]
        if is_numpy(matrix) and matrix.ndim == 1 and matrix.tolist() == _NOTHING_MOVES:
            return ()
        return (
            Warp(
                map=maps.Affine(matrix),
                interpolation=self.interpolation,
                border=_BORDERS[self.fill_mode],
                fill=self.fill_value,
            ),
        )


_BORDERS: dict[str, maps.Border] = {
    "reflect": "symmetric",
    "constant": "constant",
    "wrap": "wrap",
    "nearest": "edge",
}
"""What Keras calls borders, as NumPy does."""


class Rotation(AffineOp):
    """Rotates the content about the centre, as Keras's RandomRotation; positive is counter-clockwise."""

    factor: Annotated[Interval, interval(0.0, -1.0, 1.0)]
    """the angle as a fraction of a full turn, as in Keras's RandomRotation"""

    def parameters(self, size: Size | None) -> dict[str, Parameter]:
        cos, sin = (_fixed_cos, np.int64), (_fixed_sin, np.int64)
        return {"degrees": Real(self.factor, _degrees, _cos=cos, _sin=sin)}

    def inverse(self, draw: Draw, size: Size) -> Affine:
        cos, sin = draw["_cos"], draw["_sin"]
        return Affine(cos, -sin, cos * 0, sin, cos, cos * 0)

    def reach(self) -> float:
        return 2**0.5

    def hazards(self, size: Size | None) -> Iterator[Hazard]:
        harmless = {"half_turn": 0.1, "quarter_turn": 0.05, "eighth_turn": 0.03}
        for turn in turned(*self.factor):
            yield Hazard(
                turn, f"limit {self.name} to factor {harmless[turn]}", limit={"factor": harmless[turn]}
            )


class Translation(AffineOp):
    """Moves the content; positive is down and to the right, as in Keras's RandomTranslation."""

    height: Annotated[Interval, interval(0.0, -1.0, 1.0)] = (0.0, 0.0)
    """the vertical shift as a fraction of the image's height"""
    width: Annotated[Interval, interval(0.0, -1.0, 1.0)] = (0.0, 0.0)
    """the horizontal shift as a fraction of the image's width"""

    def parameters(self, size: Size | None) -> dict[str, Parameter]:
        return {
            "height": Real(self.height, _height=(_fixed_between, np.int64)),
            "width": Real(self.width, _width=(_fixed_between, np.int64)),
        }

    def inverse(self, draw: Draw, size: Size) -> Affine:
        to_pixels = LINEAR_BITS - PIXEL_BITS
        down = shift_right(draw["_height"] * size[0], to_pixels)
        right = shift_right(draw["_width"] * size[1], to_pixels)
        return identity(down)._replace(c=-right, f=-down)

    def hazards(self, size: Size | None) -> Iterator[Hazard]:
        if max(map(abs, (*self.height, *self.width))) > 0.25:
            yield Hazard("cut", f"limit {self.name} to 0.2 of the sides", limit={"height": 0.2, "width": 0.2})


class Zoom(AffineOp):
    """Scales the content about the centre, both axes alike, as Keras's RandomZoom."""

    scale: Annotated[Interval, interval(1.0, 0.1, 10.0)]
    """the factor by which the content grows; below 1 it shrinks"""

    def parameters(self, size: Size | None) -> dict[str, Parameter]:
        return {"scale": Real(self.scale, _inverse=(_fixed_inverse, np.int64))}

    def inverse(self, draw: Draw, size: Size) -> Affine:
        return identity(draw["_inverse"])._replace(a=draw["_inverse"], e=draw["_inverse"])

    def reach(self) -> float:
        return max(1.0, 1 / self.scale[0])

    def hazards(self, size: Size | None) -> Iterator[Hazard]:
        low, high = self.scale
        if high > _MUCH:
            yield Hazard("cut", f"limit {self.name} to scale [0.8, 1.2]", limit={"scale": [0.8, 1.2]})
        if max(high, 1) / min(low, 1) > _MUCH:
            yield Hazard("scale", f"limit {self.name} to scale [0.9, 1.1]", limit={"scale": [0.9, 1.1]})


class Width(AffineOp):
    """Scales the content about the centre horizontally, in a frame that stays."""

    scale: Annotated[Interval, interval(1.0, 0.1, 10.0)]
    """the factor by which the content grows in width"""

    def parameters(self, size: Size | None) -> dict[str, Parameter]:
        return {"scale": Real(self.scale, _inverse=(_fixed_inverse, np.int64))}

    def inverse(self, draw: Draw, size: Size) -> Affine:
        return identity(draw["_inverse"])._replace(a=draw["_inverse"])

    def reach(self) -> float:
        return max(1.0, 1 / self.scale[0])

    def hazards(self, size: Size | None) -> Iterator[Hazard]:
        yield from _stretched(self.name, *self.scale)


class Height(AffineOp):
    """Scales the content about the centre vertically, in a frame that stays."""

    scale: Annotated[Interval, interval(1.0, 0.1, 10.0)]
    """the factor by which the content grows in height"""

    def parameters(self, size: Size | None) -> dict[str, Parameter]:
        return {"scale": Real(self.scale, _inverse=(_fixed_inverse, np.int64))}

    def inverse(self, draw: Draw, size: Size) -> Affine:
        return identity(draw["_inverse"])._replace(e=draw["_inverse"])

    def reach(self) -> float:
        return max(1.0, 1 / self.scale[0])

    def hazards(self, size: Size | None) -> Iterator[Hazard]:
        yield from _stretched(self.name, *self.scale)


_MUCH = 4 / 3
"""By how much content grows, shrinks or is stretched before that counts as a hazard."""


def _stretched(name: str, low: float, high: float) -> Iterator[Hazard]:
    if max(high, 1) / min(low, 1) > _MUCH:
        yield Hazard("stretch", f"limit {name} to scale [0.9, 1.1]", limit={"scale": [0.9, 1.1]})


class Shear(AffineOp):
    """Slants the content about the centre: first rows against each other, then columns.

    Pillow's AFFINE, at places in 32nds of a pixel.
    """

    x: Annotated[Interval, interval(0.0, -2.0, 2.0)] = (0.0, 0.0)
    """by how many pixels a row moves to the right for each row that it lies below the centre"""
    y: Annotated[Interval, interval(0.0, -2.0, 2.0)] = (0.0, 0.0)
    """by how many pixels a column moves down for each column that it lies right of the centre"""

    def parameters(self, size: Size | None) -> dict[str, Parameter]:
        return {
            "x": Real(self.x, _x=(_fixed_between, np.int64)),
            "y": Real(self.y, _y=(_fixed_between, np.int64)),
        }

    def inverse(self, draw: Draw, size: Size) -> Affine:
        x, y = draw["_x"], draw["_y"]
        rows = identity(x)._replace(b=-x)
        columns = identity(y)._replace(d=-y)
        return rows.after(columns)

    def reach(self) -> float:
        return (1 + max(map(abs, self.x))) * (1 + max(map(abs, self.y)))

    def hazards(self, size: Size | None) -> Iterator[Hazard]:
        if max(map(abs, (*self.x, *self.y))) > _MUCH - 1:
            yield Hazard("stretch", f"limit {self.name} to 0.2", limit={"x": 0.2, "y": 0.2})
