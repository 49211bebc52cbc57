"""Ops that make a picture worse, as lenses, sensors and files do: blur, noise, JPEG.

Blur and noise compute in integers.
"""

from __future__ import annotations

from collections.abc import Iterator
from statistics import NormalDist
from typing import Annotated

import numpy as np

from augment.arrays import tf
from augment.draws import Draw, table, uniform_between
from augment.labels.hazards import Hazard
from augment.ops.base import COLUMNS, ROWS, Op, Size, fixed_as_uint8, per_image
from augment.ops.grain import grain
from augment.ops.parameters import KEY, Parameter, Real
from augment.ops.settings import Interval, WholeInterval, interval, whole_interval


class Blur(Op):
    """Blurs with a Gaussian, as Pillow's ImageFilter.GaussianBlur with sigma for its radius.

    As there, the Gaussian is three box filters in each direction, whose ends count
    in part, and the edge pixels go on outside the image: Gwosdek et al., "Theoretical
    foundations of Gaussian convolution by extended box filtering" (2011).
    The work grows with the upper end of sigma, whatever is drawn.
    """

    sigma: Annotated[Interval, interval(None, 0.0, 16.0)]
    """the standard deviation in pixels; 0 leaves the image"""

    def parameters(self, size: Size | None) -> dict[str, Parameter]:
        box = Real(
            self.sigma,
            _reach=(_reach, np.int32),
            _inner=(_inner_weight, np.uint32),
            _outer=(_outer_weight, np.uint32),
        )
        return {"sigma": box}

    def apply(self, image: tf.Tensor, draw: Draw) -> tf.Tensor:
        reach, inner, outer = (per_image(draw[name]) for name in ("_reach", "_inner", "_outer"))
        furthest = int(_reach(np.ones(1), *self.sigma)[0]) + 1
        beyond = [tf.where(reach + 1 == k, outer, tf.zeros_like(outer)) for k in range(furthest + 1)]
        weights = [tf.where(reach >= k, inner, beyond[k]) for k in range(furthest + 1)]
        for axis in (COLUMNS, ROWS):
            for _ in range(_PASSES):
                image = _box(image, axis, weights)
        return image

    def hazards(self, size: Size | None) -> Iterator[Hazard]:
        if self.sigma[1] > 1:
            yield Hazard("blur", f"limit {self.name} to sigma [0, 0.5]")


_PASSES = 3
_BOX_BITS = 24


def _box_radius(u: np.ndarray, low: float, high: float) -> np.ndarray:
    """float32: a box's radius, such that three of its passes have the variance sigma**2.

    Computed in the precision that Pillow uses, for the same last bit.
    """
    variance = np.float32(uniform_between(u, low, high)) ** 2 / np.float32(_PASSES)
    length = np.sqrt(12.0 * variance.astype(np.float64) + 1.0).astype(np.float32)
    whole = np.floor((length.astype(np.float64) - 1.0) / 2.0).astype(np.float32)
    part = (2 * whole + 1) * (whole * (whole + 1) - 3 * variance)
    return whole + part / (6 * (variance - (whole + 1) * (whole + 1)))


def _reach(u: np.ndarray, low: float, high: float) -> np.ndarray:
    """How many pixels to each side count in full."""
    return np.floor(_box_radius(u, low, high))


def _inner_weight(u: np.ndarray, low: float, high: float) -> np.ndarray:
    """The weight of a pixel that counts in full, of 2**24."""
    return np.floor(np.float32(1 << _BOX_BITS) / (_box_radius(u, low, high) * 2 + 1)).astype(np.float64)


def _outer_weight(u: np.ndarray, low: float, high: float) -> np.ndarray:
    """The weight of the pixel beyond them, on either side."""
    inner = (2 * _reach(u, low, high).astype(np.float64) + 1) * _inner_weight(u, low, high)
    return np.floor(((1 << _BOX_BITS) - inner) / 2)


def _box(image: tf.Tensor, axis: int, weights: list[tf.Tensor]) -> tf.Tensor:
    """A box filter along an axis; weights[k] is the weight of the pixels k places to either side.

    Their sum is at most 2**24, so that the weighted levels stay below 2**32.
    """
    side = image.shape[axis] or tf.shape(image)[axis]  # constants make a graph half as large
    margin = len(weights) - 1
    within = tf.clip_by_value(tf.range(-margin, side + margin), 0, side - 1)
    levels = tf.cast(tf.gather(image, within, axis=axis), tf.uint32)
    rest = [slice(None)] * (-axis - 1)

    def at(offset: int) -> tf.Tensor:
        place = (..., slice(margin + offset, margin + offset + side), *rest)
        return levels[place]

    total = at(0) * weights[0] + tf.constant(1 << (_BOX_BITS - 1), tf.uint32)
    for k in range(1, margin + 1):
        total += (at(-k) + at(k)) * weights[k]
    whole = tf.bitwise.right_shift(total, tf.constant(_BOX_BITS, tf.uint32))
    return tf.ensure_shape(tf.cast(whole, tf.uint8), image.shape)


class Noise(Op):
    """Adds Gaussian noise, another deviate for every pixel and channel.

    Deviates come from a sub-key (recorded as `key_high` and `key_low`) by Threefry,
    with the pixel's row and column as the counter, and end at 4.3 standard deviations.
    """

    sigma: Annotated[Interval, interval(None, 0.0, 1.0)]
    """the standard deviation as a fraction of the range of levels"""
    monochrome: bool = False
    """whether the channels of a pixel share their deviate, so that colors stay"""

    def parameters(self, size: Size | None) -> dict[str, Parameter]:
        return {"sigma": Real(self.sigma, _sigma=(_fixed_levels, np.int32)), **KEY}

    def apply(self, image: tf.Tensor, draw: Draw) -> tf.Tensor:
        height, width = tf.unstack(tf.shape(image)[ROWS:-1])
        indices = tf.stack(grain(draw, height, width)[: 1 if self.monochrome else 3], axis=-1)
        noise = tf.gather(tf.constant(table(_normal, np.int32)), indices) * per_image(draw["_sigma"])
        bits = _SIGMA_BITS + _NORMAL_BITS
        return fixed_as_uint8(tf.cast(image, tf.int32) * (1 << bits) + noise, bits)

    def hazards(self, size: Size | None) -> Iterator[Hazard]:
        if self.sigma[1] > 0.04:
            yield Hazard("noise", f"limit {self.name} to sigma [0, 0.02]")


_SIGMA_BITS, _NORMAL_BITS = 8, 12  # with 255 levels and 4.3 deviations below 2**31


def _fixed_levels(u: np.ndarray, low: float, high: float) -> np.ndarray:
    return 255 * uniform_between(u, low, high) * (1 << _SIGMA_BITS)


def _normal(u: np.ndarray) -> np.ndarray:
    return np.array([NormalDist().inv_cdf(x) for x in u]) * (1 << _NORMAL_BITS)


class JpegQuality(Op):
    """Makes a JPEG of the image and reads it again, as tf.image.adjust_jpeg_quality.

    With color at half the resolution, and the accurate transform (`dct_method`
    INTEGER_ACCURATE). Encoding runs on a CPU, one image at a time, and XLA cannot
    compile it.
    """

    quality: Annotated[WholeInterval, whole_interval(1, 100)]
    """the quality of the encoder; every whole number within is equally likely"""

    def apply(self, image: tf.Tensor, draw: Draw) -> tf.Tensor:
        if image.shape.rank > 3:
            return tf.map_fn(
                lambda one: self.apply(one[0], one[1]), (image, draw), fn_output_signature=tf.uint8
            )
        contents = tf.raw_ops.EncodeJpegVariableQuality(images=image, quality=draw["quality"])
        decoded = tf.io.decode_jpeg(contents, channels=3, dct_method="INTEGER_ACCURATE")
        return tf.ensure_shape(decoded, image.shape)

    def hazards(self, size: Size | None) -> Iterator[Hazard]:
        if self.quality[0] < 30:
            yield Hazard("blur", f"limit {self.name} to quality [50, 100]")
