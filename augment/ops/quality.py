"""Ops on levels as Pillow defines them: posterize, solarize, equalize, autocontrast, sharpness."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import numpy as np

from augment.draws import Draw, uniform_between
from augment.kernels import tables
from augment.kernels.kinds import Adapt, Enhance, Kernels, Levels
from augment.labels.hazards import Hazard
from augment.ops.base import Op, Size
from augment.ops.color import pillow_factor
from augment.ops.parameters import Parameter, Real
from augment.ops.settings import Interval, choices, interval


class Posterize(Op):
    """Keeps the upper bits of each level, as Pillow's ImageOps.posterize, bit for bit."""

    bits: Annotated[tuple[int, ...], choices(1, 2, 3, 4, 5, 6, 7, 8)]
    """how many bits are kept; one of several is drawn uniformly, 8 leaves the image"""

    def kernels(self, draw: Draw, size: Size) -> Kernels:
        return (Levels(table=tables.posterized(draw["bits"])),)

    def hazards(self, size: Size | None) -> Iterator[Hazard]:
        if min(self.bits) <= 2:
            yield Hazard("tint", f"limit {self.name} to bits from 4 on")


class Solarize(Op):
    """Inverts the levels from a threshold on, as Pillow's ImageOps.solarize, bit for bit."""

    threshold: Annotated[Interval, interval(None, 0.0, 256.0)]
    """the lowest level that is inverted; above 255 leaves the image, 0 inverts it"""

    def parameters(self, size: Size | None) -> dict[str, Parameter]:
        return {"threshold": Real(self.threshold, _first=(_first, np.int64))}

    def kernels(self, draw: Draw, size: Size) -> Kernels:
        return (Levels(table=tables.solarized(draw["_first"])),)

    def hazards(self, size: Size | None) -> Iterator[Hazard]:
        if self.threshold[0] < 160:
            yield Hazard(
                "negative", f"limit {self.name} to threshold [200, 256]", limit={"threshold": [200, 256]}
            )


def _first(u: np.ndarray, low: float, high: float) -> np.ndarray:
    """The lowest level that reaches the threshold as it is recorded."""
    return np.ceil(uniform_between(u, low, high).astype(np.float32))


class Equalize(Op):
    """Makes each channel's histogram flat, as Pillow's ImageOps.equalize, bit for bit."""

    def kernels(self, draw: Draw, size: Size) -> Kernels:
        return (Adapt(rule=tables.EQUALIZE),)

    def hazards(self, size: Size | None) -> Iterator[Hazard]:
        yield from _stretched_levels(self.name)


def _stretched_levels(name: str) -> Iterator[Hazard]:
    """What follows from each channel being stretched by itself."""
    yield Hazard("exposure", f"leave {name} out")
    yield Hazard("tint", f"leave {name} out")


class Autocontrast(Op):
    """Stretches each channel's levels over the range, as Pillow's ImageOps.autocontrast, bit for bit."""

    def kernels(self, draw: Draw, size: Size) -> Kernels:
        return (Adapt(rule=tables.AUTOCONTRAST),)

    def hazards(self, size: Size | None) -> Iterator[Hazard]:
        yield from _stretched_levels(self.name)


class Sharpness(Op):
    """Blurs or sharpens slightly, as Pillow's ImageEnhance.Sharpness, bit for bit."""

    factor: Annotated[Interval, interval(1.0, 0.0, 10.0)]
    """0 gives a 3x3 mean, 1 leaves the image, above 1 sharpens"""

    def parameters(self, size: Size | None) -> dict[str, Parameter]:
        return {"factor": Real(self.factor, _factor=(pillow_factor, np.int64))}

    def kernels(self, draw: Draw, size: Size) -> Kernels:
        return (Enhance(base="smooth", factor=draw["_factor"]),)

    def hazards(self, size: Size | None) -> Iterator[Hazard]:
        if self.factor[0] < 0.5:
            yield Hazard("blur", f"limit {self.name} to factor [0.7, 1.3]", limit={"factor": [0.7, 1.3]})
