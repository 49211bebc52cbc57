"""What samples are mixed by: frozen records that draw for a sample, share out its label and make its pixels.

Everything is in integers. A weight that Beta(alpha, alpha) gives is looked up in a table that is made once in
float64, as parameters of ops are; the shares of a label are multiples of 2**-24, which float32 holds exactly.
So NumPy, TensorFlow and XLA give the same bits.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from augment.array_api import (
    Array,
    axis_length,
    cast,
    clip,
    counted_up,
    long,
    reshaped,
    rounded_root,
    shift_right,
    take,
    where,
)
from augment.draws import TABLE_SIZE, Draw, Uniforms, table
from augment.errors import RequestError, did_you_mean

ONE = 1 << 24
"""What the shares of a sample add up to."""

_UNIT = 2 * TABLE_SIZE
"""What a drawn weight is out of. It is odd, the middle of one of 65,536 parts, so none is 0 or 1."""

_FIRST = 2
"""The counter of a mixing's first parameter; those before are the ring's."""

_MOST = 100.0
"""Of alpha: the weight is then within 0.1 of a half."""


@dataclasses.dataclass(frozen=True)
class Mixing(ABC):
    """One way to mix: it makes a sample of `of`, itself and those behind it in a ring (`Mixer`)."""

    name: ClassVar[str]
    of: ClassVar[int]

    @abstractmethod
    def draw(self, u: Uniforms, size: tuple[Any, Any]) -> Draw:
        """int32 [B] by name, for images of this height and width."""

    @abstractmethod
    def shares(self, draw: Draw, size: tuple[Any, Any]) -> list[Array]:
        """int32 [B] of ONE: the part of the label that each sample but the first gives; it has the rest."""

    @abstractmethod
    def pixels(self, draw: Draw, images: Sequence[Array], size: tuple[Any, Any]) -> Array:
        """uint8 [B, H, W, C] of `of` batches like it: the samples, and those that are mixed into them."""

    def __str__(self) -> str:
        return self.name


def beta_parts(u: np.ndarray, alpha: float) -> np.ndarray:
    """In which of 65,536 equal parts of [0, 1) quantiles of Beta(alpha, alpha) lie, `u` being `quantiles()`.

    Up to a factor, the distribution function is (x (1 - x)) ** alpha * 2F1(2 alpha, 1; alpha + 1; x), a sum
    of positive terms (DLMF 8.17.8); at 1/2 it is 1/2, which gives the factor. It is compared in steps of
    2**-36, so that its last bits, and those of a platform's `pow`, decide nothing. The upper half mirrors the
    lower.
    """
    half = TABLE_SIZE // 2
    x = np.arange(1, half + 1) / TABLE_SIZE
    term, total, n = (4 * x * (1 - x)) ** alpha, np.zeros(half), 0
    while term.max() > 2.0**-60:
        total += term
        term *= x * (2 * alpha + n) / (alpha + 1 + n)
        n += 1
    fixed = np.rint(total / total[-1] * 2.0**35)
    lower = np.searchsorted(fixed, np.rint(u[:half] * 2.0**36), side="right")
    return np.concatenate([lower, TABLE_SIZE - 1 - lower[::-1]])


@dataclasses.dataclass(frozen=True)
class _Weighted(Mixing):
    """With one other sample, by a weight."""

    of: ClassVar[int] = 2
    alpha: float
    """of Beta(alpha, alpha): 1 is uniform, less is nearer to the ends, more to a half"""

    def weight(self, u: Uniforms) -> Array:
        """int32 [B]: lambda in 131,072ths, odd."""
        return 2 * take(table(beta_parts, np.int32, self.alpha), u.index(_FIRST)) + 1

    def __str__(self) -> str:
        return f"{self.name}:{self.alpha}"


@dataclasses.dataclass(frozen=True)
class MixUp(_Weighted):
    """Zhang et al., "mixup: Beyond Empirical Risk Minimization" (2018).

    Images and labels become lambda a + (1 - lambda) b; a level is rounded to the nearest, half up.
    """

    name: ClassVar[str] = "mixup"

    def draw(self, u: Uniforms, size: tuple[Any, Any]) -> Draw:
        return {"weight": self.weight(u)}

    def shares(self, draw: Draw, size: tuple[Any, Any]) -> list[Array]:
        return [(_UNIT - draw["weight"]) * (ONE // _UNIT)]

    def pixels(self, draw: Draw, images: Sequence[Array], size: tuple[Any, Any]) -> Array:
        image, other = (cast(levels, np.int32) for levels in images)
        weight = draw["weight"][:, np.newaxis, np.newaxis, np.newaxis]
        return cast(shift_right(image * weight + other * (_UNIT - weight) + _UNIT // 2, 17), np.uint8)


class _Pasting(Mixing):
    """Boxes of other samples take the place of the sample's own, at the place where they were."""

    @abstractmethod
    def boxes(self, draw: Draw, size: tuple[Any, Any]) -> list[tuple[Array, Array, Array, Array]]:
        """Top, left, bottom and right, int32 [B], of each other sample's box; they do not overlap."""

    def shares(self, draw: Draw, size: tuple[Any, Any]) -> list[Array]:
        """By the pixels of each box; what rounding down leaves goes to the sample itself."""
        pixels = long(size[0]) * long(size[1])
        return [
            cast(long((bottom - top) * (right - left)) * ONE // pixels, np.int32)
            for top, left, bottom, right in self.boxes(draw, size)
        ]

    def pixels(self, draw: Draw, images: Sequence[Array], size: tuple[Any, Any]) -> Array:
        height, width = size
        count, channels = axis_length(images[0], 0), axis_length(images[0], 3)
        # Columns and channels are one axis, for TensorFlow takes three times as long to choose by the pixel.
        mixed, *others = (reshaped(image, [count, height, width * channels]) for image in images)
        row = counted_up(height, like=mixed)
        column = counted_up(width * channels, like=mixed) // channels
        for other, box in zip(others, self.boxes(draw, size), strict=True):
            top, left, bottom, right = (edge[:, np.newaxis] for edge in box)
            rows, columns = (top <= row) & (row < bottom), (left <= column) & (column < right)
            mixed = where(rows[:, :, np.newaxis] & columns[:, np.newaxis], other, mixed)
        return reshaped(mixed, [count, height, width, channels])


@dataclasses.dataclass(frozen=True)
class CutMix(_Pasting, _Weighted):
    """Yun et al., "CutMix" (2019), as its authors' code has it: a box of the other sample.

    It is to have 1 - lambda of the area: its sides are those of the image times the root of that, rounded
    down to even numbers of pixels. Its centre is any pixel alike, and what reaches over the border is cut
    off. Labels are shared by the pixels that are left.
    """

    name: ClassVar[str] = "cutmix"

    def draw(self, u: Uniforms, size: tuple[Any, Any]) -> Draw:
        row, column = (u.integer(_FIRST + 1 + axis, long(side)) for axis, side in enumerate(size))
        return {"weight": self.weight(u), "row": row, "column": column}

    def boxes(self, draw: Draw, size: tuple[Any, Any]) -> list[tuple[Array, Array, Array, Array]]:
        part = long(_UNIT - draw["weight"])
        edges = []
        for side, centre in zip(size, (draw["row"], draw["column"]), strict=True):
            half = cast(_root(shift_right(part * long(side) * long(side), 17)) // 2, np.int32)
            edges.append((clip(centre - half, 0, side), clip(centre + half, 0, side)))
        (top, bottom), (left, right) = edges
        return [(top, left, bottom, right)]


@dataclasses.dataclass(frozen=True)
class Mosaic(_Pasting):
    """Bochkovskiy et al., "YOLOv4" (2020): four samples around a point, the sample itself at its upper left.

    The point is any alike between pixels that leaves a fifth of the sides on either side, as its authors'
    code has it. Every sample shows the part that it has there. Labels are shared by pixels.
    """

    name: ClassVar[str] = "mosaic"
    of: ClassVar[int] = 4

    def draw(self, u: Uniforms, size: tuple[Any, Any]) -> Draw:
        margins = [side // 5 for side in size]
        row, column = (
            u.integer(_FIRST + axis, long(side - 2 * margin + 1)) + margin
            for axis, (side, margin) in enumerate(zip(size, margins, strict=True))
        )
        return {"row": row, "column": column}

    def boxes(self, draw: Draw, size: tuple[Any, Any]) -> list[tuple[Array, Array, Array, Array]]:
        row, column = draw["row"], draw["column"]
        none, height, width = row * 0, row * 0 + size[0], row * 0 + size[1]
        return [
            (none, column, row, width),
            (row, none, height, column),
            (row, column, height, width),
        ]


_KINDS: dict[str, type[Mixing]] = {kind.name: kind for kind in (MixUp, CutMix, Mosaic)}


def parse_mixing(text: str, where: str = "mixing") -> Mixing:
    """The mixing of `mixup:ALPHA`, `cutmix:ALPHA` or `mosaic`.

    Raises RequestError for anything else, whose sentence begins with `where`.
    """
    name, colon, number = text.partition(":")
    kind = _KINDS.get(name)
    if kind is None:
        raise RequestError(
            f"{where} {text}: there is no mixing {name!r}; {did_you_mean(name, _KINDS)}, such as cutmix:1.0"
        )
    if not issubclass(kind, _Weighted):
        if colon:
            raise RequestError(f"{where} {text}: {name} takes no number; say {name}")
        return kind()
    if not number:
        raise RequestError(f"{where} {text}: it lacks the alpha of Beta(alpha, alpha); say {name}:1.0")
    try:
        alpha = float(number)
    except ValueError:
        alpha = 0.0
    if not 0 < alpha <= _MOST:
        raise RequestError(
            f"{where} {text}: alpha is {number!r}; it must be a number above 0, to {_MOST:g} at most"
        )
    return kind(alpha)


def _root(x: Array) -> Array:
    """int64 [B]: the root, rounded down."""
    root = rounded_root(x)
    return root - cast(root * root > x, np.int64)
