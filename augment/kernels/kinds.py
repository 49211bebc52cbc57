"""The kernels, as data: what is done to an image, without a line of how.

A kernel is a frozen record. Its fields are of two kinds. Arrays stand for one image
each: a sample's own numbers on the host (NumPy, of the rank that the field states), or a
batch's (the same with one axis in front, NumPy or TensorFlow). Plain numbers and words
are alike for all images of a batch. Each kernel's formula stands in `formulas.py`, and
is computed by `host.py` and `device.py` to the same bits.

Between kernels there is uint8 [H, W, C] with C = 1 or 3.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np

from augment.arrays import Array, cast, is_numpy
from augment.kernels.maps import Border, Map
from augment.kernels.tables import Rule

Kernels = tuple["Kernel", ...]

Interpolation = Literal["bilinear", "nearest"]
Method = Literal[
    "bilinear", "nearest", "bicubic", "area", "lanczos3", "lanczos5", "gaussian", "mitchellcubic"
]
Base = Literal["gray", "smooth"]

JOINT, BY_CHANNEL = 1, 3
"""How many tables a `Levels` has: one for all channels, or one for each."""


def per_image(rank: int, **default: Any) -> Any:
    """A field that holds an array of this rank for each image."""
    return dataclasses.field(metadata={"rank": rank}, **default)


_record = dataclasses.dataclass(frozen=True, eq=False, kw_only=True)


class Kernel:
    """One operation on pixels."""


def arrays_of(kernel: Any) -> dict[str, int]:
    """The fields that hold an array for each image, with its rank."""
    return {f.name: f.metadata["rank"] for f in dataclasses.fields(kernel) if "rank" in f.metadata}


@_record
class Window(Kernel):
    """What a frame shows: a crop where it lies within the image, padding where it does not."""

    top: Array = per_image(0)
    """int32: the row of the image that is the first of the output, perhaps outside"""
    left: Array = per_image(0)
    height: int
    width: int
    border: Border = "constant"
    fill: int = 0


@_record
class Orient(Kernel):
    """Exchanges rows and columns, then reverses the rows, then the columns: any of the 8 positions."""

    transposed: Array = per_image(0)
    """bool; of a batch whose images are not square, it must be alike for all"""
    rows: Array = per_image(0)
    """bool: whether top and bottom are exchanged"""
    columns: Array = per_image(0)


@_record
class Channels(Kernel):
    """Puts the channels into another order. An image of one channel stays."""

    order: Array = per_image(1)
    """int32 [3]: from which channel each comes"""


@_record
class Warp(Kernel):
    """Takes every pixel of the output from where a map says; the size stays."""

    map: Map
    interpolation: Interpolation = "bilinear"
    border: Border = "symmetric"
    fill: int = 0


@_record
class Resize(Kernel):
    """Resamples a box of the image to a size."""

    height: int
    width: int
    method: Method = "bilinear"
    antialias: bool = False
    box: Array | None = per_image(1, default=None)
    """int32 [4]: top, left, height, width of what is resampled, within the image; None for all of it"""


@_record
class Levels(Kernel):
    """Looks each level up in a table."""

    table: Array = per_image(2)
    """uint8 [1 or 3, 256]: one for all channels, or one for each"""


@_record
class Adapt(Kernel):
    """Looks each level up in a table that follows from the image by a rule of `tables.py`."""

    rule: Rule
    factor: Array | None = per_image(0, default=None)
    """int64: what the rule takes beside the image's statistic"""


@_record
class Gray(Kernel):
    """Gives all channels Pillow's luma."""


@_record
class Hue(Kernel):
    """Turns the hue in HSV."""

    turns: Array = per_image(1)
    """int16 [256]: for each chroma c, the turn in sixths of the circle times c, from c to below 7 c"""


@_record
class Saturation(Kernel):
    """Scales the saturation in HSV."""

    distances: Array = per_image(1)
    """uint8 [256]: what becomes of a channel's distance from the highest"""


@_record
class Enhance(Kernel):
    """Blends the image with its gray or with itself smoothed, or leads away from it."""

    base: Base
    up: Array = per_image(1)
    """uint8 [256]: what is added to the base where the image lies above it by so much"""
    down: Array = per_image(1)
    """uint8 [256]: what is subtracted where it lies below"""


@_record
class Blur(Kernel):
    """Weighs the pixels around, along columns and along rows; edge pixels go on outside."""

    weights: Array = per_image(1)
    """int32 [an odd number], in 256ths that sum to 256, none of them negative"""


@_record
class Noise(Kernel):
    """Adds to each level what a table holds at a random place."""

    key: Array = per_image(1)
    """uint32 [2]: the sub-key from which Threefry makes the places"""
    table: Array = per_image(1)
    """int16 [4096]"""
    monochrome: bool = False
    """whether the channels of a pixel share their place"""


@_record
class Fill(Kernel):
    """Covers boxes with one level, or, given a key, with uniformly random levels."""

    boxes: Array = per_image(2)
    """int32 [n, 4]: top, left, bottom, right, the latter two outside; they may reach over the border"""
    level: int = 0
    key: Array | None = per_image(1, default=None)
    """uint32 [2]"""


@_record
class Jpeg(Kernel):
    """Makes a JPEG, with color at half the resolution, and reads it again. XLA cannot compile it."""

    quality: Array = per_image(0)
    """int32 from 1 to 100"""


@_record
class Choose(Kernel):
    """Does one of several things, none of which changes the size. Made by `choose`."""

    index: Array = per_image(0)
    """int32"""
    branches: tuple[Kernels, ...]


@_record
class Blend(Kernel):
    """Weighs the outcomes of several things done to the same image."""

    weights: Array = per_image(1)
    """int32 [branches], in 65536ths that sum to 65536, none of them negative"""
    branches: tuple[Kernels, ...]


def choose(index: Array, branches: Sequence[Callable[[], Kernels]]) -> Kernels:
    """The branch of this number, int32 [...]: for one sample only that is described, and no other."""
    if is_numpy(index) and np.ndim(index) == 0:
        return branches[int(index)]()
    return (Choose(index=index, branches=tuple(branch() for branch in branches)),)


def when(condition: Array, kernels: Callable[[], Kernels]) -> Kernels:
    """The kernels where the condition holds, bool [...], and none where it does not."""
    if is_numpy(condition) and np.ndim(condition) == 0:
        return kernels() if condition else ()
    return (Choose(index=cast(condition, np.int32), branches=((), kernels())),)
