"""Ops that hide a part of the image: random_erasing and cutout. Both are exact."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from augment.array_api import Array, cast, least, prepended, shift_right, stack, take, total, where
from augment.draws import Draw, Uniforms, table, uniform_between
from augment.kernels.kinds import Fill, Kernels
from augment.labels.hazards import Hazard
from augment.ops.base import Op, Size
from augment.ops.parameters import Parameter, Whole
from augment.ops.settings import Interval, Level, Side, interval


class RandomErasing(Op):
    """Hides one rectangle, as Zhong et al., "Random erasing data augmentation" (2017).

    Ten areas and proportions are drawn, and the first that fits into the image is
    taken; where none does, nothing is hidden, and the sides are recorded as 0: as in
    torchvision's RandomErasing. Every place within the image is equally likely. The
    paper applies it with p 0.5.

    `top`, `left`, `height` and `width` are recorded in pixels; with noise also the
    sub-key of the levels: of it each row has a stream of bytes, one a channel in turn
    (docs/reproducibility.md).
    """

    area: Annotated[Interval, interval(None, 0.0, 1.0, open_low=True)] = (0.02, 0.4)
    """the rectangle's part of the image's area"""
    ratio: Annotated[Interval, interval(None, 0.1, 10.0)] = (0.3, 1 / 0.3)
    """its height divided by its width, drawn uniformly on a logarithmic scale"""
    fill: Literal["noise", "constant"] = "noise"
    """what it is filled with: uniform noise, another level for every pixel and channel, or one level"""
    fill_value: Level = 0
    """the level under fill constant"""

    def draw(self, u: Uniforms, size: Size | None) -> Draw:
        full_height, full_width = self.known(size)
        areas, ratios = candidates(u.index(0), u.index(1), u.words(6, 2 * (CANDIDATES - 1)))
        area = take(table(_fixed_root, np.int64, *self.area), areas)
        root = math.isqrt(full_height * full_width << 16)
        height, width = (
            shift_right(root * area * take(table(function, np.int64, *self.ratio), ratios) + (1 << 39), 40)
            for function in (_fixed_higher, _fixed_wider)
        )
        fits = (height >= 1) & (height <= full_height) & (width >= 1) & (width <= full_width)
        height, width = first_of(fits, height), first_of(fits, width)
        draw = {
            "top": _below(u.word(2), where(height < 1, height + 1, full_height - height + 1)),
            "left": _below(u.word(3), where(width < 1, width + 1, full_width - width + 1)),
            "height": cast(height, np.int32),
            "width": cast(width, np.int32),
        }
        if self.fill == "noise":
            draw |= {"key_high": u.word(4), "key_low": u.word(5)}
        return draw

    def output_size(self, size: Size | None) -> Size:
        return self.known(size)

    def kernels(self, draw: Draw, size: Size) -> Kernels:
        boxes = _boxes(draw["top"], draw["left"], draw["height"], draw["width"])[..., np.newaxis, :]
        if self.fill == "constant":
            return (Fill(boxes=boxes, level=self.fill_value),)
        return (Fill(boxes=boxes, key=stack([draw["key_high"], draw["key_low"]])),)

    def hazards(self, size: Size | None) -> Iterator[Hazard]:
        if self.area[1] > _MUCH:
            yield Hazard("cut", f"limit {self.name} to area [0.02, 0.1]", limit={"area": [0.02, 0.1]})


CANDIDATES = 10


def candidates(area: Array, ratio: Array, words: Array) -> tuple[Array, Array]:
    """The places in tables of ten areas and ten ratios to choose from, int32 [..., 10] both.

    The first are given, [...]; the others are made of words in turn, uint32 [..., 18].
    """
    further = cast(shift_right(words, 16), np.int32)
    return prepended(area, further[..., ::2]), prepended(ratio, further[..., 1::2])


def first_of(fits: Array, values: Array) -> Array:
    """[...] of values [..., 10]: the first that fits, 0 where none does."""
    places = np.arange(CANDIDATES, dtype=np.int32)
    first = least(where(fits, places, np.int32(CANDIDATES)))[..., np.newaxis]
    return total(where(first == places, values, values * 0))


def _fixed_root(u: np.ndarray, low: float, high: float) -> np.ndarray:
    return np.sqrt(uniform_between(u, low, high)) * (1 << 16)


def _fixed_higher(u: np.ndarray, low: float, high: float) -> np.ndarray:
    return np.exp(uniform_between(u, np.log(low), np.log(high)) / 2) * (1 << 16)


def _fixed_wider(u: np.ndarray, low: float, high: float) -> np.ndarray:
    return np.exp(-uniform_between(u, np.log(low), np.log(high)) / 2) * (1 << 16)


def _below(word: Array, count: Array) -> Array:
    """int32 uniform in [0, count), for a count drawn itself, int64."""
    return cast(shift_right(cast(word, np.int64) * count, 32), np.int32)


class Cutout(Op):
    """Hides squares, as DeVries and Taylor, "Improved regularization with Cutout" (2017).

    A square's centre is any of the image's pixels alike, so that the square may
    reach over the border. The paper takes one square of 16 pixels for CIFAR-10
    and of 8 for CIFAR-100, and the mean color, which comes out of its
    standardization as 0.

    `row_1` and `column_1` are the centre of the first square: with an even side, the
    pixel below and to the right of it.
    """

    side: Side
    """the side of the squares in pixels"""
    holes: Annotated[int, Field(ge=1, le=64)] = 1
    """how many squares; they may overlap"""
    fill_value: Level = 0
    """the level that they are filled with"""

    def parameters(self, size: Size | None) -> dict[str, Parameter]:
        height, width = self.known(size)
        centre: dict[str, Parameter] = {}
        for hole in range(1, self.holes + 1):
            centre |= {f"row_{hole}": Whole(height), f"column_{hole}": Whole(width)}
        return centre

    def output_size(self, size: Size | None) -> Size:
        return self.known(size)

    def kernels(self, draw: Draw, size: Size) -> Kernels:
        top, left = (
            stack([draw[f"{axis}_{hole}"] for hole in range(1, self.holes + 1)]) - self.side // 2
            for axis in ("row", "column")
        )
        return (Fill(boxes=_boxes(top, left, self.side, self.side), level=self.fill_value),)

    def hazards(self, size: Size | None) -> Iterator[Hazard]:
        height, width = self.known(size)
        if self.holes * self.side**2 > _MUCH * height * width:
            yield Hazard("cut", f"limit {self.name} to one hole of side {max(min(height, width) // 4, 1)}")


_MUCH = 0.2
"""The part of an image that may hide what it is of."""


def _boxes(top: Array, left: Array, height: Array, width: Array) -> Array:
    """int32 [..., 4]: as `Fill` takes them."""
    return stack([top, left, top + height, left + width])
