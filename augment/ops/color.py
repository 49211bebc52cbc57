"""Ops on levels and colors: brightness, contrast, saturation, hue, gamma, grayscale, invert."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import numpy as np

from augment.draws import Draw, uniform_between
from augment.kernels import kinds, tables
from augment.kernels.kinds import Adapt, Gray, Kernels, Levels
from augment.labels.hazards import Hazard, recolored
from augment.ops.base import Op, Size
from augment.ops.parameters import Parameter, Real
from augment.ops.settings import Interval, interval


class Brightness(Op):
    """Adds a drawn offset to all levels, as tf.image.adjust_brightness, within a level."""

    delta: Annotated[Interval, interval(0.0, -1.0, 1.0)]
    """the offset as a fraction of the range of levels"""

    def parameters(self, size: Size | None) -> dict[str, Parameter]:
        return {"delta": Real(self.delta, _offset=(_offset, np.int64))}

    def kernels(self, draw: Draw, size: Size) -> Kernels:
        return (Levels(table=tables.shifted(draw["_offset"])),)

    def hazards(self, size: Size | None) -> Iterator[Hazard]:
        if max(map(abs, self.delta)) >= 0.4:
            yield Hazard("exposure", f"limit {self.name} to delta 0.2", limit={"delta": 0.2})


def _offset(u: np.ndarray, low: float, high: float) -> np.ndarray:
    """In whole levels: rounded half up from 65536ths, of which it is a whole number."""
    return np.floor(np.rint(255 * uniform_between(u, low, high) * (1 << 16)) / (1 << 16) + 0.5)


def _fixed(u: np.ndarray, low: float, high: float) -> np.ndarray:
    """As `tables` takes factors."""
    return uniform_between(u, low, high) * (1 << tables.FACTOR_BITS)


def pillow_factor(u: np.ndarray, low: float, high: float) -> np.ndarray:
    """The same for Pillow's formulas, which begin with a factor in float32, as it is recorded."""
    return _fixed(u, low, high).astype(np.float32).astype(np.float64)


class Contrast(Op):
    """Scales each level's distance from its channel's mean, as tf.image.adjust_contrast, within a level."""

    factor: Annotated[Interval, interval(1.0, 0.0, 10.0)]
    """the factor; 0 leaves the mean alone, 1 the image"""

    def parameters(self, size: Size | None) -> dict[str, Parameter]:
        return {"factor": Real(self.factor, _factor=(_fixed, np.int64))}

    def kernels(self, draw: Draw, size: Size) -> Kernels:
        return (Adapt(rule=tables.CONTRAST, factor=draw["_factor"]),)

    def hazards(self, size: Size | None) -> Iterator[Hazard]:
        if self.factor[0] < 0.2:
            yield Hazard("gray", f"limit {self.name} to factor [0.5, 1.5]", limit={"factor": [0.5, 1.5]})


class Saturation(Op):
    """Scales the saturation in HSV, as tf.image.adjust_saturation, within a level.

    With value v, least channel m and saturation s = (v - m) / v, scaling s by f
    (to at most 1) moves each channel x to v - (v - x) min(f, 1 / s).
    """

    factor: Annotated[Interval, interval(None, 0.0, 10.0)]
    """the factor; 0 leaves gray, 1 the image"""

    def parameters(self, size: Size | None) -> dict[str, Parameter]:
        return {"factor": Real(self.factor, _factor=(_fixed, np.int64))}

    def kernels(self, draw: Draw, size: Size) -> Kernels:
        return (kinds.Saturation(distances=tables.distances(draw["_factor"])),)

    def needs_color(self) -> tuple[str, ...]:
        return ("it",)

    def hazards(self, size: Size | None) -> Iterator[Hazard]:
        if self.factor[0] < 0.25:
            yield Hazard("gray", f"limit {self.name} to factor [0.5, 1.5]", limit={"factor": [0.5, 1.5]})


class Hue(Op):
    """Turns the hue in HSV, as tf.image.adjust_hue, within a level."""

    delta: Annotated[Interval, interval(None, -0.5, 0.5)]
    """the turn as a fraction of the color circle"""

    def parameters(self, size: Size | None) -> dict[str, Parameter]:
        return {"delta": Real(self.delta, _sixths=(in_sixths, np.int32))}

    def kernels(self, draw: Draw, size: Size) -> Kernels:
        return (kinds.Hue(sixths=draw["_sixths"]),)

    def needs_color(self) -> tuple[str, ...]:
        return ("it",)

    def hazards(self, size: Size | None) -> Iterator[Hazard]:
        for change in recolored(*self.delta):
            yield Hazard(change, f"limit {self.name} to delta [-0.02, 0.02]", limit={"delta": [-0.02, 0.02]})


def in_sixths(u: np.ndarray, low: float, high: float) -> np.ndarray:
    """In 65536ths of a sixth of the color circle, as kernel `Hue` takes them."""
    return uniform_between(u, low, high) % 1 * (6 << 16)


class Gamma(Op):
    """Raises levels in [0, 1] to a power, as tf.image.adjust_gamma, within a level."""

    gamma: Annotated[Interval, interval(None, 0.0, 10.0, open_low=True)]
    """the exponent; below 1 brightens, above 1 darkens"""

    def parameters(self, size: Size | None) -> dict[str, Parameter]:
        return {"gamma": Real(self.gamma, _exponent=(_exponent, np.int64))}

    def kernels(self, draw: Draw, size: Size) -> Kernels:
        return (Levels(table=tables.gamma(draw["_exponent"])),)

    def hazards(self, size: Size | None) -> Iterator[Hazard]:
        low, high = self.gamma
        if low < 0.4 or high > 2.5:
            yield Hazard("exposure", f"limit {self.name} to gamma [0.7, 1.4]", limit={"gamma": [0.7, 1.4]})


def _exponent(u: np.ndarray, low: float, high: float) -> np.ndarray:
    return uniform_between(u, low, high) * (1 << 16)


class Grayscale(Op):
    """Removes color and keeps three channels, as Pillow's convert("L"), bit for bit.

    The weights are those of ITU-R BT.601, which tf.image.rgb_to_grayscale has too.
    """

    def kernels(self, draw: Draw, size: Size) -> Kernels:
        return (Gray(),)

    def needs_color(self) -> tuple[str, ...]:
        return ("it",)

    def hazards(self, size: Size | None) -> Iterator[Hazard]:
        yield Hazard("gray", f"leave {self.name} out")


class Invert(Op):
    """Turns each level x into 255 - x."""

    def kernels(self, draw: Draw, size: Size) -> Kernels:
        return (Levels(table=tables.inverted()),)

    def hazards(self, size: Size | None) -> Iterator[Hazard]:
        yield Hazard("negative", f"leave {self.name} out")
