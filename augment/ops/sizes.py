"""Ops that set the size of the image: resizing, padding, crops.

Crops and padding are exact index operations.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import (
    Field,
    SerializationInfo,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from augment.array_api import Array, cast, clip, is_numpy, long, rounded_root, shift_right, stack, take, where
from augment.draws import Draw, Uniforms, table, uniform_between
from augment.kernels import kinds
from augment.kernels.kinds import Kernels, Window
from augment.labels.hazards import Hazard
from augment.ops.base import Op, Size
from augment.ops.erase import CANDIDATES, candidates, first_of
from augment.ops.parameters import KEY, Parameter, Real, Whole
from augment.ops.settings import Interval, Side, interval

_NOT_WIDENED = {"area": "area averages anyway", "nearest": "nearest takes single pixels"}


class _Resampling(Op):
    """What ops that resample have in common."""

    abstract: ClassVar[bool] = True

    if TYPE_CHECKING:  # fields of each, in an order of its own
        method: str
        antialias: bool

    @model_validator(mode="before")
    @classmethod
    def _no_antialias_without_use(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("method") in tuple(_NOT_WIDENED):
            return {"antialias": False, **values}
        return values

    @model_validator(mode="after")
    def _antialias_does_something(self) -> _Resampling:
        if self.antialias and self.method in _NOT_WIDENED:
            why = _NOT_WIDENED[self.method]
            raise ValueError(f"antialias is true, which does nothing, for {why}; leave it out")
        return self

    @model_serializer(mode="wrap")
    def _written(self, handler: SerializerFunctionWrapHandler, info: SerializationInfo) -> dict[str, Any]:
        settings: dict[str, Any] = handler(self)
        if info.exclude_defaults and self.method in _NOT_WIDENED:
            settings.pop("antialias", None)
        return settings

    def advice(self) -> Iterator[str]:
        if not (self.antialias or self.method in _NOT_WIDENED):
            yield (
                f"{self.id} is not antialiased: where it shrinks much, fine patterns break up, as with "
                "tf.image's default; without antialias: false it does what Pillow and torchvision do"
            )


class Resize(_Resampling):
    """Resizes, as Pillow and torchvision do, or, with `antialias: false`, as tf.image does by default.

    Antialiased bilinear, bicubic and lanczos3, and area, are Pillow's to the bit (its BILINEAR,
    BICUBIC, LANCZOS and BOX); bilinear that is not antialiased is OpenCV's INTER_LINEAR to the
    bit, and tf.image's but for a level; nearest takes the pixels that tf.image takes. Filters
    that are not antialiased and not bilinear are cut at the edges, as Pillow cuts them.
    """

    keeps_size: ClassVar[bool] = False

    height: Side
    width: Side
    method: kinds.Method = "bilinear"
    """the resampling kernel"""
    antialias: bool = True
    """whether the kernel widens when shrinking, so that fine patterns blur instead of breaking up, as
    Pillow and torchvision do and tf.image by default does not; nearest and area have no use for it"""
    aspect: Literal["stretch", "pad", "crop"] = "stretch"
    """what happens to other proportions: stretched; kept, with black bars; kept, the longer side cropped"""

    def output_size(self, size: Size | None) -> Size:
        return self.height, self.width

    def kernels(self, draw: Draw, size: Size) -> Kernels:
        return self.plain_kernels(size)

    def plain_kernels(self, size: Size) -> Kernels:
        """The same."""
        if self.aspect == "stretch":
            return (self._resampled(),)
        height, width = map(long, size)
        if self.aspect == "crop":
            tall = clip(_scaled(width, self.height, self.width), 1, height)
            wide = clip(_scaled(height, self.width, self.height), 1, width)
            box = stack([(height - tall) // 2, (width - wide) // 2, tall, wide])
            return (self._resampled(box=cast(box, np.int32)),)
        tall = clip(_scaled(long(self.width), height, width), 1, self.height)
        wide = clip(_scaled(long(self.height), width, height), 1, self.width)
        resampled = self._resampled(height=_side(tall), width=_side(wide))
        return (resampled, *_centred((tall, wide), self.height, self.width))

    def _resampled(self, **changed: Any) -> kinds.Resize:
        size = {"height": self.height, "width": self.width, **changed}
        return kinds.Resize(method=self.method, antialias=self.antialias, **size)


def _scaled(side: Array, to: Array, of: Array) -> Array:
    """side * to / of in int64, rounded half up."""
    return (2 * side * to + of) // (2 * of)


def _side(side: Array) -> Any:
    """The side of a kernel's output: a plain number, or, within a graph, an int32 tensor."""
    return int(side) if is_numpy(side) else cast(side, np.int32)


def _within(top: Array, left: Array, height: int, width: int) -> Kernels:
    """A crop that lies in the image: of any border but a level's, which a program may let come earlier."""
    return (Window(top=top, left=left, height=height, width=width, border="edge"),)


def _centred(had: tuple[Array, Array], height: int, width: int) -> Kernels:
    """Crops or pads images of these sides with black, so that their middles meet."""
    if isinstance(had[0], int) and had == (height, width):
        return ()
    top, left = (
        cast(where(more < 0, more + 1, more) // 2, np.int32)  # rounded towards 0
        for more in (long(had[0]) - height, long(had[1]) - width)
    )
    return (Window(top=top, left=left, height=height, width=width),)


class CropOrPad(Op):
    """Crops or pads with black about the centre, as tf.image.resize_with_crop_or_pad."""

    keeps_size: ClassVar[bool] = False

    height: Side
    width: Side

    def output_size(self, size: Size | None) -> Size:
        return self.height, self.width

    def kernels(self, draw: Draw, size: Size) -> Kernels:
        return self.plain_kernels(size)

    def plain_kernels(self, size: Size) -> Kernels:
        """The same."""
        return _centred(size, self.height, self.width)

    def hazards(self, size: Size | None) -> Iterator[Hazard]:
        if size is not None and _kept(size, self.height, self.width) < 1 / 2:
            yield Hazard("cut", f"resize before {self.name}")


def _kept(size: Size, height: float, width: float) -> float:
    """The part of an image's area that a crop keeps."""
    return min(height / size[0], 1.0) * min(width / size[1], 1.0)


class RandomCrop(Op):
    """Crops at a uniformly drawn place."""

    keeps_size: ClassVar[bool] = False

    height: Side
    width: Side

    def parameters(self, size: Size | None) -> dict[str, Parameter]:
        height, width = self.known(size)
        return {"top": Whole(height - self.height + 1), "left": Whole(width - self.width + 1)}

    def output_size(self, size: Size | None) -> Size:
        height, width = self.known(size)
        if self.height > height or self.width > width:
            raise ValueError(
                f"random_crop of {self.height}x{self.width} does not fit into images of {height}x{width}"
            )
        return self.height, self.width

    def kernels(self, draw: Draw, size: Size) -> Kernels:
        return _within(draw["top"], draw["left"], self.height, self.width)

    def plain_kernels(self, size: Size) -> Kernels:
        """Crops the centre, or pads with black."""
        return _centred(size, self.height, self.width)

    def hazards(self, size: Size | None) -> Iterator[Hazard]:
        if size is not None and _kept(size, self.height, self.width) < 1 / 2:
            yield Hazard("cut", f"resize before {self.name} to little more than {self.height}x{self.width}")


class PadAndCrop(Op):
    """Pads all around, then crops back to the size at a uniformly drawn place.

    The usual augmentation of CIFAR-10 since He et al., "Deep residual learning
    for image recognition" (2015), section 4.2.
    """

    padding: Annotated[int, Field(ge=1, le=1024)]
    """pixels added on each side"""
    mode: Literal["constant", "reflect", "symmetric"] = "constant"
    """what is added: black, or the mirror image without or with the edge pixels, as in tf.pad"""

    def parameters(self, size: Size | None) -> dict[str, Parameter]:
        places = Whole(2 * self.padding + 1)
        return {"top": places, "left": places}

    def output_size(self, size: Size | None) -> Size:
        height, width = self.known(size)
        if self.mode != "constant" and self.padding >= min(height, width):
            raise ValueError(f"padding is {self.padding}; images of {height}x{width} are too small for it")
        return height, width

    def kernels(self, draw: Draw, size: Size) -> Kernels:
        top, left = draw["top"] - self.padding, draw["left"] - self.padding
        return (Window(top=top, left=left, height=size[0], width=size[1], border=self.mode),)

    def hazards(self, size: Size | None) -> Iterator[Hazard]:
        if size is not None and self.padding > min(size) / 4:
            yield Hazard("cut", f"limit {self.name} to padding {max(min(size) // 8, 1)}")


class CentralCrop(Op):
    """Keeps the central part, as tf.image.central_crop."""

    keeps_size: ClassVar[bool] = False

    fraction: Annotated[float, Field(gt=0, le=1)]
    """the part of each side that is kept"""

    def output_size(self, size: Size | None) -> Size:
        height, width = (side - 2 * self._start(side) for side in self.known(size))
        return height, width

    def _start(self, side: int) -> int:
        return int((side - side * self.fraction) / 2)

    def kernels(self, draw: Draw, size: Size) -> Kernels:
        return self.plain_kernels(size)

    def plain_kernels(self, size: Size) -> Kernels:
        """The same."""
        height, width = self.output_size(size)
        top, left = (np.int32(self._start(side)) for side in size)
        return _within(top, left, height, width)

    def hazards(self, size: Size | None) -> Iterator[Hazard]:
        if self.fraction**2 < 1 / 2:
            yield Hazard("cut", f"limit {self.name} to fraction 0.8")


class RandomResizedCrop(_Resampling):
    """Resizes a crop of drawn area and proportions.

    Szegedy et al., "Going deeper with convolutions" (2014), section 6, in torchvision's
    form: ten areas and proportions are drawn, and the first that fits into the image is
    taken; where none does, the largest crop about the centre whose proportions are allowed.

    `area` and `ratio` record the first candidate; the others are made of the recorded
    sub-key, by Threefry: area and ratio of candidate i from the counters 2 i - 4 and 2 i - 3.
    """

    keeps_size: ClassVar[bool] = False

    height: Side
    width: Side
    area: Annotated[Interval, interval(None, 0.0, 1.0, open_low=True)] = (0.08, 1.0)
    """the crop's part of the image's area"""
    ratio: Annotated[Interval, interval(None, 0.1, 10.0)] = (3 / 4, 4 / 3)
    """the crop's width divided by its height, drawn uniformly on a logarithmic scale"""
    method: Literal["bilinear", "nearest", "bicubic", "area"] = "bilinear"
    """the resampling kernel"""
    antialias: bool = True
    """as in resize"""

    def parameters(self, size: Size | None) -> dict[str, Parameter]:
        place = Real((0.0, 1.0))
        return {
            "area": Real(self.area),
            "ratio": Real(self.ratio, _log_uniform),
            "top": place,
            "left": place,
            **KEY,
        }

    def draw(self, u: Uniforms, size: Size | None) -> Draw:
        drawn = super().draw(u, size)
        further = Uniforms((drawn["key_high"], drawn["key_low"])).words(0, 2 * (CANDIDATES - 1))
        areas, ratios = candidates(u.index(0), u.index(1), further)
        side = take(table(_fixed_root, np.int64, *self.area), areas)
        return drawn | {
            "_tall": side * take(table(_fixed_higher, np.int64, *self.ratio), ratios),
            "_wide": side * take(table(_fixed_wider, np.int64, *self.ratio), ratios),
            "_top": u.index(2),
            "_left": u.index(3),
        }

    def box(self, draw: Draw, size: Size) -> Array:
        """int32 [..., 4]: top, left, height and width in pixels, for images of a size."""
        if isinstance(draw["_top"], np.generic):
            return self._box_of_one(draw, size)
        had = long(size[0]), long(size[1])
        root = _root(had)
        heights, widths = _side_of(root, draw["_tall"]), _side_of(root, draw["_wide"])
        fits = (heights >= 1) & (heights <= had[0]) & (widths >= 1) & (widths <= had[1])
        height, width = first_of(fits, heights), first_of(fits, widths)
        top = _start(cast(draw["_top"], np.int64), had[0], height)
        left = _start(cast(draw["_left"], np.int64), had[1], width)
        tall, wide = self._largest(height * 0 + had[0], height * 0 + had[1])
        none = height < 1
        box = [
            where(none, (had[0] - tall) // 2, top),
            where(none, (had[1] - wide) // 2, left),
            where(none, tall, height),
            where(none, wide, width),
        ]
        return cast(stack(box), np.int32)

    def _box_of_one(self, draw: Draw, had: Size) -> np.ndarray:
        """The same for one sample: in plain numbers, and candidates only until one fits."""
        root, tall, wide = _root(had), draw["_tall"], draw["_wide"]
        for i in range(CANDIDATES):
            height, width = _side_of(root, tall.item(i)), _side_of(root, wide.item(i))
            if 1 <= height <= had[0] and 1 <= width <= had[1]:
                top = _start(int(draw["_top"]), had[0], height)
                left = _start(int(draw["_left"]), had[1], width)
                break
        else:
            height, width = self._largest(*had)
            top, left = (had[0] - height) // 2, (had[1] - width) // 2
        return np.array([top, left, height, width], np.int32)

    def _largest(self, height: Array, width: Array) -> tuple[Array, Array]:
        """The sides of the largest crop whose proportions are allowed, int64 [...], 1 at least."""
        low, high = (round(ratio * (1 << 16)) for ratio in self.ratio)
        tall = (2 * width * (1 << 16) + low) // (2 * low)  # rounded half up
        wide = (height * high + (1 << 15)) // (1 << 16)
        tall = where(width * (1 << 16) < height * low, tall, height)
        wide = where(width * (1 << 16) > height * high, wide, width)
        one = height * 0 + 1
        return where(tall < 1, one, tall), where(wide < 1, one, wide)

    def output_size(self, size: Size | None) -> Size:
        return self.height, self.width

    def kernels(self, draw: Draw, size: Size) -> Kernels:
        return (
            kinds.Resize(
                height=self.height,
                width=self.width,
                method=self.method,
                antialias=self.antialias,
                box=self.box(draw, size),
            ),
        )

    def plain_kernels(self, size: Size) -> Kernels:
        """Crops the centre to the proportions, then resizes."""
        settings = {name: getattr(self, name) for name in ("height", "width", "method", "antialias")}
        return Resize(**settings, aspect="crop").plain_kernels(size)

    def hazards(self, size: Size | None) -> Iterator[Hazard]:
        if self.area[0] < 1 / 2:
            yield Hazard("cut", f"limit {self.name} to area [0.6, 1]", limit={"area": [0.6, 1]})
            yield Hazard("scale", f"limit {self.name} to area [0.8, 1]", limit={"area": [0.8, 1]})
        low, high = self.ratio
        if max(high, 1) / min(low, 1) > 4 / 3:
            yield Hazard("stretch", f"limit {self.name} to ratio [0.9, 1.1]", limit={"ratio": [0.9, 1.1]})


def _root(had: tuple[Array, Array]) -> Array:
    """That of an image's area, in 256ths of a pixel."""
    return rounded_root(had[0] * had[1] * (1 << 16))


def _side_of(root: Array, part: Array) -> Array:
    """Crops' height or width in pixels, which may be more than an image has, or none; parts of the root
    are in 2 ** 32nds."""
    return shift_right(root * part + (1 << 39), 40)  # to nearest: a crop of all is to lose no row


def _start(number: Array, full: Array, side: Array) -> Array:
    """Where crops of a side begin, by numbers drawn from [0, 65536)."""
    return shift_right(number * (full - side + 1), 16)


def _log_uniform(u: np.ndarray, low: float, high: float) -> np.ndarray:
    return np.exp(uniform_between(u, np.log(low), np.log(high)))


def _fixed_root(u: np.ndarray, low: float, high: float) -> np.ndarray:
    return np.sqrt(uniform_between(u, low, high)) * (1 << 16)


def _fixed_wider(u: np.ndarray, low: float, high: float) -> np.ndarray:
    return np.sqrt(_log_uniform(u, low, high)) * (1 << 16)


def _fixed_higher(u: np.ndarray, low: float, high: float) -> np.ndarray:
    return (1 << 16) / np.sqrt(_log_uniform(u, low, high))
