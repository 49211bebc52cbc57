"""The kernels, as data: what is done to an image, without a line of how.

A kernel is a record that nobody changes; it is not frozen, for samples make many, and that
takes longer. Its fields are of two kinds. Arrays stand for one image each: a sample's own
numbers on the host (NumPy, of the rank that the field states), or a batch's (the same with
one axis in front, NumPy or TensorFlow). Plain numbers and words are alike for all images of
a batch. Each kernel's formula stands in `formulas.py`, and is computed by `host` and
`device` to the same bits.

Between kernels there is uint8 [H, W, C] with C = 1 or 3.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import field
from typing import Any, Literal

import numpy as np

from augment.array_api import Array, cast, is_numpy
from augment.kernels.maps import Border, Map
from augment.kernels.tables import Rule

Kernels = tuple["Kernel", ...]

Side = Any
"""A number of pixels; within a graph that does not know it, an int32 scalar tensor."""

Interpolation = Literal["bilinear", "nearest"]
Method = Literal[
    "bilinear", "nearest", "bicubic", "area", "lanczos3", "lanczos5", "gaussian", "mitchellcubic"
]
Base = Literal["gray", "smooth"]

SCALAR, VECTOR, MATRIX = ({"rank": rank} for rank in range(3))
"""What marks a field as an array for each image, and of what rank."""


class Kernel:
    """One operation on pixels."""


def arrays_of(kernel: Any) -> dict[str, int]:
    """The fields that hold an array for each image, with its rank."""
    return {f.name: f.metadata["rank"] for f in dataclasses.fields(kernel) if "rank" in f.metadata}


@dataclasses.dataclass(eq=False, kw_only=True)
class Window(Kernel):
    """What a frame shows: a crop where it lies within the image, padding where it does not."""

    top: Array = field(metadata=SCALAR)
    """int32: the row of the image that is the first of the output, perhaps outside"""
    left: Array = field(metadata=SCALAR)
    height: Side
    width: Side
    border: Border = "constant"
    fill: int = 0


@dataclasses.dataclass(eq=False, kw_only=True)
class Orient(Kernel):
    """Exchanges rows and columns, then reverses the rows, then the columns: any of the 8 positions."""

    transposed: Array = field(metadata=SCALAR)
    """bool; of a batch whose images are not square, it must be alike for all"""
    rows: Array = field(metadata=SCALAR)
    """bool: whether top and bottom are exchanged"""
    columns: Array = field(metadata=SCALAR)


@dataclasses.dataclass(eq=False, kw_only=True)
class Channels(Kernel):
    """Puts the channels into another order. An image of one channel stays."""

    order: Array = field(metadata=VECTOR)
    """int32 [3]: from which channel each comes"""


@dataclasses.dataclass(eq=False, kw_only=True)
class Warp(Kernel):
    """Takes every pixel of the output from where a map says; the size stays."""

    map: Map
    interpolation: Interpolation = "bilinear"
    border: Border = "symmetric"
    fill: int = 0


@dataclasses.dataclass(eq=False, kw_only=True)
class Resize(Kernel):
    """Resamples a box of the image to a size."""

    height: Side
    width: Side
    method: Method = "bilinear"
    antialias: bool = False
    box: Array | None = field(metadata=VECTOR, default=None)
    """int32 [4]: top, left, height, width of what is resampled, within the image; None for all of it"""


@dataclasses.dataclass(eq=False, kw_only=True)
class Levels(Kernel):
    """Looks each level up in a table."""

    table: Array = field(metadata=MATRIX)
    """uint8 [1 or 3, 256]: one for all channels, or one for each"""


@dataclasses.dataclass(eq=False, kw_only=True)
class Adapt(Kernel):
    """Looks each level up in a table that follows from the image by a rule of `tables.py`."""

    rule: Rule
    factor: Array | None = field(metadata=SCALAR, default=None)
    """int64: what the rule takes beside the image's statistic"""


@dataclasses.dataclass(eq=False, kw_only=True)
class Gray(Kernel):
    """Gives all channels Pillow's luma."""


@dataclasses.dataclass(eq=False, kw_only=True)
class Hue(Kernel):
    """Turns the hue in HSV."""

    sixths: Array = field(metadata=SCALAR)
    """int32: the turn in 65536ths of a sixth of the circle, from none to all of it"""


@dataclasses.dataclass(eq=False, kw_only=True)
class Saturation(Kernel):
    """Scales the saturation in HSV."""

    distances: Array = field(metadata=VECTOR)
    """uint8 [256]: what becomes of a channel's distance from the highest"""


@dataclasses.dataclass(eq=False, kw_only=True)
class Enhance(Kernel):
    """Blends the image with its gray or with itself smoothed, or leads away from it."""

    base: Base
    factor: Array = field(metadata=SCALAR)
    """int64, in 2 ** 32nds: 0 gives the base, 1 the image"""


@dataclasses.dataclass(eq=False, kw_only=True)
class Blur(Kernel):
    """Weighs the pixels around, along columns and along rows; edge pixels go on outside."""

    weights: Array = field(metadata=VECTOR)
    """int32 [an odd number], in 256ths that sum to 256, none of them negative"""


@dataclasses.dataclass(eq=False, kw_only=True)
class Noise(Kernel):
    """Adds to each level what a table holds at a random place."""

    key: Array = field(metadata=VECTOR)
    """uint32 [2]: the sub-key of which `streams.py` makes the places"""
    table: Array = field(metadata=VECTOR)
    """int16 [4096]"""
    monochrome: bool = False
    """whether the channels of a pixel share their place"""


@dataclasses.dataclass(eq=False, kw_only=True)
class Fill(Kernel):
    """Covers boxes with one level, or, given a key, with uniformly random levels."""

    boxes: Array = field(metadata=MATRIX)
    """int32 [n, 4]: top, left, bottom, right, the latter two outside; they may reach over the border"""
    level: int = 0
    key: Array | None = field(metadata=VECTOR, default=None)
    """uint32 [2]"""


@dataclasses.dataclass(eq=False, kw_only=True)
class Jpeg(Kernel):
    """Makes a JPEG, with color at half the resolution, and reads it again. XLA cannot compile it."""

    quality: Array = field(metadata=SCALAR)
    """int32 from 1 to 100"""


@dataclasses.dataclass(eq=False, kw_only=True)
class Choose(Kernel):
    """Does one of several things, none of which changes the size. Made by `choose`."""

    index: Array = field(metadata=SCALAR)
    """int32"""
    branches: tuple[Kernels, ...]


@dataclasses.dataclass(eq=False, kw_only=True)
class Blend(Kernel):
    """Weighs the outcomes of several things done to the same image."""

    weights: Array = field(metadata=VECTOR)
    """int32 [branches], in 65536ths that sum to 65536, none of them negative"""
    branches: tuple[Kernels, ...]


class Custom(Kernel):
    """The base of kernels of one's own, beside those of this module. Their fields are as theirs.

    They keep the size of the image. On both backends they must compute the same levels, in integers;
    one without `on_device` is computed on the host alone.
    """

    def on_host(self, image: np.ndarray) -> np.ndarray:
        """uint8 [H, W, C] to the same; the image given must stay as it is."""
        raise NotImplementedError(f"{type(self).__name__} does not define on_host()")

    def on_device(self, images: Any) -> Any:
        """A uint8 tensor [B, H, W, C] to the same. Arrays of the kernel are [B, ...], or [1, ...] for all."""
        raise NotImplementedError(f"{type(self).__name__} does not define on_device()")


def every(kernels: Kernels) -> Iterator[Kernel]:
    """These kernels, and those of their branches."""
    for kernel in kernels:
        yield kernel
        if isinstance(kernel, (Choose, Blend)):
            for branch in kernel.branches:
                yield from every(branch)


def has_device(kernels: Kernels) -> bool:
    """Whether the device backend has all of these kernels of a batch: whether those of one's own say how."""
    own = (type(kernel) for kernel in every(kernels) if isinstance(kernel, Custom))
    return not any(kind.on_device is Custom.on_device for kind in own)


def not_kept(kernel: Kernel, image: Any, out: Any) -> str:
    """What is wrong with what a kernel of one's own made of an image, in a sentence."""

    def form(x: Any) -> str:
        dtype = getattr(x, "dtype", None)
        if dtype is None:
            return f"a {type(x).__name__}"
        return f"{getattr(dtype, 'name', dtype)} [{', '.join(map(str, x.shape))}]"

    return (
        f"kernel {type(kernel).__name__}: it made {form(out)} of {form(image)}; it must keep type and shape"
    )


def choose(index: Array, branches: Sequence[Callable[[], Kernels]]) -> Kernels:
    """The branch of this number, int32 [...]: for one sample only that is described, and no other."""
    if is_numpy(index) and index.ndim == 0:
        return branches[int(index)]()
    return (Choose(index=index, branches=tuple(branch() for branch in branches)),)


def when(condition: Array, kernels: Callable[[], Kernels]) -> Kernels:
    """The kernels where the condition holds, bool [...], and none where it does not."""
    if is_numpy(condition) and condition.ndim == 0:
        return kernels() if condition else ()
    return (Choose(index=cast(condition, np.int32), branches=((), kernels())),)
