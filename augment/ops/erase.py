"""Ops that hide a part of the image: random_erasing and cutout. Both are exact."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from augment.arrays import Array, cast, least, shift_right, stack, take, tf, total, where
from augment.draws import Draw, Uniforms, table, uniform_between
from augment.labels.hazards import Hazard
from augment.ops.base import ROWS, Op, Size, per_image
from augment.ops.grain import grain
from augment.ops.parameters import Parameter, Whole
from augment.ops.settings import Interval, Level, Side, interval


class RandomErasing(Op):
    """Hides one rectangle, as Zhong et al., "Random erasing data augmentation" (2017).

    Ten areas and proportions are drawn, and the first that fits into the image is
    taken; where none does, nothing is hidden, and the sides are recorded as 0: as in
    torchvision's RandomErasing. Every place within the image is equally likely. The
    paper applies it with p 0.5.

    `top`, `left`, `height` and `width` are recorded in pixels; with noise also the
    sub-key from which Threefry makes the levels of each pixel, with row and column
    as the counter.
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

    def apply(self, image: tf.Tensor, draw: Draw) -> tf.Tensor:
        inside = _box(image, draw["top"], draw["left"], draw["height"], draw["width"])
        if self.fill == "constant":
            return tf.where(inside, tf.constant(self.fill_value, tf.uint8), image)
        height, width = tf.unstack(tf.shape(image)[ROWS:-1])
        noise = tf.stack(grain(draw, height, width)[:3], axis=-1)
        return tf.where(inside, tf.cast(tf.bitwise.right_shift(noise, 8), tf.uint8), image)

    def hazards(self, size: Size | None) -> Iterator[Hazard]:
        if self.area[1] > _MUCH:
            yield Hazard("cut", f"limit {self.name} to area [0.02, 0.1]")


CANDIDATES = 10


def candidates(area: Array, ratio: Array, words: Array) -> tuple[Array, Array]:
    """The places in tables of ten areas and ten ratios to choose from, int32 [..., 10] both.

    The first are given, [...]; the others are made of words in turn, uint32 [..., 18].
    """
    further = cast(shift_right(words, 16), np.int32)
    return (
        stack([area, *(further[..., i] for i in range(0, 2 * CANDIDATES - 2, 2))]),
        stack([ratio, *(further[..., i] for i in range(1, 2 * CANDIDATES - 2, 2))]),
    )


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

    def apply(self, image: tf.Tensor, draw: Draw) -> tf.Tensor:
        hidden = tf.constant(False)
        for hole in range(1, self.holes + 1):
            top = draw[f"row_{hole}"] - self.side // 2
            left = draw[f"column_{hole}"] - self.side // 2
            hidden |= _box(image, top, left, self.side, self.side)
        return tf.where(hidden, tf.constant(self.fill_value, tf.uint8), image)

    def hazards(self, size: Size | None) -> Iterator[Hazard]:
        height, width = self.known(size)
        if self.holes * self.side**2 > _MUCH * height * width:
            yield Hazard("cut", f"limit {self.name} to one hole of side {max(min(height, width) // 4, 1)}")


_MUCH = 0.2
"""The part of an image that may hide what it is of."""


def _box(image: tf.Tensor, top: Array, left: Array, height: Array, width: Array) -> tf.Tensor:
    """bool [..., H, W, 1]: which pixels lie within a box [...]."""
    rows, columns = tf.unstack(tf.shape(image)[ROWS:-1])
    row, column = tf.range(rows)[:, tf.newaxis, tf.newaxis], tf.range(columns)[:, tf.newaxis]
    top, left, bottom, right = (per_image(edge) for edge in (top, left, top + height, left + width))
    return (top <= row) & (row < bottom) & (left <= column) & (column < right)
