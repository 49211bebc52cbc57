"""Ops that set the size of the image: resizing, padding, crops.

Crops and padding are exact index operations.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator

from augment.arrays import Array, cast, shift_right, take, tf, where
from augment.draws import Draw, Uniforms, table, uniform_between
from augment.labels.hazards import Hazard
from augment.ops.base import COLUMNS, ROWS, Op, Size, as_float, as_uint8
from augment.ops.erase import CANDIDATES, candidates, first_of
from augment.ops.parameters import KEY, Parameter, Real, Whole
from augment.ops.settings import Interval, Side, interval


def _antialias_for(method: str, antialias: bool) -> None:
    """Raises ValueError where it would do nothing, silently."""
    why = {"area": "area averages anyway", "nearest": "nearest takes single pixels"}.get(method)
    if antialias and why:
        raise ValueError(f"antialias is true, which does nothing, for {why}; leave it out")


def _advice_on(op: Resize | RandomResizedCrop) -> Iterator[str]:
    if not op.antialias and op.method not in ("area", "nearest"):
        yield (
            f"{op.id} is not antialiased: where it shrinks much, fine patterns break up, as with tf.image's "
            "default; antialias: true gives what Pillow and torchvision do"
        )


class Resize(Op):
    """Resizes, as tf.image.resize with the same method."""

    keeps_size: ClassVar[bool] = False

    height: Side
    width: Side
    method: Literal[
        "bilinear", "nearest", "bicubic", "area", "lanczos3", "lanczos5", "gaussian", "mitchellcubic"
    ] = "bilinear"
    """the resampling kernel"""
    antialias: bool = False
    """whether the kernel widens when shrinking, so that fine patterns blur instead of breaking up, as
    Pillow and torchvision do and tf.image by default does not; nearest and area have no use for it"""
    aspect: Literal["stretch", "pad", "crop"] = "stretch"
    """what happens to other proportions: stretched; kept, with black bars; kept, the longer side cropped"""

    @model_validator(mode="after")
    def _antialias_does_something(self) -> Resize:
        _antialias_for(self.method, self.antialias)
        return self

    def advice(self) -> Iterator[str]:
        return _advice_on(self)

    def output_size(self, size: Size | None) -> Size:
        return self.height, self.width

    def apply(self, image: tf.Tensor, draw: Draw) -> tf.Tensor:
        return self.plain(image)

    def plain(self, image: tf.Tensor) -> tf.Tensor:
        """The same."""
        height, width = tf.unstack(tf.cast(tf.shape(image)[ROWS:-1], tf.int64))
        target = tf.constant([self.height, self.width])
        if self.aspect == "crop":
            kept_height = tf.minimum(height, tf.maximum(width * self.height // self.width, 1))
            kept_width = tf.minimum(width, tf.maximum(height * self.width // self.height, 1))
            image = crop(
                image, (height - kept_height) // 2, (width - kept_width) // 2, kept_height, kept_width
            )
        elif self.aspect == "pad":
            fit_height = tf.minimum((2 * height * self.width + width) // (2 * width), self.height)
            fit_width = tf.minimum((2 * width * self.height + height) // (2 * height), self.width)
            target = tf.cast(tf.maximum(tf.stack([fit_height, fit_width]), 1), tf.int32)
        resized = resize(image, target, self.method, self.antialias)
        if self.aspect == "pad":
            resized = crop_or_pad(resized, self.height, self.width)
        return _with_size(resized, self.height, self.width)


def resize(image: tf.Tensor, size: tf.Tensor, method: str, antialias: bool) -> tf.Tensor:
    """tf.image.resize of uint8 [..., H, W, 3] to uint8, rounded instead of truncated."""
    shape = tf.shape(image)
    images = tf.reshape(image, tf.concat([[-1], shape[ROWS:]], 0))
    resized = tf.image.resize(images, size, method=method, antialias=antialias)
    if resized.dtype != tf.uint8:
        resized = as_uint8(resized)
    return tf.reshape(resized, tf.concat([shape[:ROWS], tf.shape(resized)[ROWS:]], 0))


class CropOrPad(Op):
    """Crops or pads with black about the centre, as tf.image.resize_with_crop_or_pad."""

    keeps_size: ClassVar[bool] = False

    height: Side
    width: Side

    def output_size(self, size: Size | None) -> Size:
        return self.height, self.width

    def apply(self, image: tf.Tensor, draw: Draw) -> tf.Tensor:
        return self.plain(image)

    def plain(self, image: tf.Tensor) -> tf.Tensor:
        """The same."""
        return crop_or_pad(image, self.height, self.width)

    def hazards(self, size: Size | None) -> Iterator[Hazard]:
        if size is not None and _kept(size, self.height, self.width) < 1 / 2:
            yield Hazard("cut", f"resize before {self.name}")


def _kept(size: Size, height: float, width: float) -> float:
    """The part of an image's area that a crop keeps."""
    return min(height / size[0], 1.0) * min(width / size[1], 1.0)


def crop_or_pad(image: tf.Tensor, height: int, width: int) -> tf.Tensor:
    if image.shape[ROWS:-1].as_list() == [height, width]:
        return image
    had = tf.shape(image)
    kept_height, kept_width = tf.minimum(had[ROWS], height), tf.minimum(had[COLUMNS], width)
    top, left = (had[ROWS] - kept_height) // 2, (had[COLUMNS] - kept_width) // 2
    image = crop(image, top, left, kept_height, kept_width)
    above, before = (height - kept_height) // 2, (width - kept_width) // 2
    below, behind = height - kept_height - above, width - kept_width - before
    none = [[0, 0]] * (image.shape.rank - 3)
    padded = tf.pad(image, [*none, [above, below], [before, behind], [0, 0]])
    return _with_size(padded, height, width)


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

    def apply(self, image: tf.Tensor, draw: Draw) -> tf.Tensor:
        return crop_at(image, draw["top"], draw["left"], self.height, self.width)

    def plain(self, image: tf.Tensor) -> tf.Tensor:
        """Crops the centre, or pads with black."""
        return crop_or_pad(image, self.height, self.width)

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

    def apply(self, image: tf.Tensor, draw: Draw) -> tf.Tensor:
        height, width = image.shape[ROWS:-1]
        none = [[0, 0]] * (image.shape.rank - 3)
        around = [self.padding, self.padding]
        padded = tf.pad(image, [*none, around, around, [0, 0]], mode=self.mode.upper())
        return crop_at(padded, draw["top"], draw["left"], height, width)

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

    def apply(self, image: tf.Tensor, draw: Draw) -> tf.Tensor:
        return self.plain(image)

    def plain(self, image: tf.Tensor) -> tf.Tensor:
        """The same."""
        size = image.shape[ROWS:-1]
        height, width = self.output_size((size[0], size[1]))
        return _with_size(
            crop(image, self._start(size[0]), self._start(size[1]), height, width), height, width
        )

    def hazards(self, size: Size | None) -> Iterator[Hazard]:
        if self.fraction**2 < 1 / 2:
            yield Hazard("cut", f"limit {self.name} to fraction 0.8")


class RandomResizedCrop(Op):
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
    antialias: bool = False
    """as in resize"""

    @model_validator(mode="after")
    def _antialias_does_something(self) -> RandomResizedCrop:
        _antialias_for(self.method, self.antialias)
        return self

    def advice(self) -> Iterator[str]:
        return _advice_on(self)

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
        return drawn | {
            "_side": take(table(_fixed_root, np.int64, *self.area), areas),
            "_wider": take(table(_fixed_wider, np.int64, *self.ratio), ratios),
            "_higher": take(table(_fixed_higher, np.int64, *self.ratio), ratios),
            "_top": u.index(2),
            "_left": u.index(3),
        }

    def box(self, draw: Draw, root: Array, had: tuple[Array, Array]) -> tuple[Array, Array, Array, Array]:
        """Top, left, height and width in pixels, int64 [...], for images of height and width `had`.

        `root` is the square root of their area in 256ths of a pixel, rounded; all three are int64.
        """
        side, half = root * draw["_side"], 1 << 39  # to nearest: a crop of all is to lose no row
        heights = shift_right(side * draw["_higher"] + half, 40)
        widths = shift_right(side * draw["_wider"] + half, 40)
        fits = (heights >= 1) & (heights <= had[0]) & (widths >= 1) & (widths <= had[1])
        height, width = first_of(fits, heights), first_of(fits, widths)
        top = shift_right(cast(draw["_top"], np.int64) * (had[0] - height + 1), 16)
        left = shift_right(cast(draw["_left"], np.int64) * (had[1] - width + 1), 16)
        tall, wide = self._largest(height * 0 + had[0], height * 0 + had[1])
        none = height < 1
        return (
            where(none, (had[0] - tall) // 2, top),
            where(none, (had[1] - wide) // 2, left),
            where(none, tall, height),
            where(none, wide, width),
        )

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

    def apply(self, image: tf.Tensor, draw: Draw) -> tf.Tensor:
        if image.shape.rank > 4 or (image.shape.rank == 4 and not self._by_gathering):
            return tf.map_fn(
                lambda one: self.apply(one[0], one[1]), (image, draw), fn_output_signature=tf.uint8
            )
        had = tf.cast(tf.shape(image)[ROWS:-1], tf.int64)
        root = tf.round(tf.sqrt(tf.cast(had[0] * had[1], tf.float64)) * 256.0)
        draw = {name: tf.convert_to_tensor(values) for name, values in draw.items()}
        top, left, height, width = self.box(draw, tf.cast(root, tf.int64), (had[0], had[1]))
        if image.shape.rank == 4:
            rows, columns = _between(top, height, self.height), _between(left, width, self.width)
            resized = _bilinear(image, rows, columns)
        else:
            size = tf.constant([self.height, self.width])
            resized = resize(crop(image, top, left, height, width), size, self.method, self.antialias)
        return _with_size(resized, self.height, self.width)

    @property
    def _by_gathering(self) -> bool:
        """Whether a batch is resized by look-ups, which XLA can compile: its kernels know no drawn sizes."""
        return self.method == "bilinear" and not self.antialias

    def plain(self, image: tf.Tensor) -> tf.Tensor:
        """Crops the centre to the proportions, then resizes."""
        return Resize(
            height=self.height,
            width=self.width,
            method=self.method,
            antialias=self.antialias,
            aspect="crop",
        ).plain(image)

    def hazards(self, size: Size | None) -> Iterator[Hazard]:
        if self.area[0] < 1 / 2:
            yield Hazard("cut", f"limit {self.name} to area [0.6, 1]")
            yield Hazard("scale", f"limit {self.name} to area [0.8, 1]")
        low, high = self.ratio
        if max(high, 1) / min(low, 1) > 4 / 3:
            yield Hazard("stretch", f"limit {self.name} to ratio [0.9, 1.1]")


_Places = tuple[Array, Array, Array]
"""Along an axis, for each output pixel [B, n]: the input pixels before and behind it, and how far between."""


def _between(start: tf.Tensor, length: tf.Tensor, count: int) -> _Places:
    """Where tf.image.resize (bilinear, not antialiased) looks when it makes `count` of `length` pixels.

    `start` and `length` are int64 [B]. The floats are those of TensorFlow's kernel
    (core/kernels/image/resize_bilinear_op.cc), one correctly rounded operation after the other.
    """
    start, length = (tf.cast(v, tf.int32)[:, tf.newaxis] for v in (start, length))
    # The kernel divides floats. A graph may divide by multiplying with the reciprocal, which in
    # float64 rounds to the same float32: quotients of such small numbers keep off the midpoints.
    scale = tf.cast(tf.cast(length, tf.float64) * (1.0 / count), tf.float32)
    at = tf.constant(np.arange(count, dtype=np.float32) + np.float32(0.5)) * scale - 0.5
    before = tf.floor(at)
    first = tf.maximum(tf.cast(before, tf.int32), 0)
    second = tf.minimum(tf.cast(tf.math.ceil(at), tf.int32), length - 1)
    return start + first, start + second, at - before


def _bilinear(images: tf.Tensor, rows: _Places, columns: _Places) -> tf.Tensor:
    """uint8 [B, H, W, 3] looked up at one grid an image."""
    levels = []
    for row in rows[:2]:
        across = as_float(tf.gather(images, row, axis=1, batch_dims=1))
        left, right = (tf.gather(across, column, axis=2, batch_dims=1) for column in columns[:2])
        levels.append(left + (right - left) * columns[2][:, tf.newaxis, :, tf.newaxis])
    top, bottom = levels
    return as_uint8(top + (bottom - top) * rows[2][:, :, tf.newaxis, tf.newaxis])


def _log_uniform(u: np.ndarray, low: float, high: float) -> np.ndarray:
    return np.exp(uniform_between(u, np.log(low), np.log(high)))


def _fixed_root(u: np.ndarray, low: float, high: float) -> np.ndarray:
    return np.sqrt(uniform_between(u, low, high)) * (1 << 16)


def _fixed_wider(u: np.ndarray, low: float, high: float) -> np.ndarray:
    return np.sqrt(_log_uniform(u, low, high)) * (1 << 16)


def _fixed_higher(u: np.ndarray, low: float, high: float) -> np.ndarray:
    return (1 << 16) / np.sqrt(_log_uniform(u, low, high))


def crop(image: tf.Tensor, top: Array, left: Array, height: Array, width: Array) -> tf.Tensor:
    """One box for all images [..., H, W, 3]."""
    box = [tf.cast(v, tf.int32) for v in (top, left, height, width)]
    leading = image.shape.rank - 3
    begin = [0] * leading + [box[0], box[1], 0]
    return tf.slice(image, begin, [-1] * leading + [box[2], box[3], 3])


def crop_at(image: tf.Tensor, top: Array, left: Array, height: int, width: int) -> tf.Tensor:
    """A box for each image: [..., H, W, 3] at [...] to [..., height, width, 3]."""
    if image.shape.rank == 3:
        return _with_size(crop(image, top, left, height, width), height, width)
    leading = image.shape.rank - 3
    rows = tf.convert_to_tensor(top)[..., tf.newaxis] + tf.range(height)
    columns = tf.convert_to_tensor(left)[..., tf.newaxis] + tf.range(width)
    image = tf.gather(image, rows, axis=ROWS, batch_dims=leading)
    columns = tf.repeat(columns[..., tf.newaxis, :], height, axis=-2)
    return tf.gather(image, columns, axis=COLUMNS, batch_dims=leading + 1)


def _with_size(image: tf.Tensor, height: int, width: int) -> tf.Tensor:
    """States a size that is known but that shape inference cannot see."""
    return tf.ensure_shape(image, [*image.shape[:ROWS], height, width, 3])
