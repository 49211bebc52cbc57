"""Elastic deformation: the image as if printed on rubber."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import numpy as np
from pydantic import Field

from augment.array_api import stack
from augment.draws import Draw, uniform_between
from augment.kernels.kinds import Kernels, Warp
from augment.kernels.maps import elastic
from augment.labels.hazards import Hazard
from augment.ops.base import Op, Size
from augment.ops.parameters import KEY, Parameter, Real
from augment.ops.settings import Interval, interval


class Elastic(Op):
    """Deforms the image smoothly: each knot of a coarse grid is drawn aside, and the pixels follow.

    Of the family of Simard et al., "Best practices for convolutional neural networks"
    (2003), in the form of Ronneberger et al., "U-Net" (2015): displacements are drawn on
    a coarse grid and interpolated, here by cubic B-splines (Rueckert et al. 1999). A
    knot is moved by up to `strength` of a cell along each axis, uniformly; below 0.48 of
    a cell the image cannot fold (Choi and Lee 2000). What lies outside the image is its
    mirror image; levels between pixels are bilinear. Displacements are rounded to 1/32 of
    a pixel.

    `strength` is recorded, and the sub-key of the displacements: of it each row of knots has a
    stream of 16-bit numbers (docs/reproducibility.md).
    """

    cells: Annotated[int, Field(ge=1, le=64)] = 4
    """the cells of the grid along each side"""
    strength: Annotated[Interval, interval(None, 0.0, 0.48)]
    """how far a knot may move, as a fraction of a cell"""

    def parameters(self, size: Size | None) -> dict[str, Parameter]:
        return {"strength": Real(self.strength, _strength=(_fixed, np.int64)), **KEY}

    def output_size(self, size: Size | None) -> Size:
        return self.known(size)

    def kernels(self, draw: Draw, size: Size) -> Kernels:
        key = stack([draw["key_high"], draw["key_low"]])
        return (Warp(map=elastic(key, draw["_strength"], self.cells, size), border="symmetric"),)

    def hazards(self, size: Size | None) -> Iterator[Hazard]:
        if self.strength[1] > _MUCH:
            yield Hazard(
                "stretch", f"limit {self.name} to strength [0, {_MUCH}]", limit={"strength": [0, _MUCH]}
            )


_MUCH = 0.2
"""From how much of a cell on neighbouring cells can differ visibly in their proportions."""


def _fixed(u: np.ndarray, low: float, high: float) -> np.ndarray:
    return uniform_between(u, low, high) * (1 << 16)
