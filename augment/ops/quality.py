"""Ops on levels as Pillow defines them: posterize, solarize, equalize, autocontrast, sharpness."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Annotated

import numpy as np

from augment.arrays import tf
from augment.draws import Draw, uniform_between
from augment.kernels import tables
from augment.kernels.kinds import Adapt, Enhance, Kernels, Levels
from augment.labels.hazards import Hazard
from augment.ops.base import COLUMNS, ROWS, Op, Size, as_float, per_image
from augment.ops.color import fixed_factor
from augment.ops.parameters import Parameter, Real
from augment.ops.settings import Interval, choices, interval


class Posterize(Op):
    """Keeps the upper bits of each level, as Pillow's ImageOps.posterize."""

    bits: Annotated[tuple[int, ...], choices(1, 2, 3, 4, 5, 6, 7, 8)]
    """how many bits are kept; one of several is drawn uniformly, 8 leaves the image"""

    def kernels(self, draw: Draw, size: Size) -> Kernels:
        return (Levels(table=tables.posterized(draw["bits"])),)

    def hazards(self, size: Size | None) -> Iterator[Hazard]:
        if min(self.bits) <= 2:
            yield Hazard("tint", f"limit {self.name} to bits from 4 on")


class Solarize(Op):
    """Inverts the levels from a threshold on, as Pillow's ImageOps.solarize."""

    threshold: Annotated[Interval, interval(None, 0.0, 256.0)]
    """the lowest level that is inverted; above 255 leaves the image, 0 inverts it"""

    def parameters(self, size: Size | None) -> dict[str, Parameter]:
        return {"threshold": Real(self.threshold, _first=(_first, np.int64))}

    def kernels(self, draw: Draw, size: Size) -> Kernels:
        return (Levels(table=tables.solarized(draw["_first"])),)

    def hazards(self, size: Size | None) -> Iterator[Hazard]:
        if self.threshold[0] < 160:
            yield Hazard("negative", f"limit {self.name} to threshold [200, 256]")


def _first(u: np.ndarray, low: float, high: float) -> np.ndarray:
    """The lowest level that reaches the threshold as it is recorded."""
    return np.ceil(uniform_between(u, low, high).astype(np.float32))


class Equalize(Op):
    """Makes each channel's histogram flat, as Pillow's ImageOps.equalize."""

    def kernels(self, draw: Draw, size: Size) -> Kernels:
        return (Adapt(rule=tables.EQUALIZE),)

    def hazards(self, size: Size | None) -> Iterator[Hazard]:
        yield from _stretched_levels(self.name)


def _stretched_levels(name: str) -> Iterator[Hazard]:
    """What follows from each channel being stretched by itself."""
    yield Hazard("exposure", f"leave {name} out")
    yield Hazard("tint", f"leave {name} out")


class Autocontrast(Op):
    """Stretches each channel's levels over the whole range, as Pillow's ImageOps.autocontrast."""

    def kernels(self, draw: Draw, size: Size) -> Kernels:
        return (Adapt(rule=tables.AUTOCONTRAST),)

    def hazards(self, size: Size | None) -> Iterator[Hazard]:
        yield from _stretched_levels(self.name)


class Sharpness(Op):
    """Blurs or sharpens slightly, as Pillow's ImageEnhance.Sharpness."""

    factor: Annotated[Interval, interval(1.0, 0.0, 10.0)]
    """0 gives a 3x3 mean, 1 leaves the image, above 1 sharpens"""

    def parameters(self, size: Size | None) -> dict[str, Parameter]:
        return {"factor": Real(self.factor, _factor=(fixed_factor, np.int64))}

    def kernels(self, draw: Draw, size: Size) -> Kernels:
        return (Enhance(base="smooth", factor=draw["_factor"]),)

    def hazards(self, size: Size | None) -> Iterator[Hazard]:
        if self.factor[0] < 0.5:
            yield Hazard("blur", f"limit {self.name} to factor [0.7, 1.3]")


def blended(one: tf.Tensor, other: tf.Tensor, factor: tf.Tensor) -> tf.Tensor:
    """Pillow's Image.blend: `one` at factor 0, `other` at 1, beyond them where it lies outside.

    Truncates to whole levels, as Pillow does.
    """
    start = as_float(one)
    pixels = start + per_image(factor) * (as_float(other) - start)
    return tf.cast(tf.clip_by_value(pixels, 0.0, 255.0), tf.uint8)


def luma(image: tf.Tensor) -> tf.Tensor:
    """Pillow's convert("L") in three equal channels."""
    gray = tf.cast(_gray(image), tf.uint8)
    return tf.stack([gray, gray, gray], axis=-1)


def mean_luma(image: tf.Tensor) -> tf.Tensor:
    """What ImageEnhance.Contrast blends with, [..., 1, 1, 1]: the mean of `luma`, rounded half up."""
    shape = tf.shape(image, out_type=tf.int64)
    count = shape[ROWS] * shape[COLUMNS]
    total = tf.reduce_sum(tf.cast(_gray(image), tf.int64), axis=[-2, -1])
    mean = tf.cast((2 * total + count) // (2 * count), tf.uint8)
    return per_image(mean)


def _gray(image: tf.Tensor) -> tf.Tensor:
    """int32 [..., H, W]: ITU-R BT.601 in 65536ths, rounded half up."""
    red, green, blue = tf.unstack(tf.cast(image, tf.int32), axis=-1)
    return tf.bitwise.right_shift(19595 * red + 38470 * green + 7471 * blue + (1 << 15), 16)


def posterized(image: tf.Tensor, bits: tf.Tensor) -> tf.Tensor:
    """ImageOps.posterize: keeps the upper `bits` of each level, int32 [...] from 0 to 8."""
    mask = tf.bitwise.left_shift(tf.constant(0xFF), 8 - tf.convert_to_tensor(bits)) & 0xFF
    return image & tf.cast(per_image(mask), tf.uint8)


def solarized(image: tf.Tensor, threshold: tf.Tensor) -> tf.Tensor:
    """ImageOps.solarize: inverts the levels from `threshold` on, a number [...] from 0 to 256."""
    threshold = tf.cast(per_image(threshold), tf.float32)
    return tf.where(as_float(image) >= threshold, 255 - image, image)


def equalized(image: tf.Tensor) -> tf.Tensor:
    """ImageOps.equalize: each channel's histogram made flat."""
    places = _places(image)
    flat = tf.reshape(places, [-1])
    counts = tf.math.unsorted_segment_sum(tf.ones_like(flat), flat, 256 * _channels(image))
    counts = tf.reshape(counts, [-1, 256])
    below = tf.cumsum(counts, axis=-1, exclusive=True)
    # Of the levels that occur, the highest has all but its own count below it.
    step = tf.reduce_max(tf.where(counts > 0, below, 0), axis=-1, keepdims=True) // 255
    spread = tf.minimum((below + step // 2) // tf.maximum(step, 1), 255)
    return _looked_up(tf.where(step > 0, spread, tf.range(256)), places)


def autocontrasted(image: tf.Tensor) -> tf.Tensor:
    """ImageOps.autocontrast: stretches each channel's levels over the whole range."""
    lowest = tf.reshape(tf.cast(tf.reduce_min(image, axis=[ROWS, COLUMNS]), tf.int32), [-1, 1])
    highest = tf.reshape(tf.cast(tf.reduce_max(image, axis=[ROWS, COLUMNS]), tf.int32), [-1, 1])
    width = 256 * (highest - lowest)
    scaled = tf.constant(_scaled_levels())
    stretched = tf.gather(scaled, width + tf.range(256)) - tf.gather(scaled, width + lowest)
    stretched = tf.cast(tf.clip_by_value(stretched, 0.0, 255.0), tf.int32)
    return _looked_up(tf.where(width > 0, stretched, tf.range(256)), _places(image))


@functools.cache
def _scaled_levels() -> np.ndarray:
    """float64 [65536]: at 256 w + x, level x times the scale that stretches a range of w to 255.

    Pillow multiplies in float64 and truncates. Taking its products from a table leaves no
    product for a compiler to fuse with the subtraction that follows, in one rounding less.
    """
    scales = np.concatenate([[0.0], 255.0 / np.arange(1, 256)])
    return np.outer(scales, np.arange(256)).ravel()


def _channels(image: tf.Tensor) -> tf.Tensor:
    """How many channels of how many images there are: the product of all axes but rows and columns."""
    return 3 * tf.reduce_prod(tf.shape(image)[:ROWS])


def _places(image: tf.Tensor) -> tf.Tensor:
    """int32 like the image: where each level stands in one table a channel of 256 entries."""
    first = tf.reshape(256 * tf.range(_channels(image)), tf.concat([tf.shape(image)[:ROWS], [1, 1, 3]], 0))
    return first + tf.cast(image, tf.int32)


def _looked_up(tables: tf.Tensor, places: tf.Tensor) -> tf.Tensor:
    return tf.gather(tf.reshape(tf.cast(tables, tf.uint8), [-1]), places)


def sharpened(image: tf.Tensor, factor: tf.Tensor) -> tf.Tensor:
    """ImageEnhance.Sharpness: 0 gives ImageFilter.SMOOTH, 1 the image, above 1 sharpens."""
    return blended(_smooth(image), image, factor)


def _smooth(image: tf.Tensor) -> tf.Tensor:
    """ImageFilter.SMOOTH: a 3x3 mean in which the centre counts 5 times; the border is left alone."""
    levels = tf.cast(image, tf.int32)
    none = [[0, 0]] * (image.shape.rank - 3)
    padded = tf.pad(levels, [*none, [1, 1], [1, 1], [0, 0]])
    rows = padded[..., :-2, :, :] + padded[..., 1:-1, :, :] + padded[..., 2:, :, :]
    total = rows[..., :-2, :] + rows[..., 1:-1, :] + rows[..., 2:, :] + 4 * levels
    # (2 total + 13) // 26, for a total of at most 13 * 255; there are no ties.
    mean = tf.bitwise.right_shift((2 * total + 13) * 40330, 20)
    height, width = tf.unstack(tf.shape(image)[ROWS:-1])
    row, column = tf.range(height)[:, tf.newaxis, tf.newaxis], tf.range(width)[:, tf.newaxis]
    inside = (row > 0) & (row < height - 1) & (column > 0) & (column < width - 1)
    return tf.where(inside, tf.cast(mean, tf.uint8), image)
